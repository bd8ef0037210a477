"""Run a newcomer's first commands and draw their output as docs/first-day.svg.

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
# The command in the picture, and the command that runs for it.
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
    """Run the steps in a folder and return the lines of a terminal."""
    environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONUTF8": "1"}
    lines: list[str] = []
    for shown, command in STEPS:
        result = subprocess.run(  # noqa: S602 - the commands are constants
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,  # stderr has only pip's warnings about this machine
            text=True,
            check=True,
        )
        lines += [f"$ {shown}", *result.stdout.rstrip().splitlines()]
    return lines


def draw(lines: list[str]) -> str:
    """Return the lines as SVG in the reader's monospaced font."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in lines:
        console.print(Text(line, style="bold" if line.startswith("$ ") else ""))
    svg = console.export_svg(title="the first five minutes", theme=MONOKAI, unique_id="first-day")
    # Rich links to fonts on a server, which the picture must not load.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def text_of(svg: str) -> list[str]:
    """Return the lines of text in a picture."""
    rows: dict[str, list[tuple[float, str]]] = {}
    # Unlike the title, the lines have a clip path.
    line = r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*clip-path[^>]*>(.*?)</text>'
    for x, y, text in re.findall(line, svg):
        rows.setdefault(y, []).append((float(x), html.unescape(text).replace("\xa0", " ")))
    ordered = sorted(rows.items(), key=lambda row: float(row[0]))
    return ["".join(text for _, text in sorted(parts)).rstrip() for _, parts in ordered]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(draw(record(Path(folder))), encoding="utf-8", newline="\n")
    print(PICTURE.relative_to(ROOT))
