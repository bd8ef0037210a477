"""Checks of the archive and the lock file."""

import re
from collections.abc import Iterator

from packaging.requirements import Requirement

from ..package.archive import archive_bytes, package_files
from ..project.config import current
from ..project.requirements import read_requirements
from ._check import expect
from ._site import archive

PYTHONS = "3.10", "3.11", "3.12"
PLATFORMS = [
    {"sys_platform": "linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_machine": "arm64"},
    {"sys_platform": "win32", "platform_machine": "AMD64"},
]
ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.9"} | platform
    for python in PYTHONS
    for platform in PLATFORMS
]
REQUIREMENTS = "requirements.txt", "requirements-fedn.txt"


def the_same_sources_give_the_same_archive() -> None:
    again = archive_bytes(package_files(current().client))
    expect(archive() == again, "expected the same bytes from the same sources")


def requirements(name: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Yield each requirement of a file, with its hashes."""
    return read_requirements(current().root / name)


def pins(name: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the version specifiers of a file that apply to an environment, by package."""
    needs = [need for need, _ in requirements(name)]
    meant = [need for need in needs if need.marker is None or need.marker.evaluate(environment)]
    pinned = {need.name: str(need.specifier) for need in meant}
    expect(len(pinned) == len(meant), f"{name}: expected each requirement once")
    return pinned


def every_requirement_is_locked_at_its_version() -> None:
    for environment in ENVIRONMENTS:
        locked = pins("requirements.lock", environment)
        for name in REQUIREMENTS:
            for need, version in pins(name, environment).items():
                expect(
                    locked.get(need) == version,
                    f"{name}: {need}{version}: requirements.lock has "
                    f"{locked.get(need, 'none')} for {environment}; run: make lock",
                )


def what_a_platform_does_not_need_is_not_locked_for_it() -> None:
    for environment in ENVIRONMENTS:
        locked = set(pins("requirements.lock", environment))
        for name in REQUIREMENTS:
            everything = {need.name for need, _ in requirements(name)}
            unwanted = (everything - set(pins(name, environment))) & locked
            expect(not unwanted, f"requirements.lock: {unwanted} for {environment}; run: make lock")


def everything_is_locked_at_one_version_by_hashes() -> None:
    for need, hashes in requirements("requirements.lock"):
        name = need.name
        expect(
            re.fullmatch(r"==[\w.!+]+", str(need.specifier)) is not None and need.url is None,
            f"requirements.lock: {name}: expected one version, found {need}; run: make lock",
        )
        expect(
            bool(hashes) and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes),
            f"requirements.lock: {name}: expected SHA-256 hashes; run: make lock",
        )
        expect(name != "fednkit", "requirements.lock is the sites': expected no fednkit in it")


CHECKS = (
    the_same_sources_give_the_same_archive,
    every_requirement_is_locked_at_its_version,
    what_a_platform_does_not_need_is_not_locked_for_it,
    everything_is_locked_at_one_version_by_hashes,
)
