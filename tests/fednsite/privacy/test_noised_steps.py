"""Training steps under differential privacy: the noise of an update, its statement, its budget."""

import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fedn.utils.helpers.helpers import get_helper
from library import Package

from fednsite import weights
from fednsite.data.examples import Array
from fednsite.execution import Site, execute
from fednsite.privacy.accounting import epsilon

# Standard errors that a measured figure may be off: by chance, once in 500 million tests.
SIGMAS = 6

pytestmark = pytest.mark.usefixtures("site_data")
with_opendp = pytest.mark.skipif(find_spec("opendp") is None, reason="opendp is not installed")


def flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.astype(np.float64).ravel() for array in arrays])


def train(
    package: Package, folder: Path, **sent: Any
) -> tuple[list[Array], list[Array], dict[str, Any]]:
    """Run a step; return the model it received, its update and the metadata of that."""
    site = Site()
    seed = site.model().get_weights()
    rng = np.random.default_rng(0)
    received = [rng.normal(0, 0.1, array.shape).astype(array.dtype) for array in seed]
    get_helper("numpyhelper").save(received, str(folder / "in.npz"))
    (folder / "in.npz-metadata").write_text(json.dumps({"epochs": 1, **sent}))
    assert execute(package.train, str(folder / "in.npz"), str(folder / "out"), site) == 0
    metadata = json.loads((folder / "out-metadata").read_text("utf-8"))
    return received, weights.load(folder / "out", like=seed), metadata


def test_two_equal_steps_send_different_noise_of_the_strength_that_was_asked_for(
    package: Package, tmp_path: Path
) -> None:
    sent = [flat(train(package, tmp_path, noise=0.5, clip=3.0, budget=50.0)[1]) for _ in range(2)]
    # Equal steps train alike, so that their difference is that of their noise.
    difference = (sent[0] - sent[1]) / (0.5 * 3.0 * math.sqrt(2))
    squares = float(np.square(difference).sum())
    assert abs(squares - len(difference)) < SIGMAS * math.sqrt(2 * len(difference))


def test_an_update_states_its_terms_and_what_they_have_added_up_to(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opendp", None)
    for count in (1, 2):
        _, _, metadata = train(package, tmp_path, noise=2, clip=0.5, budget=9, delta=1e-6)
        assert metadata == {
            "num_examples": len(package.data.load("train")),
            "privacy": {
                "noise": 2.0,
                "clip": 0.5,
                "budget": 9.0,
                "delta": 1e-6,
                "epsilon": epsilon({2.0: count}, 1e-6),
                "updates": count,
                "safe_updates": 0,
                "exhausted": False,
                "noise_source": "floating point",
            },
        }


@with_opendp
def test_an_update_with_noise_from_opendp_states_so_and_how_many_did_before(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_SAFE_NOISE", "1")
    _, _, metadata = train(package, tmp_path, noise=2)
    assert metadata["privacy"]["noise_source"] == "opendp"
    assert metadata["privacy"]["safe_updates"] == 1
    monkeypatch.delenv("PRIVACY_SAFE_NOISE")
    monkeypatch.setitem(sys.modules, "opendp", None)
    _, _, metadata = train(package, tmp_path, noise=2)
    assert metadata["privacy"]["noise_source"] == "floating point"
    assert (metadata["privacy"]["updates"], metadata["privacy"]["safe_updates"]) == (2, 1)


def test_without_opendp_a_site_that_demands_safe_noise_sends_and_counts_nothing(
    package: Package,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PRIVACY_SAFE_NOISE", "1")
    monkeypatch.setenv("PRIVACY_NOISE", "2")
    monkeypatch.setitem(sys.modules, "opendp", None)
    seed = Site().model().get_weights()
    get_helper("numpyhelper").save(seed, str(tmp_path / "in.npz"))
    assert execute(package.train, str(tmp_path / "in.npz"), str(tmp_path / "out"), Site()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: PRIVACY_SAFE_NOISE: expected OpenDP's noise, found: ")
    assert "nothing was sent" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", "site"]


def test_a_budget_that_is_used_up_sends_the_model_back_as_it_came(
    package: Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    received, sent, metadata = train(package, tmp_path, noise=1, budget=6)
    assert (metadata["privacy"]["exhausted"], capsys.readouterr().out) == (False, "")
    assert not np.array_equal(flat(received), flat(sent))
    received, sent, metadata = train(package, tmp_path, noise=1, budget=6)
    assert all(map(np.array_equal, received, sent))
    assert metadata["num_examples"] == 1
    assert metadata["privacy"]["exhausted"] is True
    assert metadata["privacy"]["updates"] == 1
    assert metadata["privacy"]["epsilon"] < 6
    printed = f"privacy: the budget is used up; the model is returned unchanged: {tmp_path}"
    assert capsys.readouterr().out.startswith(printed)


def test_without_noise_there_is_no_trace_of_it(package: Package, tmp_path: Path) -> None:
    _, _, metadata = train(package, tmp_path)
    assert metadata == {"num_examples": len(package.data.load("train"))}
    assert not list(tmp_path.glob("*ledger*"))


def test_no_server_weakens_what_a_site_has_set(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("NOISE", "3"), ("CLIP", "0.5"), ("BUDGET", "2"), ("DELTA", "1e-6")):
        monkeypatch.setenv(f"PRIVACY_{name}", value)
    asked = {"noise": 0.0, "clip": 1e6, "budget": 1e9, "delta": 0.9}
    received, sent, metadata = train(package, tmp_path, **asked)
    own = {name: metadata["privacy"][name] for name in asked}
    assert own == {"noise": 3.0, "clip": 0.5, "budget": 2.0, "delta": 1e-6}
    change = flat(sent) - flat(received)
    # The noise, and a change of at most 0.5.
    assert np.std(change) == pytest.approx(1.5, rel=SIGMAS / math.sqrt(2 * len(change)) + 0.01)
