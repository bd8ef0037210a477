"""FEDn behind https with tokens, as `fednkit write nginx.conf` has it.

The controller, the combiner and nginx run elsewhere, and from here only nginx can be reached.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import proxy
import pytest
from elsewhere import MISSING, Elsewhere
from installing import CAPTURED, Install, Installed, check

REASON = MISSING or proxy.MISSING
pytestmark = [
    pytest.mark.install,
    pytest.mark.xdist_group("tls"),
    pytest.mark.skipif(REASON != "", reason=REASON),
]

SECRET = "a secret of this test, long enough"  # noqa: S105


class Secured:
    """A controller and a combiner behind TLS, and what one needs to reach them."""

    def __init__(self, project: Installed, there: Elsewhere, folder: Path) -> None:
        self.project = project
        self.url = f"https://{there.address}"
        self.address = there.address
        proxy.make_certificates(folder, there.address)
        # A root of one's own: for the REST interface, and for gRPC.
        root = str(folder / "root.pem")
        self.trust = {"REQUESTS_CA_BUNDLE": root, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": root}
        there.serve(project, "--fqdn", there.address, FEDN_JWT_SECRET_KEY=SECRET)
        project.fednkit("write", "nginx.conf")
        start_nginx(there, project.folder / "nginx.conf", folder)

    def token(self, role: str, secret: str = SECRET, days: float = 1, site: str = "site-1") -> str:
        """Return a token; one of negative days has expired. site: of one for a client."""
        code = (
            "import sys; from fednkit.controller.tokens import make_token\n"
            "secret, role, days, site = sys.argv[1:]\n"
            "print(make_token(secret, role, float(days), site if role == 'client' else None))\n"
        )
        return self.project.run_code(code, secret, role, str(days), site).strip()

    def join(self, folder: Path, *options: str) -> subprocess.Popen[str]:
        """Start FEDn's own client for a site."""
        data = self.project.folder / "data" / folder.name
        return self.project.join(folder, data, "--api-url", self.url, *options, **self.trust)

    def credentials(self, site: str) -> list[str]:
        """Return the options of FEDn's client for a site that has a token."""
        token = self.token("client", site=site)
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return ["--token", token, "--client-id", claims["client_id"]]

    def python(self, code: str, *arguments: str) -> Any:
        """Run code with what FEDn's packages bring along; return the JSON that it prints."""
        command: list[str | Path] = [self.project.python, "-c", code, *arguments]
        return json.loads(check(subprocess.run(command, env=os.environ | self.trust, **CAPTURED)))

    def status(self, path: str, token: str, method: str = "GET") -> int:
        """Return the status with which the controller answers; "" is a call without a token."""
        code = (
            "import requests, sys\n"
            "headers = {'Authorization': f'Bearer {sys.argv[3]}'} if sys.argv[3] else {}\n"
            "answer = requests.request(sys.argv[1], sys.argv[2], headers=headers, timeout=10,\n"
            "    json={'query': '{ __typename }'} if sys.argv[1] == 'POST' else None)\n"
            "print(answer.status_code)\n"
        )
        answered: int = self.python(code, method, self.url + path, token)
        return answered

    def call(self, method: str, token: str = "", agent: str = "") -> str:
        """Return the status of a gRPC call with an empty message."""
        code = (
            "import grpc, json, sys\n"
            "address, method, token, agent = sys.argv[1:]\n"
            "options = [('grpc.primary_user_agent', agent)] if agent else []\n"
            "secure = grpc.ssl_channel_credentials()\n"
            "with grpc.secure_channel(f'{address}:443', secure, options) as channel:\n"
            "    metadata = [('authorization', f'Bearer {token}')] if token else []\n"
            "    try:\n"
            "        channel.unary_unary(method)(b'', metadata=metadata, timeout=10)\n"
            "        print(json.dumps('OK'))\n"
            "    except grpc.RpcError as error:\n"
            "        print(json.dumps(error.code().name))\n"
        )
        answered: str = self.python(code, self.address, method, token, agent)
        return answered


