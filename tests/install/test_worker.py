"""The resident worker among faults: every step is right, or says in one line why it failed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from installing import Install, Installed, working_folder

pytestmark = pytest.mark.install

# The part of FEDn's client: starts what it is told to through a shell, one after the other.
CLIENT = """
import json, subprocess, sys
for line in sys.stdin:
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    print(json.dumps([done.returncode, done.stdout, done.stderr]), flush=True)
"""
# Put under the classifier of a package: it tells who trains, and takes its time when asked to.
TALKING = """
import os, sys, time
from pathlib import Path

_fit = Classifier.fit

def fit(self, examples, settings, seed):
    print(os.getpid())
    print("to stderr", file=sys.stderr)
    if Path("busy").exists():
        Path("busy").unlink()
        time.sleep(600)
    _fit(self, examples, settings, seed)

Classifier.fit = fit
"""


class Client:
    """A process in the part of FEDn's client."""

    def __init__(self, python: Path, package: Path, data: Path, **environment: str) -> None:
        self.package = package
        self.python = python
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            cwd=package,
            env=os.environ | {"FEDN_DATA_PATH": str(data)} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> tuple[int, str, str]:
        assert self.process.stdout
        code, printed, said = json.loads(self.process.stdout.readline())
        return code, printed, said

    def run(self, line: str) -> tuple[int, str, str]:
        self.send(line)
        return self.answer()

    def train(self, out: str = "out") -> str:
        """Train, which must succeed; return the id of the process that did it."""
        code, printed, said = self.run(self.training(out))
        assert (code, said) == (0, "to stderr\n")
        return printed.strip()

    def training(self, out: str = "out") -> str:
        return f"{self.python} train.py ../seed.npz '../{out}'"

    def start(self) -> str:
        """Start the package up; return the process id of the worker."""
        assert self.run(f"{self.python} -m fednsite.worker") == (0, "", "")
        return self.worker()

    def worker(self, other_than: str = "") -> str:
        """Wait until there is a worker of this client; return its process id."""

        def found() -> list[str]:
            return [
                pid for pid in workers(self.package, str(self.process.pid)) if pid != other_than
            ]

        until(lambda: len(found()) == 1 and self.is_listened_to())
        return found()[0]

    def is_listened_to(self) -> bool:
        """Tell whether somebody listens at this client's socket; whoever does hears nothing."""
        folder = os.open(self.package, os.O_RDONLY)
        try:
            (address,) = self.package.glob(f".worker/{self.process.pid}-*")
            with socket.socket(socket.AF_UNIX) as connection:
                # The folder's own path is too long for a socket's.
                connection.connect(f"/proc/self/fd/{folder}/.worker/{address.name}")
        except (ValueError, OSError):
            return False
        finally:
            os.close(folder)
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: str) -> bool:
    listed = subprocess.run(["ps", "-o", "state=", "-p", pid], capture_output=True, text=True)
    return listed.stdout.strip() in ("", "Z")


