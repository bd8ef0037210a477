"""Checks of the resident worker: a step's result must not depend on earlier steps."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fedn.utils.helpers.helpers import get_helper

from fednsite.interfaces import new_classifier
from fednsite.privacy.ledger import Ledger

from ._check import expect
from ._entry_points import data_module
from ._site import Machine, machine, site_folders

START_UP_SECONDS = 60
Result = dict[str, str | bytes]


class Client:
    """A stand-in for FEDn's client whose package has started its worker."""

    def __init__(self, site: Machine) -> None:
        self.site, self.models = site, site.folder / "models"
        self.data = site.folder / "data"
        shutil.copytree(site_folders()[0], self.data)
        self._write_models()
        self._python("-m", "fednsite.worker")
        self.wait_for_worker([])
        self.started = self.sockets()

    def _write_models(self) -> None:
        """Write two valid models with settings, one with wrong settings, and a foreign one."""
        self.models.mkdir()
        helper = get_helper("numpyhelper")
        sent: dict[str, dict[str, object]] = {"one": {}, "two": {"seed": 5}, "wrong": {"seed": "x"}}
        for seed, (name, settings) in enumerate(sent.items()):
            weights = new_classifier(data_module(), seed).get_weights()
            helper.save(weights, str(self.models / f"{name}.npz"))
            (self.models / f"{name}.npz-metadata").write_text(json.dumps(settings), "utf-8")
        helper.save([np.zeros(3, dtype=np.float32)], str(self.models / "foreign.npz"))

    def sockets(self) -> list[int]:
        """Return the inodes of the workers' sockets, which identify the workers."""
        found = self.site.package.glob(".worker/*-*")
        return [path.stat().st_ino for path in found if path.is_socket()]

    def wait_for_worker(self, before: list[int]) -> None:
        """Wait until a single worker runs, other than the earlier one."""
        deadline = time.monotonic() + START_UP_SECONDS
        while len(now := self.sockets()) != 1 or now == before:
            expect(time.monotonic() < deadline, "expected a resident worker, found none")
            time.sleep(0.01)

    def step(self, name: str, model: str, **environment: str) -> Result:
        """Run a step; return its exit code, its output and the files that it wrote."""
        out = self.models / "out"
        done = self._python(f"{name}.py", self.models / model, out, **environment)
        result: Result = {"exit": str(done[0]), "out": done[1], "err": done[2]}
        for file in (out, self.models / "out-metadata"):
            if file.exists():
                result[file.name] = file.read_bytes()
                file.unlink()
        return result

    def alone(self, name: str, model: str) -> Result:
        """Run a step without the worker."""
        return self.step(name, model, RESIDENT_WORKER="off")

    def _python(self, *command: str | Path, **environment: str) -> tuple[int, str, str]:
        done = self.site.run(*command, FEDN_DATA_PATH=str(self.data), **environment)
        return done.returncode, done.stdout, done.stderr


@contextmanager
def client() -> Iterator[Client]:
    """Yield a client whose worker is running; the worker exits when the package is deleted."""
    if os.name != "posix":
        pytest.skip("needs Unix sockets")
    with machine() as site:
        yield Client(site)


def steps_in_any_order_give_what_they_give_alone() -> None:
    with client() as one:
        kinds = [
            *((step, f"{model}.npz") for step in ("train", "validate") for model in ("one", "two")),
            ("predict", "one.npz"),
            ("train", "wrong.npz"),
            ("train", "foreign.npz"),
        ]
        alone = {kind: one.alone(*kind) for kind in kinds}
        for kind, code in zip(kinds, "0000011", strict=True):
            found = alone[kind]
            last = str(found["err"]).strip().rpartition("\n")[2]
            expect(
                found["exit"] == code,
                f"{kind[0]}.py with {kind[1]}: expected exit code {code}, found another: {last}",
            )
        for number in np.random.default_rng(0).permutation(3 * len(kinds)):
            kind = kinds[number % len(kinds)]
            expect(
                one.step(*kind) == alone[kind],
                f"{kind[0]}.py: expected the result of a separate process, bit for bit, found "
                "another result after other steps; keep no state between steps",
            )
        expect(one.sockets() == one.started, "expected one worker for all steps")


def data_that_changed_on_disk_is_read_again() -> None:
    with client() as one:
        before = one.step("train", "one.npz")
        (own,) = one.data.iterdir()
        (other,) = site_folders()[1].iterdir()
        shutil.copy(other, own)
        after = one.step("train", "one.npz")
        expect(after["exit"] == "0" and after != before, "expected the new data to be trained on")
        expect(one.sockets() == one.started, "expected the same worker after the data changed")
        expect(after == one.alone("train", "one.npz"), "expected what a step alone gives")


def updates_with_noise_are_counted_whoever_does_the_step() -> None:
    with client() as one:
        own = {"PRIVACY_NOISE": "2", "PRIVACY_BUDGET": "4"}

        def train() -> tuple[bool, int]:
            found = one.step("train", "one.npz", **own).get("out-metadata", b"{}")
            privacy = json.loads(found)["privacy"]
            return privacy["exhausted"], privacy["updates"]

        # The worker has another environment: the step runs alone, and starts a new worker.
        expect(train() == (False, 1), "expected the first noised update to be counted")
        one.wait_for_worker(one.started)
        restarted = one.sockets()
        found = [train() for _ in range(3)]
        expected = [(False, 2), (False, 3), (True, 3)]
        expect(found == expected, f"expected the ledger to continue as {expected}, found {found}")
        expect(one.sockets() == restarted, "expected one worker for the steps under these terms")
        counted = Ledger(one.site.folder / "ledger.json").read()
        expect(counted == {2.0: 3}, f"expected three updates in the ledger, found {counted}")


CHECKS = (
    steps_in_any_order_give_what_they_give_alone,
    data_that_changed_on_disk_is_read_again,
    updates_with_noise_are_counted_whoever_does_the_step,
)
