"""Generate the passwords that compose.yaml requires, in .env, which git ignores."""

import re
import secrets
from dataclasses import dataclass

from ..package.signing import write
from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = ["Options", "run"]

# Compose's syntax for a required variable: ${NAME:?message}.
REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):\?")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit secrets`.

    Attributes:
        force: Replace the passwords of an existing .env.
    """

    force: bool = False


def run(options: Options) -> None:
    """Write a new password to .env for each variable that compose.yaml requires."""
    file, compose = current().root / ".env", current().root / "compose.yaml"
    if not compose.exists():
        raise ProjectError(
            f"{shown(compose)}: expected this file, found none; run: fednkit write compose.yaml"
        )
    before = file.read_text("utf-8") if file.exists() else None
    if before is not None and not options.force:
        raise ProjectError(
            f"{shown(file)} already exists; add --force to replace the passwords in it"
        )
    names = sorted(set(REQUIRED_VARIABLE.findall(compose.read_text("utf-8"))))
    write(file, env(names, before or ""))
    print(f"{shown(file)}: {', '.join(names)}, readable only by you")
    if before is not None:
        print(
            "existing volumes keep the old passwords; to delete the volumes: "
            "docker compose down --volumes"
        )


def env(names: list[str], before: str) -> str:
    """Return the text of .env: a new random value for each name, and the other lines of `before`.

    The values are 32 hexadecimal digits (128 bits), which need no quotes in shells, YAML or URLs.
    """
    kept = [line for line in before.splitlines() if line.partition("=")[0].strip() not in names]
    lines = [*kept, *(f"{name}={secrets.token_hex(16)}" for name in names)]
    return "\n".join(lines) + "\n"
