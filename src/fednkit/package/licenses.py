"""List the licenses of everything that the sites install: fednkit licenses.

This is what each package states of itself, as installed here; nobody has read the texts for you.
Packages for another platform than this one are not known.
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

# How packages spell what SPDX (https://spdx.org/licenses) has one name for.
SPELLINGS = {
    "Apache-2.0": r"apache.{0,20}2(\.0)?|apache software license",
    "BSD-3-Clause": r"(new bsd|3-clause bsd|bsd 3-clause)( license)?",
    "BSD-2-Clause": r"(simplified bsd|2-clause bsd|bsd 2-clause)( license)?",
    "ISC": r"isc license( \(iscl\))?",
    "MIT": r"(the )?mit license",
    "MPL-2.0": r"mozilla public license 2\.0( \(mpl 2\.0\))?",
    "PSF-2.0": r"python software foundation license",
}
# A longer text is the license itself, of which the first words say little.
MAX_NAME_CHARACTERS = 60


class Locked(NamedTuple):
    """One package of the lock file."""

    name: str
    version: str
    marker: str  # the platforms that it is for; all, if empty
    hashes: tuple[str, ...]  # SHA-256 of each file that it can be installed from


def run() -> None:
    """Print a table, and the packages of which no license is known."""
    rows = [(one.name, one.version, license_of(one.name, one.version)) for one in locked()]
    widths = [max(len(str(row[column])) for row in rows) for column in (0, 1)]
    for name, version, found in rows:
        print(f"{name:<{widths[0]}}  {version:<{widths[1]}}  {found or 'unknown'}")
    if unknown := [name for name, _, found in rows if found is None]:
        print(f"unknown: {', '.join(unknown)}; not installed here, or they do not say")


def locked(file: Path | None = None) -> list[Locked]:
    """Return the packages of a lock file with hashes, sorted. Raises `ProjectError`.

    Args:
        file: The lock file; that of the project when not given.
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
    """Return a package's license as SPDX names it, or else in its own words; None if unknown."""
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
    """Return the SPDX expression for a license that a package names in its own way, or None."""
    try:
        return str(canonicalize_license_expression(words))
    except InvalidLicenseExpression:
        pass
    for name, spelling in SPELLINGS.items():
        # A license's whole text begins with its name, too.
        if re.fullmatch(spelling, words, re.IGNORECASE):
            return name
    if "Licensed under the Apache License, Version 2.0" in words:
        return "Apache-2.0"
    return None
