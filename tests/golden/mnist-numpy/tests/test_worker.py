"""The resident worker: whatever it did before, a step gives what it gives alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fedn.utils.helpers.helpers import get_helper

from model import data
from model.classifier import Classifier

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs Unix sockets")
Result = dict[str, str | bytes]


class Client:
    """This process in the part of FEDn's client, with a package that it has started up."""

    def __init__(self, package: Path, models: Path) -> None:
        self.package = package
        self.models = models
        assert self.python("worker.py").returncode == 0
        deadline = time.monotonic() + 60
        while not self.socket() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.started = self.socket()
        assert len(self.started) == 1

    def socket(self) -> list[int]:
        """Return what tells one worker from another."""
        return [path.stat().st_ino for path in self.package.glob(".worker/*-*") if path.is_socket()]

    def step(self, step: str, model: str, **environment: str) -> Result:
        """Do a step; return its exit code, what it said and what it wrote."""
        out = self.models / "out"
        done = self.python(f"{step}.py", str(self.models / model), str(out), **environment)
        result: Result = {"exit": str(done.returncode), "out": done.stdout, "err": done.stderr}
        for file in (out, self.models / "out-metadata"):
            if file.exists():
                result[file.name] = file.read_bytes()
                file.unlink()
        return result

    def alone(self, step: str, model: str) -> Result:
        """Do a step without the worker."""
        return self.step(step, model, RESIDENT_WORKER="off")

    def python(self, *command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        # pytest changes it between a fixture and its test, and a worker keeps to its environment.
        kept = {name: os.environ[name] for name in os.environ if name != "PYTEST_CURRENT_TEST"}
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.package,
            env=kept | environment,
            capture_output=True,
            check=False,
        )


@pytest.fixture
def client(
    unpacked: Path, sites: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client with a site's data and four models: two good ones with their settings, two not."""
    shutil.copytree(sites[0], tmp_path / "site")
    monkeypatch.setenv("FEDN_DATA_PATH", str(tmp_path / "site"))
    models = tmp_path / "models"
    models.mkdir()
    settings: dict[str, dict[str, object]] = {
        "one": {},
        "two": {"epochs": 1, "seed": 5},
        "wrong": {"epochs": "many"},
    }
    for seed, (name, sent) in enumerate(settings.items()):
        weights = Classifier(data.input_shape(), data.num_classes(), seed).get_weights()
        get_helper("numpyhelper").save(weights, str(models / f"{name}.npz"))
        (models / f"{name}.npz-metadata").write_text(json.dumps(sent))
    get_helper("numpyhelper").save([np.zeros(3, dtype=np.float32)], str(models / "foreign.npz"))
    yield Client(unpacked, models)
    # Its worker looks for it.
    shutil.rmtree(unpacked)


def test_steps_in_any_order_give_what_they_give_alone(client: Client) -> None:
    kinds = [
        *((step, f"{model}.npz") for step in ("train", "validate") for model in ("one", "two")),
        ("predict", "one.npz"),
        ("train", "wrong.npz"),
        ("train", "foreign.npz"),
    ]
    alone = {kind: client.alone(*kind) for kind in kinds}
    assert [alone[kind]["exit"] for kind in kinds] == ["0", "0", "0", "0", "0", "1", "1"]
    assert len({str(result) for result in alone.values()}) == len(kinds)

    for number in np.random.default_rng(0).permutation(3 * len(kinds)):
        kind = kinds[number % len(kinds)]
        assert client.step(*kind) == alone[kind], kind
    # One worker did them all.
    assert client.socket() == client.started


def test_data_that_changed_on_disk_is_read_again(client: Client, sites: list[Path]) -> None:
    before = client.step("train", "one.npz")
    (own,) = Path(os.environ["FEDN_DATA_PATH"]).iterdir()
    (other,) = sites[1].iterdir()
    shutil.copy(other, own)
    after = client.step("train", "one.npz")
    assert after["exit"] == "0"
    assert after != before
    assert client.socket() == client.started
    assert after == client.alone("train", "one.npz")


def test_updates_with_noise_are_counted_whoever_does_the_step(
    client: Client, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.json"
    own = {"PRIVACY_NOISE": "2", "PRIVACY_BUDGET": "4", "PRIVACY_LEDGER": str(ledger)}

    def train() -> tuple[bool, int]:
        told = client.step("train", "one.npz", **own)["out-metadata"]
        privacy = json.loads(told)["privacy"]
        return privacy["exhausted"], privacy["updates"]

    # The worker knows nothing of these terms: the step works alone, and leaves one that does.
    assert train() == (False, 1)
    deadline = time.monotonic() + 60
    # There are two for a moment: the new one takes the old one's place.
    while len(knowing := client.socket()) != 1 or knowing == client.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # And counts on from what the other process counted.
    assert [train() for _ in range(3)] == [(False, 2), (False, 3), (True, 3)]
    assert client.socket() == knowing
    assert json.loads(ledger.read_text("utf-8"))["updates"] == {"2.0": 3}