def workers(package: Path, client: str = "") -> list[str]:
    """Return the process ids of all workers in a package's folder, or of one client's."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True)
    return [
        pid
        for pid, _, command in (line.strip().partition(" ") for line in listed.stdout.splitlines())
        if f" .worker/{client}" in command and working_folder(pid) == str(package)
    ]


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "2", "--examples", "8000")
    project.fednkit("seed")
    return project


@pytest.fixture
def package(project: Installed, tmp_path: Path) -> Iterator[Path]:
    # Longer than a socket's path may be.
    package = project.unpack(tmp_path / ("a long name " * 12) / "package")
    with (package / "model" / "classifier.py").open("a") as file:
        file.write(TALKING)
    shutil.copy(project.folder / "seed.npz", package.parent)
    yield package
    until(lambda: not workers(package))


@pytest.fixture
def new_client(project: Installed, package: Path) -> Iterator[Callable[..., Client]]:
    clients = []

    def make(**environment: str) -> Client:
        data = project.folder / "data" / "site-1"
        clients.append(Client(project.python, package, data, **environment))
        return clients[-1]

    yield make
    for client in clients:
        client.kill()


@pytest.fixture
def client(new_client: Callable[..., Client]) -> Client:
    return new_client()


@pytest.fixture
def alone(client: Client) -> bytes:
    """What a training step writes without a worker."""
    client.train("alone")
    return (client.package.parent / "alone").read_bytes()


def written(client: Client, out: str = "out") -> bytes:
    return (client.package.parent / out).read_bytes()


def test_a_worker_does_the_steps_after_the_startup_of_its_client(
    client: Client, alone: bytes
) -> None:
    assert not (client.package / ".worker").exists()
    worker = client.start()
    assert client.train() == worker
    assert written(client) == alone
    assert client.train() == worker
    assert (client.package / ".worker").stat().st_mode & 0o777 == 0o700


def test_a_step_that_is_handed_over_imports_nothing_of_weight(client: Client) -> None:
    client.start()
    client.train()
    code, _, said = client.run(client.training().replace("train.py", "-X importtime train.py"))
    assert code == 0
    imported = {line.rpartition("|")[2].strip() for line in said.splitlines() if "|" in line}
    assert "_socket" in imported
    heavy = {"socket", "json", "pathlib", "subprocess", "threading", "typing", "numpy"}
    assert not imported & {*heavy, "fednsite.execution"}
    assert {name for name in imported if name.startswith("fednsite")} == {
        *("fednsite", "fednsite.step", "fednsite._step"),
        *("fednsite.worker", "fednsite.worker.handover"),
    }


def test_a_worker_that_was_killed_between_two_steps_is_replaced(
    client: Client, alone: bytes
) -> None:
    worker = client.start()
    os.kill(int(worker), signal.SIGKILL)
    until(lambda: gone(worker))
    by_itself = client.train()
    assert by_itself != worker
    assert written(client) == alone
    new = client.worker()
    assert client.train() == new != by_itself
    assert written(client) == alone


def test_a_worker_that_is_killed_in_a_step_fails_that_step_alone(
    client: Client, alone: bytes
) -> None:
    worker = client.start()
    (client.package / "busy").touch()
    client.send(client.training())
    until(lambda: not (client.package / "busy").exists())
    os.kill(int(worker), signal.SIGKILL)
    code, _, said = client.answer()
    assert code == 1
    assert said.endswith("error: the resident worker was killed in the middle of this step; "
                         "was there memory enough?\n")  # fmt: skip
    assert not (client.package.parent / "out").exists()
    client.train()
    assert written(client) == alone
    new = client.worker(other_than=worker)
    assert client.train() == new


def test_a_step_that_is_killed_takes_its_worker_along(client: Client, alone: bytes) -> None:
    worker = client.start()
    (client.package / "busy").touch()
    client.send(f"exec {client.training()}")
    until(lambda: not (client.package / "busy").exists())
    of_the_client = ["ps", "-o", "pid=", "--ppid", str(client.process.pid)]
    listed = subprocess.run(of_the_client, capture_output=True, text=True).stdout.split()
    (step,) = [pid for pid in listed if pid != worker]
    os.kill(int(step), signal.SIGKILL)
    assert client.answer()[0] == -signal.SIGKILL
    until(lambda: gone(worker))
    assert not (client.package.parent / "out").exists()
    client.train()
    assert written(client) == alone
    new = client.worker(other_than=worker)
    assert client.train() == new


def test_a_worker_ends_with_its_client(client: Client) -> None:
    worker = client.start()
    client.kill()
    until(lambda: gone(worker))
    until(lambda: not (client.package / ".worker").exists())


def test_a_worker_that_is_in_a_step_ends_with_its_client(client: Client) -> None:
    worker = client.start()
    (client.package / "busy").touch()
    client.send(client.training())
    until(lambda: not (client.package / "busy").exists())
    client.kill()
    until(lambda: gone(worker))


def test_two_clients_in_one_folder_have_a_worker_each(new_client: Callable[..., Client]) -> None:
    one, two = new_client(), new_client()
    first, second = one.start(), two.start()
    assert first != second
    for _ in range(2):
        assert (one.train("one"), two.train("two")) == (first, second)
    one.kill()
    until(lambda: gone(first))
    assert two.train("two") == second


def test_a_worker_without_work_ends_and_the_next_step_starts_another(
    new_client: Callable[..., Client],
) -> None:
    client = new_client(RESIDENT_WORKER_IDLE="0.1")
    worker = client.start()
    until(lambda: gone(worker))
    assert client.train() != worker
    assert client.worker(other_than=worker)


def test_a_worker_can_be_turned_off(new_client: Callable[..., Client]) -> None:
    client = new_client(RESIDENT_WORKER="off")
    assert client.run(f"{client.python} -m fednsite.worker") == (0, "", "")
    client.train()
    assert not (client.package / ".worker").exists()


def test_an_idle_time_that_is_no_number_is_said_and_costs_no_step(
    new_client: Callable[..., Client],
) -> None:
    client = new_client(RESIDENT_WORKER_IDLE="an hour")
    code, _, said = client.run(f"{client.python} -m fednsite.worker")
    assert code == 1
    assert said == (
        "error: RESIDENT_WORKER_IDLE: expected a number of seconds, found 'an hour'; "
        "every step works alone\n"
    )
    client.train()


@pytest.mark.parametrize("change", ["sources", "environment"])
def test_a_worker_that_no_longer_fits_is_replaced(client: Client, change: str) -> None:
    worker = client.start()
    assert client.train() == worker
    before = written(client)
    if change == "sources":
        settings = client.package / "model" / "settings.py"
        settings.write_text(settings.read_text().replace("epochs: int = 3", "epochs: int = 1"))
        prefix = ""
    else:
        prefix = "export LEARNING=slow; "
    code, by_itself, _ = client.run(prefix + client.training())
    assert code == 0
    assert by_itself.strip() != worker
    assert (written(client) == before) == (change == "environment")
    until(lambda: gone(worker))
    new = client.worker(other_than=worker)
    code, printed, _ = client.run(prefix + client.training())
    assert (code, printed.strip()) == (0, new)


def test_another_python_does_not_use_the_worker(client: Client, alone: bytes) -> None:
    worker = client.start()
    code, printed, _ = client.run(
        f"PYTHONPATH=$({client.python} -c 'import numpy; print(numpy.__path__[0])')/.. "
        f"{sys.executable} train.py ../seed.npz ../out"
    )
    assert (code, printed.strip() == worker) == (0, False)
    assert written(client) == alone


@pytest.mark.parametrize("kind", ["a socket without a listener", "a plain file"])
def test_what_lies_in_place_of_the_socket_does_no_harm(
    client: Client, alone: bytes, kind: str
) -> None:
    worker = client.start()
    (address,) = (client.package / ".worker").iterdir()
    os.kill(int(worker), signal.SIGKILL)
    until(lambda: gone(worker))
    if kind == "a plain file":
        address.unlink()
        address.write_text("")
    client.train()
    assert written(client) == alone
    new = client.worker(other_than=worker)
    assert client.train() == new


def test_a_disk_that_takes_no_more_fails_the_step_as_it_does_alone(client: Client) -> None:
    limit = f"ulimit -f 4; export PYTHONDONTWRITEBYTECODE=1; {client.python}"
    alone = client.run(
        f"RESIDENT_WORKER=off; export RESIDENT_WORKER; {limit} train.py ../seed.npz ../out"
    )
    assert alone[0] == 1
    assert alone[2].endswith("error: [Errno 27] File too large\n")
    assert client.run(f"{limit} -m fednsite.worker") == (0, "", "")
    worker = client.worker()
    for _ in range(2):
        code, printed, said = client.run(f"{limit} train.py ../seed.npz ../out")
        assert (code, printed.strip(), said) == (1, worker, alone[2])
    assert [path.name for path in client.package.parent.iterdir() if "out" in path.name] == []
