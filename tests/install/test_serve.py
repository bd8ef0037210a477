"""fednkit serve: a network for trials between machines."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from elsewhere import MISSING, Elsewhere
from installing import CAPTURED, Install, Installed

pytestmark = pytest.mark.install

SECRET = "a secret of this test, long enough"  # noqa: S105


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "2", "--examples", "4000")
    project.fednkit("seed")
    return project


@pytest.fixture(autouse=True)
def nothing_is_left_running(project: Installed) -> Iterator[None]:
    yield
    assert project.processes() == {}


@contextmanager
def sites(
    project: Installed, folder: Path, *options: str, **environment: str
) -> Iterator[list[subprocess.Popen[str]]]:
    """Two sites, each with its data; killed at the end."""
    clients = [
        project.join(folder / name, project.folder / "data" / name, *options, **environment)
        for name in ("site-1", "site-2")
    ]
    try:
        yield clients
    finally:
        for client in clients:
            client.kill()
            client.wait()


def start(project: Installed, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start serve on free ports; return it and what it printed until it was ready."""
    process = project.start("serve", "--port", "0", "--combiner-port", "0", *options)
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if line.endswith("Ctrl-C\n"):
            return process, printed
    pytest.fail(f"ended: {printed}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_a_signal_stops_it_with_one_line(
    project: Installed, number: int
) -> None:
    process, printed = start(project)
    assert re.fullmatch(
        r"controller: http://127\.0\.0\.1:\d+\n"
        r"combiner: 127\.0\.0\.1:\d+\n"
        r"log: runs/\d{8}-\d{6}-serve(-\d)?/server\.log\n"
        r"models, packages and sites are not kept; stop with Ctrl-C\n",
        printed,
    )
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "stopped\n")


def test_it_listens_at_the_address_that_was_asked_for_and_at_no_other(project: Installed) -> None:
    process, printed = start(project, "--host", "127.0.0.2")
    asked = re.findall(r"127\.0\.0\.2:\d+", printed)
    code = (
        "import psutil, sys\n"
        "for pid in map(int, sys.argv[1:]):\n"
        "    for c in psutil.Process(pid).net_connections():\n"
        "        if c.status == 'LISTEN': print(f'{c.laddr.ip}:{c.laddr.port}')\n"
    )
    command: list[str | Path] = [project.python, "-c", code, *map(str, project.processes())]
    listening = subprocess.run(command, **CAPTURED).stdout.replace("::ffff:", "").split()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert len(asked) == 2
    assert sorted(listening) == sorted(asked)


@pytest.mark.parametrize("option", ["--port", "--combiner-port"])
def test_a_port_in_use_ends_in_one_line(project: Installed, option: str) -> None:
    with socket.socket() as holder:
        # As FEDn's combiner does: a second one would share the port silently.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = project.attempt("serve", option, str(port))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: port {port} of 127.0.0.1 is in use; choose another one with {option}\n"
    )


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ("--host 192.0.2.1", {}, "--host: expected an IPv4 address of this machine, or its name"),
        ("--host nowhere.invalid", {}, "--host: expected an IPv4 address of this machine, or"),
        ("--host 0.0.0.0", {}, "--host: expected one address, which sites connect to; found all"),
        ("--port 65536", {}, "--port: expected 0 to 65535, found 65536"),
        ("--port 8092 --combiner-port 8092", {}, "port 8092 of 127.0.0.1 is in use; choose"),
        ("", {"FEDN_JWT_SECRET_KEY": SECRET}, "FEDN_JWT_SECRET_KEY is set, but FEDn's clients"),
        (
            "--fqdn fedn.example.org",
            {"FEDN_JWT_SECRET_KEY": "short"},
            "FEDN_JWT_SECRET_KEY: expected the controller's secret in this environment variable, "
            "32 characters or more, found 5; make a new one: openssl rand -hex 32",
        ),
    ],
)
def test_a_wrong_option_ends_in_one_line(
    project: Installed,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    environment: dict[str, str],
    expected: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = list((project.folder / "runs").glob("*"))
    result = project.attempt("serve", *options.split())
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {expected}")
    assert list((project.folder / "runs").glob("*")) == before


def test_a_token_holds_its_role_and_its_end(
    project: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    options = "token", "--role", "client", "--days", "2", "--secret-env", "MY_SECRET"
    token = project.fednkit(*options)
    code = (
        "import json, jwt, sys, time\n"
        "claims = jwt.decode(sys.argv[1], sys.argv[2], algorithms=['HS256'])\n"
        "claims['exp'] = round((claims['exp'] - time.time()) / 3600)\n"
        "print(json.dumps(claims))\n"
    )
    command: list[str | Path] = [project.python, "-c", code, token.strip(), SECRET]
    claims = json.loads(subprocess.run(command, **CAPTURED).stdout)
    assert claims == {"role": "client", "exp": 48}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--secret-env NONE", "NONE: expected the controller's secret in this environment var"),
        ("--days 0", "--days: expected above 0 to 36500, found 0"),
        ("--days nan", "--days: expected above 0 to 36500, found nan"),
    ],
)
def test_a_token_that_cannot_be_made_ends_in_one_line(
    project: Installed, options: str, expected: str
) -> None:
    result = project.attempt("token", "--role", "client", *options.split())
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {expected}")


def test_a_secret_in_the_environment_does_not_lock_the_network_command_out(
    project: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDN_JWT_SECRET_KEY", SECRET)
    assert "round 1: 2 of 2 sites" in project.fednkit("network", "--rounds", "1")


@pytest.mark.skipif(MISSING != "", reason=MISSING)
def test_sites_join_a_controller_that_runs_elsewhere(project: Installed, tmp_path: Path) -> None:
    with Elsewhere() as there:
        there.serve(project, "--host", there.address, "--no-tokens")
        url = "--api-url", f"http://{there.address}:8092"
        project.fednkit("upload", *url)
        with sites(project, tmp_path, *url):
            printed = project.rounds_with(2, *url, "--rounds", "2")
    assert "sites online: site-1, site-2\n" in printed
    assert "round 1: 2 of 2 sites" in printed
    assert "round 2: 2 of 2 sites" in printed


@pytest.mark.skipif(MISSING != "", reason=MISSING)
def test_by_default_it_cannot_be_reached_from_elsewhere(project: Installed) -> None:
    with Elsewhere() as there:
        there.serve(project)
        for port in (8092, 12080):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((there.address, port), timeout=10)
