"""A defence on a FEDn that is not the project's: as server functions, in FEDn's own service."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installing import Install, Installed

# Its tests share one federation, and begin with those that wait for its sites.
pytestmark = [pytest.mark.install, pytest.mark.xdist_group("server functions")]

SCRIPT = Path(__file__).with_name("fedn_own.py")

BAD_TRAIN = Path(__file__).with_name("bad_train.py")

# As in the project's own networks: more threads sum in another order.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Federation:
    """FEDn's service, its controller and combiner, and sites, of which one does as it is told."""

    def __init__(self, project: Installed, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.running: list[subprocess.Popen[str]] = []
        self.orders = folder / "orders"
        self.orders.write_text("")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"

    def start(self) -> None:
        self.start_service()
        ready = self.folder / "ready.json"
        self._start("server", "serve", self.address, str(ready))
        deadline = time.monotonic() + 120
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        self.url = "--api-url", f"http://127.0.0.1:{json.loads(ready.read_text())['api_port']}"
        printed = self.project.fednkit("upload", *self.url)
        (self.seed,) = re.findall(r"newest model, .*: (\S+) \(seed\)", printed)

    def start_service(self) -> None:
        self.service = self._start("hooks", "hooks", self.address)
        host, _, port = self.address.partition(":")
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                return

    def stop_service(self) -> None:
        self.service.kill()
        self.service.communicate()

    def _start(self, log: str, *arguments: str) -> subprocess.Popen[str]:
        with (self.folder / f"{log}.log").open("a") as file:
            process = subprocess.Popen(
                [self.project.python, SCRIPT, *arguments],
                cwd=self.folder,
                text=True,
                # The server ends when it closes.
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    def join(self, name: str, site: str, *options: str, told: bool = False) -> None:
        """Start a client; told: whether it sends what `orders` says."""
        orders = ONE_THREAD | ({"TEST_ORDERS": str(self.orders)} if told else {})
        folder, data = self.folder / name, self.project.folder / "data" / site
        self.running.append(self.project.join(folder, data, *self.url, *options, **orders))

    def rounds(self, sites: int, *options: str) -> Path:
        """Run rounds from the seed model, and return the last model."""
        self.project.rounds_with(sites, "--model", self.seed, *self.url, *options)
        return self.project.run_folder() / "model.npz"

    def stop(self) -> None:
        for process in reversed(self.running):
            process.kill()
            process.communicate()


def simulated(project: Installed, *options: str) -> Path:
    project.fednkit("simulate", "--no-baselines", "--data", *options)
    return project.run_folder()


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("mnist", "numpy")
    shutil.copy(BAD_TRAIN, project.folder / "client" / "train.py")
    project.fednkit("sites", "--sites", "5")
    project.fednkit("seed")
    project.make("package")
    return project


@pytest.fixture(scope="module")
def federation(
    project: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Federation]:
    attacked = simulated(project, "--rounds", "1", "--attack", "nan") / "metrics.jsonl"
    (bad,) = json.loads(attacked.read_text("utf-8").splitlines()[-1])["attackers"]
    federation = Federation(project, tmp_path_factory.mktemp("fedn"))
    try:
        federation.start()
        for number in range(5):
            site = f"site-{number + 1}"
            federation.join(site, site, told=number == bad)
        yield federation
    finally:
        federation.stop()


# The rules whose result does not depend on the order of the updates, which FEDn leaves to chance.
@pytest.mark.parametrize(
    ("order", "attack", "defence"),
    [
        ("sign-flip", "sign-flip", ["--rounds", "2", "--aggregator", "median"]),
        (
            "garbage",
            "nan",
            ["--rounds", "1", "--aggregator", "trimmed-mean", "--tolerate", "1"],
        ),
    ],
)
def test_fedns_own_service_comes_to_the_model_of_the_simulation(
    federation: Federation, order: str, attack: str, defence: list[str]
) -> None:
    project = federation.project
    expected = simulated(project, "--attack", attack, *defence) / "model.npz"
    federation.orders.write_text(order)
    assert project.same_arrays(federation.rounds(5, *defence), expected)


def test_without_the_service_rounds_fail_and_with_it_again_they_go_on(
    federation: Federation,
) -> None:
    project = federation.project
    federation.orders.write_text("")
    federation.stop_service()
    # From a model that is not the newest: FEDn forgets it when the first round fails.
    options = "--sites", "5", "--rounds", "8", "--model", federation.seed, *federation.url
    session = project.start("session", "start", "--aggregator", "median", *options)
    federation.running.append(session)
    assert session.stdout
    printed = ""
    while "round 1: " not in printed:
        line = session.stdout.readline()
        assert line, printed
        printed += line
    assert printed.endswith(
        "round 1: failed, FEDn got no usable update, or its service for server functions (fedn "
        "hooks start) ran no defence\n"
    )
    assert not (project.run_folder() / "model.npz").exists()
    federation.start_service()
    printed, _ = session.communicate(timeout=120)
    # FEDn's combiner tries to reach it again after up to 6 s.
    assert "round 8: 5 of 5 sites" in printed
    assert re.search(r"error: [1-7] of 8 rounds failed; see the controller's log", printed)
    assert session.returncode == 1
    assert (project.run_folder() / "model.npz").exists()


def test_a_site_that_calls_itself_the_global_model_does_not_become_it(
    federation: Federation,
) -> None:
    project = federation.project
    defence = "--rounds", "1", "--aggregator", "median", "--norm-bound", "0.5"
    expected = simulated(project, *defence) / "model.npz"
    federation.orders.write_text("")
    federation.join("site-6", "site-1", "--client-id", "global_model")
    assert project.same_arrays(federation.rounds(6, *defence), expected)
    log = (federation.folder / "hooks.log").read_text("utf-8")
    assert "'refused': {'global_model': 'expected 6 arrays, found 0'}" in log
