"""Print a shell script that completes commands and options: fednkit completion bash."""

from dataclasses import dataclass
from typing import Literal

from ._app import build

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `fednkit completion`.

    Attributes:
        shell: The shell that runs the script.
    """

    shell: Literal["bash", "zsh", "fish"]


def run(options: Options) -> None:
    """Print the script. For bash: eval "$(fednkit completion bash)"."""
    print(build().generate_completion(shell=options.shell))
