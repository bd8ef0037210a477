"""Read a project's defaults for options from [tool.fednkit.COMMAND] in pyproject.toml."""

import itertools
import re
import sys
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict

from ..project.config import FILE, current
from ..project.errors import ProjectError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["explained", "project_defaults"]

ROOT_KEYS = ("tool", "fednkit")
# Cyclopts' notation for a key of the file.
FROM_FILE = re.compile(
    rf'"?\[tool\]\[fednkit\](?:\[[\w-]+\])*?\[([\w-]+)\]"? from {re.escape(FILE)}'
)


def project_defaults(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Add the project's defaults for missing options; Cyclopts calls this with its arguments.

    Raises:
        CycloptsError: A default names an unknown option or has the wrong type.
        ProjectError: The file is not TOML.
    """
    if not commands or (file := _file()) is None:
        return
    Dict(_read(file), root_keys=ROOT_KEYS, source=FILE)(app, commands, arguments)


def explained(message: str, words: list[str]) -> str:
    """Add the file and line to an error that a project's default caused; return the message.

    Args:
        message: The error; the first option that it names is the wrong one.
        words: The command line.
    """
    file = _file()
    from_file = FROM_FILE.search(message)
    option = from_file or re.search("--([a-z-]+)", message)
    if file is None or option is None or f"--{option[1]}" in _given(words):
        return message
    line = _line(file, words, option[1])
    if from_file is None and line is None:
        return message
    place = str(file) if line is None else f"{file}, line {line}"
    return f"{place}: {FROM_FILE.sub(lambda found: found[1], message)}"


def _file() -> Path | None:
    """Return the project's pyproject.toml; None outside a project."""
    try:
        return current().root / FILE
    except ProjectError:
        return None


def _read(file: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        return known
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{file}: expected TOML: {error}") from None


def _given(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def _line(file: Path, words: list[str], option: str) -> int | None:
    """Return the line of an option in the table of the command, counted from 1."""
    commands = list(itertools.takewhile(re.compile("[a-z][a-z-]*").fullmatch, words))
    tables = {f"[{'.'.join((*ROOT_KEYS, *commands[:count]))}]" for count in (1, 2)}
    inside = False
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        entry = line.strip()
        if entry.startswith("["):
            inside = entry.partition("#")[0].rstrip() in tables
        elif inside and re.match(rf'"?{re.sub("[-_]", "[-_]", option)}"?\s*=', entry):
            return number
    return None
