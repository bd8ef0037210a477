"""What goes wrong on the network: it is said, with its cause, and nothing is left running."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installing import Install, Installed

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "2", "--examples", "4000")
    return project


@pytest.fixture(autouse=True)
def nothing_is_left_running(project: Installed) -> Iterator[None]:
    yield
    assert project.processes() == {}


def until(process: subprocess.Popen[str], start: str) -> str:
    """Read lines up to the first that starts so; return all that was read."""
    assert process.stdout
    read = ""
    for line in process.stdout:
        read += line
        if line.startswith(start):
            return read
    pytest.fail(f"ended before '{start}': {read}")


def rest(process: subprocess.Popen[str]) -> tuple[int, str]:
    printed, _ = process.communicate(timeout=120)
    return process.returncode, printed


def kill(project: Installed, pattern: str) -> None:
    (pid,) = [pid for pid, args in project.processes().items() if re.search(pattern, args)]
    subprocess.run(["kill", "-9", str(pid)], check=True)


def test_a_killed_client_is_named_and_the_session_goes_on(project: Installed) -> None:
    process = project.start("network", "--rounds", "4", "--round-timeout", "10")
    until(process, "round 1:")
    kill(project, r"client start --name site-2")
    code, printed = rest(process)
    assert code == 1
    assert "site-2 died, killed by SIGKILL; its log is runs/" in printed
    assert "round 4: 1 of 2 sites" in printed
    assert "error: 4 of 4 rounds and 1 of 2 sites finished" in printed
    record = json.loads((project.run_folder() / "metrics.json").read_text("utf-8"))
    assert sorted(record["rounds"][-1]["sites"]) == ["site-1"]


@pytest.mark.parametrize("line", ["network:", "seed model:", "round 1:"])
def test_a_killed_server_is_named(project: Installed, line: str) -> None:
    process = project.start("network", "--rounds", "50")
    until(process, line)
    kill(project, r"fednkit\.network\.server")
    code, printed = rest(process)
    assert code == 1
    assert "error: FEDn's server ended: killed by SIGKILL" in printed
    assert (project.run_folder() / "model.npz").exists() == (line == "round 1:")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_keeps_what_there_is(project: Installed, number: int) -> None:
    process = project.start("network", "--rounds", "50")
    until(process, "round 1:")
    process.send_signal(number)
    code, printed = rest(process)
    assert code == 1
    assert "stopped" in printed
    assert "Traceback" not in printed
    run = project.run_folder()
    assert (run / "model.npz").exists()
    assert json.loads((run / "metrics.json").read_text("utf-8"))["rounds"][0]["updates"] == 2


def test_a_signal_in_the_start_up_stops_everything(project: Installed) -> None:
    process = project.start("network")
    until(process, "SHA-256")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    code, printed = rest(process)
    assert (code, "Traceback" in printed) == (1, False)


def test_a_site_with_wrong_data_is_named_with_the_rule(project: Installed) -> None:
    file = project.folder / "data" / "site-2" / "transactions.csv"
    good = file.read_text("utf-8")
    lines = good.splitlines()
    lines[3] = "much" + lines[3][lines[3].index(",") :]
    file.write_text("\n".join(lines) + "\n")
    try:
        result = project.attempt("network", "--rounds", "2", "--round-timeout", "10")
    finally:
        file.write_text(good)
    assert result.returncode == 1
    assert "site-2 died, exit code 1: error: " in result.stdout
    assert "column 'amount', row 3: expected a number from 0 to 100000, found 'much'" in (
        result.stdout
    )
    assert "round 2: 1 of 2 sites" in result.stdout


def test_with_no_site_left_it_stops_at_once(project: Installed) -> None:
    process = project.start("network", "--rounds", "50")
    until(process, "round 1:")
    for site in ("site-1", "site-2"):
        kill(project, rf"client start --name {site}")
    code, printed = rest(process)
    assert code == 1
    assert "error: no site is left to train" in printed


def test_a_round_that_overruns_says_who_is_missing(project: Installed) -> None:
    process = project.start("network", "--rounds", "2", "--round-timeout", "8")
    until(process, "sites:")
    (pid,) = [pid for pid, args in project.processes().items() if "--name site-2" in args]
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    code, printed = rest(process)
    assert code == 0, printed
    assert "round 1 is over its 8 s; still missing: site-2\n" in printed
    assert "round 1: 1 of 2 sites" in printed
    assert "round 2: 1 of 2 sites" in printed


def test_it_listens_on_loopback_only(project: Installed) -> None:
    process = project.start("network", "--rounds", "50")
    until(process, "round 1:")
    code = (
        "import psutil, sys\n"
        "for pid in map(int, sys.argv[1:]):\n"
        "    for c in psutil.Process(pid).net_connections():\n"
        "        if c.status == 'LISTEN': print(c.laddr.ip)\n"
    )
    # The entry points come and go meanwhile, and the workers listen to no network.
    kinds = ("bin/fednkit network", "fednkit.network.server", "fedn_client.py client start")
    lasting = [
        pid for pid, args in project.processes().items() if any(kind in args for kind in kinds)
    ]
    pids = [str(pid) for pid in lasting]
    command: list[str | Path] = [project.python, "-c", code, *pids]
    listening = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    process.send_signal(signal.SIGINT)
    rest(process)
    assert len(lasting) == 4
    assert len(listening) == 2
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_fedopt_trains(project: Installed) -> None:
    options = "--aggregator", "fedopt", "--server-optimizer", "yogi"
    assert "round 2: 2 of 2 sites" in project.fednkit("network", "--rounds", "2", *options)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["network", "--sites", "9"], "error: expected 9 sites, found 2 under data; make them: "),
        (["network", "--sites", "0"], "error: --sites: expected 1 or more, found 0"),
        (["network", "--rounds", "0"], "error: --rounds: expected 1 or more, found 0"),
        (["network", "--round-timeout", "-1"], "error: --round-timeout: expected seconds"),
        (["sites", "--alpha", "0"], "error: --alpha: expected a number above 0, found 0"),
        (["sites", "--sites", "0"], "error: --sites: expected 1 or more, found 0"),
        (["sites", "--examples", "0"], "error: --examples: expected 1 or more, found 0"),
        (["sites", "--sites", "9000"], "error: no way found to give each of 9000 sites"),
        (["sites", "--source", "none.csv"], "error: none.csv: expected a .csv or .parquet file"),
        (
            ["sites", "--sites", "50", "--partition", "dirichlet", "--alpha", "0.01"],
            "error: no way found to give each of 50 sites",
        ),
    ],
)
def test_a_wrong_option_ends_in_one_line(
    project: Installed, arguments: list[str], expected: str
) -> None:
    before = sorted((project.folder / "data").rglob("*"))
    result = project.attempt(*arguments)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(expected)
    assert sorted((project.folder / "data").rglob("*")) == before


def test_data_of_ones_own_is_not_overwritten(installed: Install) -> None:
    project = installed("fraud", "numpy")
    own = project.folder / "data" / "site-1" / "own.csv"
    own.parent.mkdir(parents=True)
    own.write_text("precious\n")
    result = project.attempt("sites")
    assert result.returncode == 1
    assert "error: data/site-1 was not made by this command" in result.stderr
    assert own.read_text() == "precious\n"
