"""Print which library runs (fednkit where), and check whether it is the one in vendor/."""

import hashlib
import json
import re
import zipfile
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = [
    "Installation",
    "check_installed",
    "check_wheel",
    "installation",
    "run",
]

PACKAGES = "fednkit", "fednsite"
ADVICE = "run: make setup"


class Installation(NamedTuple):
    """The installed library: its version, its folder, and whether it is a checkout."""

    version: str
    folder: Path
    editable: bool

    @property
    def words(self) -> str:
        """A one-line description."""
        kind = "a checkout in the place of vendor/" if self.editable else "installed"
        return f"{self.version}, {kind}: {self.folder}"


def run() -> None:
    """Print which library runs."""
    print(f"fednkit {installation().words}")


def installation() -> Installation:
    """Return the library that runs here. Raises `ProjectError` if it is not installed."""
    try:
        distribution = metadata.distribution("fednkit")
    except metadata.PackageNotFoundError:
        raise ProjectError(f"expected fednkit to be installed, found none; {ADVICE}") from None
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = bool(direct.get("dir_info", {}).get("editable"))
    return Installation(distribution.version, Path(str(files("fednkit"))).parent, editable)


def check_wheel() -> None:
    """Raise `ProjectError` unless the wheel in vendor/ has the recorded hash."""
    wheel = _wheel()
    text = (wheel.parent / "requirements.txt").read_text("utf-8")
    expected = re.findall("--hash=sha256:([0-9a-f]{64})", text)
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if expected != [found]:
        raise ProjectError(
            f"{shown(wheel)} was changed: expected SHA-256 {', '.join(expected) or 'none'}, found "
            f"{found}; restore it from git, or by: cruft update"
        )


def check_installed() -> None:
    """Raise `ProjectError` unless the installed files are those of the wheel in vendor/."""
    wheel, root = _wheel(), installation().folder
    with zipfile.ZipFile(wheel) as archive:
        expected = {
            name: archive.read(name)
            for name in archive.namelist()
            if name.partition("/")[0] in PACKAGES and not name.endswith("/")
        }
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if "__pycache__" not in path.parts and path.is_file()
    }
    differing = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if differing:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise ProjectError(
            f"{root / differing[0]}{more}: expected the content of {shown(wheel)}, found another; "
            f"{ADVICE}"
        )


def _wheel() -> Path:
    folder = current().root / "vendor"
    found = sorted(folder.glob("fednkit-*.whl"))
    if len(found) != 1:
        raise ProjectError(f"{shown(folder)}: expected one fednkit-*.whl, found {len(found)}")
    return found[0]
