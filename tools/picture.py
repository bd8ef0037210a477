"""Record a newcomer's first commands as docs/first-day.svg: they run, and what they print is drawn.

.venv/bin/python tools/picture.py
"""

import html
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "first-day.svg"
WIDTH = 104
# What is shown, and what runs for it.
STEPS = (
    (
        "cookiecutter --no-input cookiecutter-fedn",
        f"'{sys.executable}' -B -m cookiecutter --no-input '{ROOT}'",
    ),
    ("cd fraud-detection", "true"),
    (
        "make setup network",
        f"make -C fraud-detection --no-print-directory setup network PYTHON='{sys.executable}'",
    ),
)


def record(folder: Path) -> list[str]:
    """Run the steps in a folder and return the lines that a person would see."""
    environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONUTF8": "1"}
    lines: list[str] = []
    for shown, command in STEPS:
        result = subprocess.run(  # noqa: S602 - the commands stand above
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,  # what pip warns of is this machine's own affair
            text=True,
            check=True,
        )
        lines += [f"$ {shown}", *result.stdout.rstrip().splitlines()]
    return lines


def draw(lines: list[str]) -> str:
    """Return the lines as SVG, in whatever monospaced font the reader has."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in lines:
        console.print(Text(line, style="bold" if line.startswith("$ ") else ""))
    svg = console.export_svg(title="the first five minutes", theme=MONOKAI, unique_id="first-day")
    # Rich names fonts on a server; a picture in a repository fetches nothing.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def text_of(svg: str) -> list[str]:
    """Return the lines that a picture shows."""
    rows: dict[str, list[tuple[float, str]]] = {}
    # Lines are clipped to the window; its title is not.
    line = r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*clip-path[^>]*>(.*?)</text>'
    for x, y, text in re.findall(line, svg):
        rows.setdefault(y, []).append((float(x), html.unescape(text).replace("\xa0", " ")))
    ordered = sorted(rows.items(), key=lambda row: float(row[0]))
    return ["".join(text for _, text in sorted(parts)).rstrip() for _, parts in ordered]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(draw(record(Path(folder))), encoding="utf-8", newline="\n")
    print(PICTURE.relative_to(ROOT))
