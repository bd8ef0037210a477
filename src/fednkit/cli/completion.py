"""Print a script with which a shell completes commands and options: fednkit completion bash."""

from dataclasses import dataclass
from typing import Literal

from ._app import build

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `fednkit completion`.

    Attributes:
        shell: Which shell the script is for.
    """

    shell: Literal["bash", "zsh", "fish"]


def run(options: Options) -> None:
    """Print the script. For bash: eval "$(fednkit completion bash)"."""
    print(build().generate_completion(shell=options.shell))
