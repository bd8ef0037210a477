"""Where the project keeps its things."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD: dict[str, str] = json.loads((ROOT / "federation" / "project.json").read_text("utf-8"))
SLUG = RECORD["slug"]
VERSION = RECORD["version"]

CLIENT = ROOT / "client"
ARCHIVE = ROOT / f"{SLUG}.tar.gz"
SEED = ROOT / "seed.npz"
DATA = ROOT / "data"
RUNS = ROOT / "runs"


class ProjectError(Exception):
    """A mistake that a person can mend; the message is one line that says how."""


def shown(path: Path) -> str:
    """Return a path as a person wants to read it: from where they stand, if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def by_number(name: str) -> tuple[int, str]:
    """Return a sort key that puts site-2 before site-10."""
    return len(name), name