class Joining:
    """A site that joins with its invitation."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def wait_for(self, words: str) -> None:
        """Read its log until a line has these words."""
        assert self.process.stdout
        read = ""
        for line in self.process.stdout:
            read += line
            if words in line:
                return
        raise AssertionError(read)


@contextmanager
def joining(secured: Secured, folder: Path) -> Iterator[Joining]:
    """Run join.py in the folder of an invitation; its client ends with it."""
    process = subprocess.Popen(
        [secured.project.python, "join.py"],
        cwd=folder,
        env=os.environ | secured.trust,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Joining(process)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def start_nginx(there: Elsewhere, site: Path, folder: Path) -> None:
    """Run nginx on the very file that users get, but for the name and the certificate."""
    replaced = {"server_name fedn.example.org;": f"server_name {there.address};"}
    nginx = there.start(proxy.write_settings(folder, site.read_text("utf-8"), replaced))
    proxy.wait_for_port(there.address, 443, nginx)


@pytest.fixture(scope="module")
def secured(installed: Install, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "2", "--examples", "4000")
    project.fednkit("seed")
    with Elsewhere() as there:
        yield Secured(project, there, tmp_path_factory.mktemp("tls"))
    assert project.processes() == {}


@pytest.fixture
def joined(secured: Secured, tmp_path: Path) -> Iterator[None]:
    """Two sites with a token are there, for a controller that has something to run."""
    clients = [
        secured.join(tmp_path / name, *secured.credentials(name)) for name in ("site-1", "site-2")
    ]
    yield
    for client in clients:
        assert client.poll() is None, (tmp_path / "site-1" / "client.log").read_text("utf-8")
        client.kill()
        client.wait()


def test_with_tokens_sites_join_over_tls_and_rounds_end(
    secured: Secured, joined: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", secured.trust["REQUESTS_CA_BUNDLE"])
    monkeypatch.setenv("ADMIN", secured.token("admin"))
    options = "--api-url", secured.url, "--token-env", "ADMIN"
    assert "package: uploaded\n" in secured.project.fednkit("upload", *options)
    printed = secured.project.rounds_with(2, *options, "--rounds", "2")
    assert "sites online: site-1, site-2\n" in printed
    assert "round 1: 2 of 2 sites" in printed
    assert "round 2: 2 of 2 sites" in printed


@pytest.mark.parametrize(
    ("role", "words"), [("", "Missing token"), ("client", "Invalid token"), (None, "Token expired")]
)
def test_an_initiator_without_a_good_token_is_told(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, role: str | None, words: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", secured.trust["REQUESTS_CA_BUNDLE"])
    token = secured.token("admin", days=-1) if role is None else secured.token(role)
    monkeypatch.setenv("ADMIN", token)
    options = ["--token-env", "ADMIN"] if role != "" else []
    result = secured.project.attempt("upload", "--api-url", secured.url, *options)
    assert result.returncode == 1
    assert result.stderr == (
        f"error: {secured.url}: the controller rejects the token ({words}); expected one with the "
        "role admin: --token-env NAME\n"
    )


@pytest.mark.parametrize("flaw", ["missing", "of another secret", "expired", "of another role"])
def test_a_site_without_a_good_token_is_refused_and_told(
    secured: Secured, tmp_path: Path, flaw: str
) -> None:
    options = {
        "missing": [],
        "of another secret": ["--token", secured.token("client", secret=SECRET[::-1])],
        "expired": ["--token", secured.token("client", days=-1)],
        "of another role": ["--token", secured.token("admin")],
    }[flaw]
    client = secured.join(tmp_path / "site-1", *options)
    # FEDn's client ends as if all were well; only its log tells.
    assert client.wait(timeout=60) == 0
    log = (tmp_path / "site-1" / "client.log").read_text("utf-8")
    assert "Connect to FEDn Api - Unauthorized" in log.splitlines()[-1]


def test_a_site_that_does_not_know_the_root_does_not_send_its_token(
    secured: Secured, tmp_path: Path
) -> None:
    token = secured.token("client")
    data = secured.project.folder / "data" / "site-1"
    options = "--api-url", secured.url, "--token", token
    client = secured.project.join(tmp_path / "site-1", data, *options)
    assert client.wait(timeout=60) == 0
    log = (tmp_path / "site-1" / "client.log").read_text("utf-8")
    assert "CERTIFICATE_VERIFY_FAILED" in log


def test_an_invited_site_is_told_in_one_line_why_it_cannot_join(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", secured.token("client", days=-1, site="expired"))
    for name, options, trust, expected in (
        ("without", [], secured.trust, "rejects the token in client.yaml, or expects one"),
        (
            "expired",
            ["--token-env", "TOKEN"],
            secured.trust,
            "rejects the token in client.yaml, or",
        ),
        ("rootless", [], {}, "the certificate of https://"),
    ):
        secured.project.fednkit("invite", "--site", name, "--api-url", secured.url, *options)
        folder = tmp_path / name
        shutil.move(secured.project.folder / "invitations" / name, folder)
        data = secured.project.folder / "data" / "site-1" / "transactions.csv"
        shutil.copy(data, folder / "data")
        command: list[str | Path] = [secured.project.python, "join.py"]
        result = subprocess.run(command, cwd=folder, env=os.environ | trust, timeout=60, **CAPTURED)
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        assert expected in line


def test_an_invitation_holds_a_token_for_its_site_and_two_clients_cannot_use_it_at_once(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDN_JWT_SECRET_KEY", SECRET)
    secured.project.fednkit("invite", "--site", "bank-a", "--api-url", secured.url)
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.move(secured.project.folder / "invitations" / "bank-a", first)
    shutil.copy(secured.project.folder / "data" / "site-1" / "transactions.csv", first / "data")
    shutil.copytree(first, second)
    with joining(secured, first) as client:
        client.wait_for("Listening to task stream")
        with joining(secured, second) as other:
            other.wait_for("GRPC (listen_to_task_stream): Server unavailable")
            # The first one is not disturbed.
            assert client.process.poll() is None
            client.process.kill()
            other.wait_for("Listening to task stream")


def test_the_controller_answers_a_role_and_no_other(secured: Secured) -> None:
    tokens = {role: secured.token(role) for role in ("admin", "client")} | {"none": ""}
    tokens |= {"expired": secured.token("admin", days=-1)}
    for path, allowed in {
        "/api/v1/models/": "admin",
        "/api/v1/clients/config": "admin",
        "/api/v1/packages/download": "client",
        "/api/v1/packages/checksum": "client",
    }.items():
        answers = {role: secured.status(path, token) for role, token in tokens.items()}
        # What is allowed is not there before something was uploaded.
        assert answers.pop(allowed) in (200, 404)
        assert set(answers.values()) == {401}


@pytest.mark.parametrize("path", ["/api/v1/graphql", "//api/v1//graphql", "/api/v1/metrics/list"])
def test_what_the_controller_answers_without_a_token_is_closed(secured: Secured, path: str) -> None:
    assert secured.status(path, "", method="POST") == 403
    assert secured.status(path, secured.token("admin"), method="POST") == 403


def test_the_combiner_asks_for_a_token_and_its_control_is_closed(secured: Secured) -> None:
    heartbeat = "/fedn.Connector/SendHeartbeat"
    assert secured.call(heartbeat) == "UNAUTHENTICATED"
    assert secured.call(heartbeat, agent="grpc_health_probe") == "UNAUTHENTICATED"
    assert secured.call(heartbeat, secured.token("client", days=-1)) == "UNAUTHENTICATED"
    assert secured.call(heartbeat, secured.token("admin")) == "PERMISSION_DENIED"
    for method in (
        "/fedn.Control/SetServerFunctions",
        "/fedn.Control/FlushAggregationQueue",
        "/fedn.Connector/ListActiveClients",
        "/fedn.Connector/AcceptingClients",
        "/grpc.health.v1.Health/Check",
    ):
        assert secured.call(method, secured.token("client")) == "PERMISSION_DENIED"


def test_nothing_but_the_proxy_can_be_reached(secured: Secured) -> None:
    for port in (8092, 12080):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((secured.address, port), timeout=10)
