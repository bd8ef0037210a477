"""What is on disk after every round, and to go on from it when FEDn's server was lost.

What FEDn's server holds in memory goes with it; the newest global model and the metrics are on
this machine's disk after every round. With FEDn's fedavg the next round depends on the model
alone, so what comes out is what would have come without the loss, bit for bit. What fedopt has
learnt of the steps so far is in the server's memory, and begins anew.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from fedn import APIClient

from fednsite.files import write_atomically

from ..controller import upload
from ..data import seed
from ..package import archive
from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown
from ..runs import records
from .options import RoundOptions
from .rounds import Round

__all__ = ["advice", "before", "download", "model", "note", "plain", "save", "send"]

# What is asked of a run anew, and not taken from the one that it goes on with; of a session also
# with how many sites it may begin.
ASKED_ANEW = {"api_url", "token_env", "model", "resume"}
MAX_OPTION_CHARACTERS = 1000
# What an unusable record raises, besides what Python raises where something is missing.
RECORD_ERRORS = (records.RecordError, ProjectError, RecursionError, msgspec.ValidationError)

Options = TypeVar("Options", bound=RoundOptions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedOptions(RoundOptions):
    """The options of a recorded run, of either command.

    Attributes:
        sites: Number of sites; for a session, the fewest that a round may begin with.
        seed: Of the seed model.
    """

    sites: int | None = None
    seed: int = 0


def plain(options: RoundOptions) -> dict[str, Any]:
    """Return the options as JSON takes them."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(options).items()
    }


def before(
    options: Options, asked_anew: frozenset[str] = frozenset()
) -> tuple[Options, list[Round]]:
    """Return the options of the run to resume, and its rounds so far.

    Args:
        options: The command's. Without --resume they are returned as they are, and no round.
        asked_anew: More options that are not taken from the run.

    Raises:
        ProjectError: The folder is no such run, or no round of it is left to do.
    """
    run = options.resume
    if run is None:
        return options, []
    try:
        file = run / "metrics.json"
        if (size := file.stat().st_size) > records.MAX_ROUNDS_BYTES:
            raise ValueError(f"{size:,} bytes in metrics.json")
        found = json.loads(file.read_text("utf-8"))
        rounds = [_round(entry) for entry in found["rounds"]]
        anew = ASKED_ANEW | asked_anew
        known = {name: value for name, value in found["options"].items() if name not in anew}
        if any(
            isinstance(value, dict | list) or len(str(value)) > MAX_OPTION_CHARACTERS
            for value in known.values()
        ):
            raise TypeError("options: expected short texts and numbers")
        recorded = records.options(known, RecordedOptions)
        asked = {name: getattr(recorded, name) for name in known}
        total = asked["rounds"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, *RECORD_ERRORS) as error:
        why = "" if isinstance(error, OSError) else f": {error}"
        raise ProjectError(
            f"--resume: expected the folder of a run of `network` or `session start`, in which a "
            f"round has ended, found {shown(run)}{why}"
        ) from None
    # A round that failed brought nothing, so it is done again.
    rounds = [result for result in rounds if result.finished]
    if len(rounds) >= total:
        raise ProjectError(f"--resume: {shown(run)} has all of its {total} rounds")
    for number, result in enumerate(rounds, 1):
        result.number = number
    seed.check(model(options) or current().seed)
    return dataclasses.replace(options, **asked), rounds


def _round(entry: dict[str, Any]) -> Round:
    """Return a round as it stands in metrics.json, which may be a colleague's."""
    if not _is_plain(entry):
        raise ValueError("expected finite numbers and few levels of nesting in a round")
    # Without the metrics, whose whole numbers would become floats.
    result = msgspec.convert({**entry, "sites": {}}, Round)
    for site, metrics in entry.get("sites", {}).items():
        result.sites[site] = records.sent_metrics(json.dumps(metrics))
    return result


def _is_plain(value: Any, depth: int = 5) -> bool:
    """Tell whether a value of JSON is not nested deeply, and its numbers are no larger than any."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(one, depth - 1) for one in inner)
    return not isinstance(value, int | float) or abs(value) <= sys.float_info.max


def model(options: RoundOptions) -> Path | None:
    """Return the model file to go on from; None for the seed model."""
    if options.resume is None:
        return None
    file = options.resume / "model.npz"
    if not file.exists():
        raise ProjectError(f"{shown(file)}: expected the last global model, found none")
    return file


def send(api: APIClient, options: RoundOptions) -> None:
    """Hand the package and the last model to a controller that may have neither."""
    archive.check_fresh()
    upload.send(api, model(options))


def advice(command: str, folder: Path, api_url: str | None = None) -> str:
    """Explain how to resume a run, where there is a model to resume from."""
    if not (folder / "model.npz").exists():
        return ""
    url = f" --api-url {api_url}" if api_url else ""
    return f"; go on with: fednkit {command}{url} --resume {shown(folder)}"


def save(folder: Path, api: APIClient, results: list[Round], record: dict[str, Any]) -> None:
    """Write what there is so far: the newest global model, and all metrics."""
    if results[-1].model_id:
        download(api, results[-1].model_id, folder / "model.npz")
    note(folder, results, record)


def note(folder: Path, results: list[Round], record: dict[str, Any]) -> None:
    """Write the metrics of all rounds so far."""
    rounds = [{**dataclasses.asdict(result), "mean": result.mean()} for result in results]
    content = json.dumps({**record, "rounds": rounds}, indent=2)
    write_atomically(folder / "metrics.json", content.encode())


def download(api: APIClient, model: str, file: Path) -> None:
    """Save a global model as a file that is either whole or not there."""
    fresh = file.with_name(f".{file.name}.part")
    try:
        if not api.download_model(model, str(fresh))["success"]:
            raise ProjectError(f"the controller does not hand out model {model}")
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
