"""List the licenses of all packages that the sites install: fednkit licenses.

They come from the metadata of the installed packages; the license texts are not checked. The
licenses of packages for other platforms are unknown.
"""

import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from ..project.config import current
from ..project.errors import ProjectError
from ..project.requirements import read_requirements

__all__ = ["Locked", "license_of", "locked", "run", "spdx"]

# SPDX names (https://spdx.org/licenses), and the packages' spellings of them.
SPELLINGS = {
    "Apache-2.0": r"apache.{0,20}2(\.0)?|apache software license",
    "BSD-3-Clause": r"(new bsd|3-clause bsd|bsd 3-clause)( license)?",
    "BSD-2-Clause": r"(simplified bsd|2-clause bsd|bsd 2-clause)( license)?",
    "ISC": r"isc license( \(iscl\))?",
    "MIT": r"(the )?mit license",
    "MPL-2.0": r"mozilla public license 2\.0( \(mpl 2\.0\))?",
    "PSF-2.0": r"python software foundation license",
}
# A longer text is the license itself and not its name.
MAX_NAME_CHARACTERS = 60


class Locked(NamedTuple):
    """A package in the lock file.

    Attributes:
        name: The package's name.
        version: Its version.
        marker: The platforms that need it, as an environment marker; all if empty.
        hashes: The SHA-256 of each of its files, in hex.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def run() -> None:
    """Print a table, and the names of packages with an unknown license."""
    rows = [(one.name, one.version, license_of(one.name, one.version)) for one in locked()]
    widths = [max(len(str(row[column])) for row in rows) for column in (0, 1)]
    for name, version, found in rows:
        print(f"{name:<{widths[0]}}  {version:<{widths[1]}}  {found or 'unknown'}")
    if unknown := [name for name, _, found in rows if found is None]:
        print(f"unknown: {', '.join(unknown)}; not installed here, or no license in the metadata")


def locked(file: Path | None = None) -> list[Locked]:
    """Return the packages of a lock file with hashes, sorted. Raises `ProjectError`.

    Args:
        file: The lock file. Default: the project's.
    """
    file = file or current().root / "requirements.lock"
    if not file.exists():
        raise ProjectError(f"expected {file.name}, found none; run: make lock")
    packages = []
    for need, hashes in read_requirements(file):
        versions = [one.version for one in need.specifier if one.operator == "=="]
        if len(versions) != 1:
            raise ProjectError(f"{file.name}: expected one version, found {need}; run: make lock")
        digests = tuple(one.removeprefix("sha256:") for one in hashes)
        packages.append(Locked(need.name, versions[0], str(need.marker or ""), digests))
    return sorted(packages)


def license_of(name: str, version: str) -> str | None:
    """Return a package's license: the SPDX name, or the package's own text; None if unknown."""
    try:
        stated = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if stated["Version"] != version:
        return None
    if expression := stated.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        line.split(" :: ")[-1]
        for line in stated.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    words = " ".join(" ".join(stated.get_all("License") or []).split())
    is_name = 0 < len(words) <= MAX_NAME_CHARACTERS
    if (is_name or not classifiers) and (known := spdx(words)):
        return known
    if classifiers:
        return " OR ".join(spdx(one) or one for one in classifiers)
    return words if is_name else None


def spdx(words: str) -> str | None:
    """Return the SPDX expression for a package's name of its license; None if it is unknown."""
    try:
        return str(canonicalize_license_expression(words))
    except InvalidLicenseExpression:
        pass
    for name, spelling in SPELLINGS.items():
        # A full match, because the text of a license also begins with its name.
        if re.fullmatch(spelling, words, re.IGNORECASE):
            return name
    if "Licensed under the Apache License, Version 2.0" in words:
        return "Apache-2.0"
    return None
