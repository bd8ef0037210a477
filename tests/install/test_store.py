"""A server that keeps what it has: it is killed again and again, and the session comes to its end.

`STORE_KILLS=100` kills it a hundred times, which takes 48 minutes.
"""

import json
import os
import random
import shutil
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

pytestmark = [pytest.mark.install, pytest.mark.slow]

KILLS = int(os.environ.get("STORE_KILLS", "3"))
# The session has as many rounds as are needed to be hit so often.
ROUNDS = 3 * KILLS + 2
# Sites are back, and rounds go on, about 18 s after a start.
LIFE_SECONDS = 25


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
def sites(project: Installed, server: Server) -> Iterator[list[Path]]:
    """Two sites that joined as their page says, and stay however often the server goes.

    Yields their logs.
    """
    joined, logs = [], []
    for name in ("site-1", "site-2"):
        project.fednkit("invite", "--site", name, "--api-url", server.url)
        folder = project.folder / "invitations" / name
        shutil.copytree(project.folder / "data" / name, folder / "data", dirs_exist_ok=True)
        logs.append(folder / "join.log")
        with logs[-1].open("w") as log:
            command: list[str | Path] = [project.python, "-u", "join.py"]
            joined.append(
                subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
            )
    try:
        yield logs
    finally:
        for site in joined:
            site.terminate()
        for site in joined:
            site.wait(timeout=60)


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
    with sites(project, server) as logs, (tmp_path / "session.log").open("w") as log:
        wait_for_sites(server, 2)
        options = (
            "--api-url",
            server.url,
            "--sites",
            "2",
            "--rounds",
            str(ROUNDS),
            "--round-timeout",
            "60",
        )
        command = project.program("session", "start", *options)
        session = subprocess.Popen(
            command, cwd=project.folder, stdout=log, stderr=subprocess.STDOUT
        )
        while "session: " not in (tmp_path / "session.log").read_text():
            assert session.poll() is None, (tmp_path / "session.log").read_text()
            time.sleep(0.1)
        for _ in range(KILLS):
            time.sleep(moments.uniform(0, LIFE_SECONDS))
            server.kill()
            server.start()
        assert session.wait(timeout=60 * ROUNDS) == 0, (tmp_path / "session.log").read_text()
    server.stop()
    (run,) = (project.folder / "runs").glob("*-session")
    record = json.loads((run / "metrics.json").read_text("utf-8"))
    told = "\n".join(log.read_text("utf-8") for log in logs)
    assert [entry["updates"] for entry in record["rounds"]] == [2] * ROUNDS, told
    assert project.same_arrays(run / "model.npz", expected)
    assert "whole" in project.fednkit("serve", "--check", str(store))
