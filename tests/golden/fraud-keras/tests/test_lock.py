"""requirements.lock: what the sites install is what the requirements ask for."""

import re
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

from federation.project import ROOT

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


def requirements(name: str) -> Iterator[tuple[Requirement, set[str]]]:
    """Yield each requirement of a file, with its hashes."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    # Without pip's options: where the lock says to look for PyTorch's builds.
    for line in re.sub(r"(?m)^--.*", "", text).splitlines():
        need, *hashes = line.partition("#")[0].split(" --hash=")
        if need.strip():
            yield Requirement(need), {one.strip() for one in hashes}


def pins(name: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the versions that a file asks for in an environment."""
    needs = [need for need, _ in requirements(name)]
    meant = [need for need in needs if need.marker is None or need.marker.evaluate(environment)]
    pinned = {re.sub(r"[-_.]+", "-", need.name.lower()): str(need.specifier) for need in meant}
    assert len(pinned) == len(meant), "a requirement is there twice"
    return pinned


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda one: " ".join(one.values()))
def test_every_requirement_is_locked_at_its_version(environment: dict[str, str]) -> None:
    locked = pins("requirements.lock", environment)
    for name in ("requirements.txt", "requirements-fedn.txt"):
        wanted = pins(name, environment)
        found = {need: locked.get(need) for need in wanted}
        assert found == wanted, f"{name} has changed: renew requirements.lock with 'make lock'"


def test_a_requirement_that_a_platform_does_not_need_is_not_locked_for_it() -> None:
    for name in ("requirements.txt", "requirements-fedn.txt"):
        everything = {need.name.lower() for need, _ in requirements(name)}
        for environment in ENVIRONMENTS:
            unwanted = everything - set(pins(name, environment))
            assert unwanted & set(pins("requirements.lock", environment)) == set()


def test_everything_is_locked_at_one_version_by_hashes_and_from_no_address() -> None:
    for need, hashes in requirements("requirements.lock"):
        assert re.fullmatch(r"==[\w.!+]+", str(need.specifier)), need
        assert need.url is None, need
        assert hashes, need
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), need
