"""Write or read a model file once, or run a whole train step on it.

    PROJECT/.venv/bin/python weights_case.py raw|stored|compressed|ours|step write|read FILE MB

`weights.py` starts it in a project's `client` folder, with the library that the project installed.
Prints JSON with the seconds, the file's size, and the peak memory on top of the imports.
"""

import importlib
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, os.curdir)
from fednsite import weights
from fednsite.execution import Site, execute

Arrays = list[npt.NDArray[Any]]


def model_of(megabytes: int) -> Arrays:
    """Return layers like trained ones: float32, small values, incompressible."""
    random = np.random.default_rng(0)
    numbers = megabytes * 1_000_000 // 4
    shapes = [(1000, numbers // 4000)] * 3 + [(numbers // 4,), (10,)]
    arrays = [random.standard_normal(shape, dtype=np.float32) for shape in shapes]
    for array in arrays:
        array *= 0.05
    return arrays


def write(case: str, file: Path, model: Arrays) -> None:
    """Write the model in the format of a case."""
    keyed: dict[str, Any] = {str(number): array for number, array in enumerate(model)}
    with file.open("wb") as out:
        if case == "raw":
            for array in model:
                out.write(array.data)
        elif case == "stored":
            np.savez(out, **keyed)
        elif case == "compressed":
            np.savez_compressed(out, **keyed)
        else:
            weights.save(out, model, like=model)


def read(case: str, file: Path, like: Arrays) -> Arrays:
    """Read the model in the format of a case."""
    if case == "raw":
        with file.open("rb") as source:
            arrays = [np.empty_like(array) for array in like]
            for array in arrays:
                source.readinto(array.data.cast("B"))
            return arrays
    if case == "ours":
        return weights.load(file, like=like)
    with np.load(file) as archive:
        return [archive[key] for key in archive.files]


class Idle:
    """A classifier that stores its weights and learns nothing."""

    model: Arrays

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> None:
        pass

    def get_weights(self) -> Arrays:
        """Return copies of the weights."""
        return [array.copy() for array in self.model]

    def set_weights(self, arrays: Arrays) -> None:
        """Set copies of the weights."""
        type(self).model = [array.copy() for array in arrays]

    def fit(self, examples: Any, settings: Any, seed: int) -> None:
        """Do nothing."""


def memory(kind: str) -> int:
    """Return this process's memory in bytes; VmRSS is the current size, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def main(case: str, action: str, file: Path, megabytes: int) -> None:
    """Run one case and print its measurements."""
    if case == "step":
        stand_in = types.ModuleType("model.classifier")
        vars(stand_in)["Classifier"] = Idle
        sys.modules[stand_in.__name__] = stand_in
        site = Site()
        site.examples("train")
        # The function in the package's train.py.
        entry_point = importlib.import_module("train").train
    before = memory("VmRSS")
    Idle.model = model = model_of(megabytes)
    if case == "step":
        del model
    start = time.perf_counter()
    if case == "step":
        execute(entry_point, str(file), str(file.with_name("update.npz")), site)
    elif action == "write":
        write(case, file, model)
    else:
        read(case, file, model)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "seconds": seconds,
                "megabytes": file.stat().st_size / 1e6,
                "peak": (memory("VmHWM") - before) / (megabytes * 1e6),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
