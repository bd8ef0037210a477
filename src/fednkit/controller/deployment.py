"""Write a file that deploys FEDn's servers: fednkit write compose.yaml|nginx.conf."""

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from fednsite.files import write_atomically

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = ["FILES", "Options", "run"]

File = Literal["compose.yaml", "nginx.conf"]
FILES: dict[File, str] = {
    "compose.yaml": "the whole network in containers on this machine, for trials",
    "nginx.conf": "FEDn's controller and combiner behind https, with tokens",
}
# Stands in these files for the project's slug.
SLUG_PLACEHOLDER = "PROJECT-SLUG"


@dataclass(frozen=True)
class Options:
    """Options of `fednkit write`.

    Attributes:
        file: compose.yaml: the whole network in containers on this machine, for trials;
            nginx.conf: FEDn's controller and combiner behind https, with tokens.
        force: Replace an existing file.
    """

    file: File
    force: bool = field(default=False, kw_only=True)


def run(options: Options) -> None:
    """Write the file into the project's root."""
    target = current().root / options.file
    if target.exists() and not options.force:
        raise ProjectError(f"{shown(target)} is already there; add --force to replace it")
    text = (files(__package__) / options.file).read_text("utf-8")
    write_atomically(target, text.replace(SLUG_PLACEHOLDER, current().slug).encode())
    print(f"{shown(target)}: {FILES[options.file]}; its first lines say how to use it")
