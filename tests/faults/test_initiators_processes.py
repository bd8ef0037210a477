"""The initiator's processes are killed: nothing goes on for ever, and the rounds go on later."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from installing import Installed
from lab import Lab, until

pytestmark = [pytest.mark.install, pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def whole(project: Installed) -> Path:
    """What four rounds over the three sites come to when nothing happens."""
    printed = project.fednkit("simulate", "--data", "--rounds", "4", "--no-baselines")
    found = re.search(r"run: (\S+)", printed)
    assert found
    return project.folder / found[1] / "model.npz"


def test_server_killed_and_started_again(lab: Lab, whole: Path) -> None:
    session = lab.session("--rounds", "4", "--round-timeout", "20")
    session.wait_for("round 2: 3 of 3 sites")
    seen = [site.mark() for site in lab.sites]
    (server,) = lab.initiator.pids(r"fednkit\.network\.server")
    os.kill(server, signal.SIGKILL)
    assert lab.server
    code, printed = lab.server.end()
    assert code == 1
    assert "FEDn's server ended: killed by SIGKILL" in printed
    session.wait_for("the controller does not answer; waiting for it for 60 s\n")

    lab.serve()
    code, printed = session.end()
    assert code == 1
    assert "the controller is back\n" in printed
    command = re.search(
        r"go on with: fednkit session start --api-url \S+ (--resume runs/\S+)\n",
        printed,
    )
    assert command, printed
    assert "error: the controller knows no session" in printed
    assert len(lab.updates()) in (2, 3)
    # FEDn's clients find it again, without anybody's help.
    for site, mark in zip(lab.sites, seen, strict=True):
        site.wait_for("Listening to task stream", mark)
        assert "FEDn's client ended" not in site.said(mark)
    resumed = lab.session(*command[1].split())
    code, printed = resumed.end()
    assert code == 0, printed
    assert lab.updates() == [3, 3, 3, 3], printed
    # As if nothing had happened, bit for bit.
    assert lab.project.same_arrays(lab.run() / "model.npz", whole)


def start_network(project: Installed, log: Path, *options: str) -> "subprocess.Popen[str]":
    """Start `network` and return when it has done two rounds."""
    command = project.program("network", *options)
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=project.folder, stdout=stream, stderr=subprocess.STDOUT, text=True
        )
    until(lambda: "round 2: " in log.read_text() or process.poll() is not None, log.read_text)
    assert process.poll() is None, log.read_text()
    return process


def processes(project: Installed) -> dict[int, str]:
    """Return what runs of the project on this machine itself, and not in the federation."""

    def net(pid: int | str) -> str:
        with suppress(OSError):
            return str(Path(f"/proc/{pid}/ns/net").readlink())
        return ""

    return {pid: line for pid, line in project.processes().items() if net(pid) == net("self")}


def test_network_killed(project: Installed, whole: Path, tmp_path: Path) -> None:
    process = start_network(project, tmp_path / "log", "--rounds", "4")
    process.kill()
    process.wait()
    # Clients, their workers and steps, the server: all end by themselves.
    until(lambda: processes(project) == {}, lambda: str(processes(project)))
    run = max((project.folder / "runs").glob("*-network*"))
    project.fednkit("network", "--resume", str(run.relative_to(project.folder)))
    resumed = max((project.folder / "runs").glob("*-network*"))
    assert resumed != run
    assert project.same_arrays(resumed / "model.npz", whole)


def test_network_whose_server_was_killed(project: Installed, whole: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start_network(project, log, "--rounds", "4")
    (server,) = [
        pid for pid, line in processes(project).items() if "fednkit.network.server" in line
    ]
    os.kill(server, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    assert processes(project) == {}
    command = re.search(
        r"error: FEDn's server ended: killed by SIGKILL; go on with: fednkit "
        r"(network --resume runs/\S+)\n",
        log.read_text(),
    )
    assert command, log.read_text()
    printed = project.fednkit(*command[1].split())
    assert "round 4: 3 of 3 sites" in printed
    run = max((project.folder / "runs").glob("*-network*"))
    assert project.same_arrays(run / "model.npz", whole)


def test_a_run_that_cannot_be_resumed_is_told_in_one_line(project: Installed) -> None:
    nowhere = project.attempt("network", "--resume", "runs")
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert nowhere.stderr == (
        "error: --resume: expected the folder of a run of `network` or `session start`, in which "
        "a round has ended, found runs\n"
    )
    project.fednkit("network", "--rounds", "1")
    done = max((project.folder / "runs").glob("*-network*")).relative_to(project.folder)
    complete = project.attempt("network", "--resume", str(done))
    assert complete.returncode == 1
    assert complete.stderr == f"error: --resume: {done} has all of its 1 rounds\n"
