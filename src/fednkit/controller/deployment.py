"""Write a file that deploys FEDn's servers: fednkit write compose.yaml|nginx.conf."""

import argparse
from importlib.resources import files

from fednsite.files import write_atomically

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = ["FILES", "add_options", "run"]

FILES = {
    "compose.yaml": "the whole network in containers on this machine, for trials",
    "nginx.conf": "FEDn's controller and combiner behind https, with tokens",
}
# Stands in these files for the project's slug.
SLUG_PLACEHOLDER = "PROJECT-SLUG"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fednkit write`."""
    which = "; ".join(f"{name}: {words}" for name, words in FILES.items())
    parser.add_argument("file", choices=tuple(FILES), help=which)
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(options: argparse.Namespace) -> None:
    """Write the file into the project's root."""
    target = current().root / options.file
    if target.exists() and not options.force:
        raise ProjectError(f"{shown(target)} is already there; add --force to replace it")
    text = (files(__package__) / options.file).read_text("utf-8")
    write_atomically(target, text.replace(SLUG_PLACEHOLDER, current().slug).encode())
    print(f"{shown(target)}: {FILES[options.file]}; its first lines say how to use it")
