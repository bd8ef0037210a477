"""The options of `network` and `session` for rounds on a network."""

from dataclasses import dataclass
from pathlib import Path

from ..aggregation.server_functions import AggregationOptions
from ..controller.connection import ControllerOptions
from ..project.errors import ProjectError

__all__ = ["Download", "RoundOptions", "Start", "Watch"]


@dataclass(frozen=True, kw_only=True)
class RoundOptions(AggregationOptions):
    """Options for the number and duration of rounds.

    Attributes:
        rounds: Number of rounds.
        round_timeout: Seconds after which a round ends with the updates that have arrived.
        resume: Continue this run, such as runs/..., from its last model and with its options.

    Raises:
        ProjectError: An option is out of range or conflicts with another one.
    """

    rounds: int = 3
    round_timeout: float = 180
    resume: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds < 1:
            raise ProjectError(f"--rounds: expected 1 or more, found {self.rounds}")
        if not self.round_timeout > 0:
            raise ProjectError(f"--round-timeout: expected seconds, found {self.round_timeout:g}")


@dataclass(frozen=True, kw_only=True)
class Start(RoundOptions, ControllerOptions):
    """Options of `fednkit session start`.

    Attributes:
        sites: Number of sites that must be online to start.
        model: Id of the model to start from (default: the newest).
    """

    sites: int = 1
    model: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sites < 1:
            raise ProjectError(f"--sites: expected 1 or more, found {self.sites}")
        if self.model and self.resume:
            raise ProjectError("--model and --resume: expected one of them, found both")


@dataclass(frozen=True)
class _SessionId:
    session: str | None = None


# Cyclopts finds positional arguments only before all other fields, which is the order of the bases.
@dataclass(frozen=True)
class Watch(ControllerOptions, _SessionId):
    """Options of `fednkit session watch`.

    Attributes:
        session: Id of the session (default: the newest).
    """


@dataclass(frozen=True, kw_only=True)
class Download(ControllerOptions):
    """Options of `fednkit session download`.

    Attributes:
        model: Id of the model (default: the newest).
        out: File to write.
        force: Overwrite an existing file.
    """

    model: str | None = None
    out: Path = Path("model.npz")
    force: bool = False
