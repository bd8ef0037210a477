"""Make the passwords that compose.yaml asks for: random ones, in .env, which is never committed."""

import re
import secrets
from dataclasses import dataclass

from ..package.signing import write
from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = ["Options", "run"]

# What must be set, as Compose writes it: ${NAME:?what to do}.
REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):\?")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit secrets`.

    Attributes:
        force: Replace the passwords of an existing .env.
    """

    force: bool = False


def run(options: Options) -> None:
    """Write a new password for each variable that compose.yaml asks for into .env."""
    file, compose = current().root / ".env", current().root / "compose.yaml"
    if not compose.exists():
        raise ProjectError(
            f"{shown(compose)}: expected it, found none; run: fednkit write compose.yaml"
        )
    before = file.read_text("utf-8") if file.exists() else None
    if before is not None and not options.force:
        raise ProjectError(
            f"{shown(file)} is already there; add --force to replace the passwords in it"
        )
    names = sorted(set(REQUIRED_VARIABLE.findall(compose.read_text("utf-8"))))
    write(file, env(names, before or ""))
    print(f"{shown(file)}: {', '.join(names)}, for nobody but you to read")
    if before is not None:
        print("volumes keep the old ones; to delete them: docker compose down --volumes")


def env(names: list[str], before: str) -> str:
    """Return the text of .env: a new random value for each name, and the other lines of `before`.

    The values are 32 hexadecimal digits, 128 bits: no shell, YAML or URL reads them otherwise.
    """
    kept = [line for line in before.splitlines() if line.partition("=")[0].strip() not in names]
    lines = [*kept, *(f"{name}={secrets.token_hex(16)}" for name in names)]
    return "\n".join(lines) + "\n"
