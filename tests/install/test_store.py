"""A server that keeps what it has: it is killed again and again, and the session comes to its end.

`STORE_KILLS=100` kills it a hundred times, for a quarter of an hour.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from installing import Install, Installed

from fednkit.network.server import free_port

pytestmark = pytest.mark.install

KILLS = int(os.environ.get("STORE_KILLS", "3"))
# The session has as many rounds as are needed to be hit so often.
ROUNDS = KILLS + 3


class Server:
    """`fednkit serve --store`, at the same ports each time."""

    def __init__(self, project: Installed, store: Path) -> None:
        self.project, self.port = project, free_port()
        ports = "--port", str(self.port), "--combiner-port", str(free_port())
        self._command = "serve", "--store", str(store), *ports
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = self.project.start(*self._command)
        assert self._process.stdout
        printed = []
        for line in self._process.stdout:
            printed.append(line)
            if "kept in " in line:
                return
        raise AssertionError("".join(printed))

    def kill(self) -> None:
        """Kill FEDn's process, as the system does when there is no memory left."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in children.read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        printed, _ = self._process.communicate(timeout=30)
        assert "FEDn's server ended: killed by SIGKILL" in printed

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=30)


@contextmanager
def sites(project: Installed, server: Server, folder: Path) -> Iterator[None]:
    """Two sites that join, and stay however often the server goes."""
    address = "--api-url", "http://127.0.0.1", "--api-port", str(server.port)
    joined = [
        project.join(folder / name, project.folder / "data" / name, *address)
        for name in ("site-1", "site-2")
    ]
    try:
        yield
    finally:
        for site in joined:
            site.kill()
            site.wait()


def wait_for_sites(server: Server, number: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = requests.get(f"{server.url}/api/v1/clients/", timeout=10).json()["result"]
        if sum(client["status"] == "online" for client in found) == number:
            return
        time.sleep(0.2)
    raise AssertionError(f"expected {number} sites online, found {found}")


def test_a_server_that_is_killed_at_any_moment_loses_nothing(
    installed: Install, tmp_path: Path
) -> None:
    project = installed("fraud", "numpy")
    project.fednkit("sites")
    project.make("package", "seed")
    project.fednkit("simulate", "--data", "--rounds", str(ROUNDS), "--no-baselines")
    expected = project.run_folder() / "model.npz"
    store, moments = tmp_path / "store", random.Random(KILLS)
    server = Server(project, store)
    server.start()
    project.fednkit("upload", "--api-url", server.url)
    with sites(project, server, tmp_path), (tmp_path / "session.log").open("w") as log:
        wait_for_sites(server, 2)
        options = "--api-url", server.url, "--rounds", str(ROUNDS), "--round-timeout", "60"
        command = project.program("session", "start", *options)
        session = subprocess.Popen(
            command, cwd=project.folder, stdout=log, stderr=subprocess.STDOUT
        )
        for _ in range(KILLS):
            time.sleep(moments.uniform(0, 30))
            server.kill()
            server.start()
        assert session.wait(timeout=60 * ROUNDS) == 0, (tmp_path / "session.log").read_text()
    server.stop()
    (run,) = (project.folder / "runs").glob("*-session")
    record = json.loads((run / "metrics.json").read_text("utf-8"))
    logs = [(tmp_path / name / "client.log").read_text() for name in ("site-1", "site-2")]
    assert [entry["updates"] for entry in record["rounds"]] == [2] * ROUNDS, "\n".join(logs)
    assert project.same_arrays(run / "model.npz", expected)
    assert "whole" in project.fednkit("serve", "--check", str(store))
