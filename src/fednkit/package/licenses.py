"""List the licenses of everything that the sites install: fednkit licenses.

This is what each package states of itself, as installed here; nobody has read the texts for you.
Packages for another platform than this one are not known.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from ..project.config import current
from ..project.errors import ProjectError

__all__ = [
    "IDS",
    "PIN",
    "Locked",
    "entries",
    "license_of",
    "locked",
    "run",
    "spdx",
]

PIN = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.+!]+)")
# How packages spell what SPDX (https://spdx.org/licenses) has one name for.
SPELLINGS = {
    "Apache-2.0": r"apache.{0,20}2(\.0)?|apache software license",
    "BSD-3-Clause": r"(new bsd|3-clause bsd|bsd 3-clause)( license)?",
    "BSD-2-Clause": r"(simplified bsd|2-clause bsd|bsd 2-clause)( license)?",
    "ISC": r"isc license( \(iscl\))?",
    "MIT": r"(the )?mit( license)?",
    "MPL-2.0": r"mozilla public license 2\.0( \(mpl 2\.0\))?",
    "PSF-2.0": r"python software foundation license",
}
IDS = {name.lower(): name for name in (*SPELLINGS, "MIT-0", "Zlib", "Unlicense", "CC0-1.0")}
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
    return sorted(entries(file.read_text("utf-8")))


def entries(text: str) -> Iterator[Locked]:
    """Yield the packages of a lock file's text."""
    for line in text.replace("\\\n", " ").splitlines():
        if match := PIN.match(line):
            need, *hashes = line.partition(" #")[0].split(" --hash=sha256:")
            marker = need.partition(";")[2].strip()
            digests = tuple(sorted(one.strip() for one in hashes))
            yield Locked(match[1].lower().replace("_", "-"), match[2], marker, digests)


def license_of(name: str, version: str) -> str | None:
    """Return a package's license as SPDX names it, or else in its own words; None if unknown."""
    try:
        said = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    if said.version != version:
        return None
    if expression := said.metadata.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        line.split(" :: ")[-1]
        for line in said.metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    words = " ".join(" ".join(said.metadata.get_all("License") or []).split())
    if words and (len(words) <= MAX_NAME_CHARACTERS or not classifiers):
        named = spdx(words)
        if named in IDS.values() or not classifiers:
            return named if len(named) <= MAX_NAME_CHARACTERS else None
    return " OR ".join(map(spdx, classifiers)) or None


def spdx(words: str) -> str:
    """Return SPDX's name for a license that is spelled in another way, or the words as they are."""
    if words.lower() in IDS:
        return IDS[words.lower()]
    for name, spelling in SPELLINGS.items():
        # A whole text has its name in it, and ends in something else.
        if re.fullmatch(spelling, words, re.IGNORECASE):
            return name
    if re.search(r"Licensed under the Apache License, Version 2\.0", words):
        return "Apache-2.0"
    return words
