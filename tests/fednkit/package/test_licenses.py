"""The licenses that packages state, by the names that SPDX has for them."""

from email.message import Message
from importlib import metadata

import pytest

from fednkit.package import licenses

APACHE = f"A text. {'Long. ' * 20}Licensed under the Apache License, Version 2.0 (the License)"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mit", "MIT"),
        ("The MIT License", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache Software License", "Apache-2.0"),
        ("3-Clause BSD License", "BSD-3-Clause"),
        ("ISC License (ISCL)", "ISC"),
        ("lgpl-3.0-or-later", "LGPL-3.0-or-later"),
        ("apache-2.0 or (mit and isc)", "Apache-2.0 OR (MIT AND ISC)"),
        (APACHE, "Apache-2.0"),
        ("BSD License", None),
        ("MIT License, and what follows", None),
        ("", None),
    ],
)
def test_a_license_has_the_name_that_spdx_gives_it(words: str, expected: str | None) -> None:
    assert licenses.spdx(words) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "MIT OR ISC"), ("License", "BSD")], "MIT OR ISC"),
        ([("License", "MIT License"), ("Classifier", "License :: OSI Approved")], "MIT"),
        ([("License", "own"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        ([("License", APACHE), ("Classifier", "License :: OSI Approved :: BSD License")],
         "BSD License"),
        ([("License", APACHE)], "Apache-2.0"),
        ([("License", "own")], "own"),
        ([("License", "own " * 20)], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_more_exact_statement_of_a_package_counts(
    monkeypatch: pytest.MonkeyPatch, fields: list[tuple[str, str]], expected: str | None
) -> None:
    stated = Message()
    for name, value in [("Version", "1.0"), *fields]:
        stated[name] = value
    monkeypatch.setattr(metadata, "metadata", lambda _: stated)
    assert licenses.license_of("example", "1.0") == expected
    assert licenses.license_of("example", "1.1") is None
