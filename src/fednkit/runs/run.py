"""The folder of one simulated run: what was asked, what came of it, and where to go on."""

import io
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fednsite.data.npz import Npz, NpzError
from fednsite.files import write_atomically

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown
from . import records

__all__ = ["Metrics", "Run", "Weights", "lower_is_better", "new_folder"]

# Of a model, and of its aggregator's state.
MAX_ARRAYS = 10_000

Weights = list[npt.NDArray[Any]]
Metrics = dict[str, float | None]


def new_folder(name: str) -> Path:
    """Make the folder of a run that starts now. Two that start in one second get two."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder, number = current().runs / f"{stamp}-{name}", 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = current().runs / f"{stamp}-{name}-{number}"


def lower_is_better(metric: str) -> bool:
    """Tell which way a metric points: a loss or an error down, everything else up."""
    return "loss" in metric or "error" in metric


def strict(value: Any) -> Any:
    """Return a value that is strict JSON: NaN and the infinities become None."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass
class Run:
    """A run's folder and what is in it so far.

    config: all options, the archive's SHA-256, versions, and what each client has.
    lines: one dictionary per round, that of the seed model first.
    baselines: what clients reach alone and with pooled data; empty when not computed.
    """

    folder: Path
    config: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)
    baselines: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, name: str, config: dict[str, Any], seed: bytes) -> "Run":
        """Make the folder of a run that starts now, with a copy of the seed model."""
        run = cls(new_folder(name), config)
        run._write("config.json", config)
        write_atomically(run.folder / "seed.npz", seed)
        return run

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a run's folder. Raises `ProjectError` when it is none, or nothing came of it."""
        known: dict[str, Any] = {}
        try:
            config = records.configuration(folder / "config.json")
            lines = list(records.lines(folder / "metrics.jsonl"))
            if not lines:
                raise ProjectError(f"{shown(folder)}: no round has ended in this run")
            if config["options"].get("metric") not in (None, *lines[0]["global"]):
                raise records.RecordError("metric: expected one that the rounds have")
            if (folder / "baselines.json").exists():
                file = folder / "baselines.json"
                known = records.baselines(file, lines[-1])
        except (OSError, records.RecordError) as error:
            raise ProjectError(f"{shown(folder)}: expected the folder of a run: {error}") from None
        return cls(folder, config, lines, known)

    def seed(self) -> Weights:
        """Return the weights that the first round started from."""
        arrays = self._arrays("seed.npz")
        if sorted(arrays) != sorted(map(str, range(len(arrays)))):
            raise ProjectError(f"{shown(self.folder)}: seed.npz: expected arrays under 0, 1, 2 ...")
        return [arrays[str(index)] for index in range(len(arrays))]

    def add(self, line: dict[str, Any]) -> None:
        """Add one round's line, also to the file."""
        self.lines.append(strict(line))
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.lines[-1]) + "\n")

    def add_baselines(self, baselines: dict[str, Any]) -> None:
        """Keep the baselines, also in a file."""
        self.baselines = strict(baselines)
        self._write("baselines.json", self.baselines)

    def checkpoint(self, weights: Weights, state: dict[str, Weights]) -> None:
        """Keep all that the next round depends on; written after the round's line."""
        groups = {"weights": weights, **state}
        arrays: dict[str, Any] = {
            f"{name}/{index}": array
            for name, group in groups.items()
            for index, array in enumerate(group)
        }
        buffer = io.BytesIO()
        np.savez(buffer, round=np.array(self.lines[-1]["round"]), **arrays)
        write_atomically(self.folder / "checkpoint.npz", buffer.getvalue())

    def restore(self) -> tuple[Weights, dict[str, Weights]]:
        """Return the last checkpoint's weights and state; drop lines that are newer than it."""
        groups: dict[str, Weights] = {}
        arrays = self._arrays("checkpoint.npz")
        number = arrays.pop("round", np.array(-1))
        for key in arrays:
            groups.setdefault(key.partition("/")[0], []).append(arrays[key])
        if number.shape or number.dtype.kind not in "iu" or number < 0 or "weights" not in groups:
            raise ProjectError(
                f"{shown(self.folder)}: no checkpoint to go on from: expected a round and weights"
            )
        last = int(number)
        self.lines = [line for line in self.lines if line["round"] <= last]
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_atomically(self.folder / "metrics.jsonl", text.encode())
        return groups.pop("weights"), groups

    @property
    def metric(self) -> str:
        """The metric that the run goes by."""
        return str(self.config["options"].get("metric") or next(iter(self.lines[0]["global"])))

    def series(self, metric: str) -> list[float | None]:
        """Return a metric of the global model, from the seed model to the last round."""
        return [line["global"].get(metric) for line in self.lines]

    def best(self) -> dict[str, Any]:
        """Return the line of the round with the best global model; the first one of equals."""
        sign = 1 if lower_is_better(self.metric) else -1
        values = self.series(self.metric)
        ranks = [math.inf if value is None else sign * value for value in values]
        return self.lines[ranks.index(min(ranks))]

    def _arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of one file; they unpack to no more than the file's own size."""
        file = self.folder / name

        def fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
            if dtype.kind not in "iuf":
                raise NpzError(f"expected numbers, found {dtype}")

        try:
            with file.open("rb") as content:
                arrays = Npz(content, members=MAX_ARRAYS, most=file.stat().st_size)
                names = [name.removesuffix(".npy") for name in arrays.names]
                return {name: arrays.read(f"{name}.npy", fit) for name in names}
        except (OSError, NpzError) as error:
            raise ProjectError(f"{shown(file)}: no checkpoint to go on from: {error}") from None

    def _write(self, name: str, value: Any) -> None:
        write_atomically(self.folder / name, (json.dumps(value, indent=2) + "\n").encode())
