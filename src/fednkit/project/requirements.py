"""Files of requirements: requirements.txt, requirements-fedn.txt and requirements.lock."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .errors import ProjectError
from .paths import shown

__all__ = ["read_requirements"]


def read_requirements(file: Path) -> Iterator[tuple[Requirement, list[str]]]:
    """Yield each requirement of a file, by its normalized name, with its hashes, sorted.

    Lines that hold only a comment or an option of pip are skipped. A hash is `ALGORITHM:DIGITS`.

    Raises:
        ProjectError: A line is not a requirement (PEP 508).
    """
    for line in file.read_text("utf-8").replace("\\\n", " ").splitlines():
        stated, *hashes = re.sub(r"(^|\s)#.*", "", line).split(" --hash=")
        if stated.strip() and not stated.startswith("-"):
            try:
                requirement = Requirement(stated)
            except InvalidRequirement:
                raise ProjectError(
                    f"{shown(file)}: expected NAME==VERSION, found {stated.strip()}"
                ) from None
            requirement.name = canonicalize_name(requirement.name)
            yield requirement, sorted(one.strip() for one in hashes)
