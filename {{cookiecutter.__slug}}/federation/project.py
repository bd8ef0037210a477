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


# Characters of a message: enough for many paths.
LONGEST = 4000


class ProjectError(Exception):
    """A mistake that a person can mend; the message is one line that says how."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(message: str) -> str:
    """Return a text that is safe to print, whatever it quotes from a stranger's file.

    Line ends, escapes that move a terminal's cursor and halves of characters are spelt out, as
    in Python's source; what is too long for a log is cut off.
    """
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message[:LONGEST])
    return text if max(len(text), len(message)) <= LONGEST else f"{text[:LONGEST]} ..."


def shown(path: Path) -> str:
    """Return a path as a person wants to read it: from where they stand, if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def by_number(name: str) -> tuple[int, str]:
    """Return a sort key that puts site-2 before site-10."""
    return len(name), name
