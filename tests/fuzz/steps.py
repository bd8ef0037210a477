"""A whole step with hostile files, as an entry point does it: the kind `step`."""

import contextlib
import importlib
import io
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from library import ENTRY_POINTS, write_site

from fednsite.execution import Site, execute
from fuzz.arrays import numbered, saved
from fuzz.kinds import Target, WrongError
from fuzz.models import corpus
from fuzz.mutation import ODD_JSON, as_text, broken, mangled

SETTINGS: dict[str, Any] = {"epochs": 1, "batch_size": 8, "learning_rate": 0.01}
PLAIN = json.dumps(SETTINGS).encode()
# The entry point, the model file, and the settings beside it.
Step = tuple[str, bytes, bytes]


def odd_settings(random: Random) -> bytes:
    """Return settings: good, odd or broken, of one epoch, so that no step takes long."""
    value = mangled(random, SETTINGS) if random.random() < 0.7 else SETTINGS
    if isinstance(value, dict):
        value = {k: v for k, v in value.items() if k != "epochs" or v == 1}
    return as_text(random, value)


def steps(like: list[Any]) -> dict[str, Step]:
    """Return steps by what is hostile in them; `like` are the weights of the package's model."""
    good = saved(numbered(like))
    large = saved(numbered([array + np.float32(1e25) for array in like]))
    return {
        **{name: (name, good, PLAIN) for name in ENTRY_POINTS},
        **{f"train, {what}": ("train", content, PLAIN) for what, content in corpus().items()},
        "validate, a pickle": ("validate", corpus()["a pickle"], PLAIN),
        "weights so large that training overflows": ("train", large, PLAIN),
        **{f"settings: {what}": ("train", good, text) for what, text in ODD_JSON.items()},
    }


def step(scratch: Path) -> Target:
    """Do a step with a hostile model file or hostile settings.

    It must end with 0 and its output, or with 1, one line, and no output at all.
    """
    os.environ["FEDN_DATA_PATH"] = str(write_site(scratch.parent / "site", rows=60))
    entry_points = {name: getattr(importlib.import_module(name), name) for name in ENTRY_POINTS}
    site = Site()
    like = site.model().get_weights()
    good = saved(numbered(like))
    model_in, sent, out = scratch / "in", scratch / "in-metadata", scratch / "out"

    def judge(case: Step) -> bool:
        name, content, metadata = case
        model_in.write_bytes(content)
        sent.write_bytes(metadata)
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            code = execute(entry_points[name], str(model_in), str(out), site)
        made = sorted(path.name for path in scratch.glob("*out*"))
        for path in scratch.glob("*out*"):
            path.unlink()
        text = printed.getvalue()
        if code == 0:
            if text or made != (["out", "out-metadata"] if name == "train" else ["out"]):
                raise WrongError(f"took it, made {made} and said {text!r}")
            return True
        if code != 1 or made or not text.startswith("error: ") or not text[:-1].isprintable():
            raise WrongError(f"refused it with {code}, made {made} and said {text!r}")
        return False

    def generate(random: Random) -> Step:
        name = random.choice(ENTRY_POINTS)
        content = broken(random, good) if random.random() < 0.5 else good
        return name, content, odd_settings(random)

    return Target(steps(like), list(entry_points), generate, judge)
