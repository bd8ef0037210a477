"""Sites that speak FEDn's protocol by plain calls, so that a test can send whatever it likes."""

import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import fedn.network.grpc.fedn_pb2 as fedn
import fedn.network.grpc.fedn_pb2_grpc as rpc
import grpc
import numpy as np
import requests
from fedn import APIClient
from fedn.network.combiner.modelservice import upload_request_generator
from made_up_updates import model_file
from proxy import proxied

from fednkit.controller.tokens import SECRET, make_token, site_claims
from fednkit.controller.upload import newest_model

TIMEOUT_SECONDS = 20


def model(*values: float) -> bytes:
    """Return a model of one array with these values, in FEDn's layout."""
    return model_file([np.array(values, dtype=np.float32)])


def connection(address: str, root: Path | None = None) -> Any:
    """Return a channel with a connection of its own: by default a process has one for all.

    root: the certificate that signed the server's, where it speaks TLS.
    """
    options = [("grpc.use_local_subchannel_pool", 1)]
    if root is None:
        return grpc.insecure_channel(address, options=options)
    trusted = grpc.ssl_channel_credentials(root.read_bytes())
    return grpc.secure_channel(address, trusted, options=options)


class Server(Protocol):
    """What a site joins. secret: of the tokens, if it demands them."""

    api: APIClient
    secret: str

    def connection(self) -> Any: ...


class Site:
    """A site that has joined, and does nothing by itself."""

    def __init__(self, network: Server, name: str) -> None:
        self.name, self.client_id = name, str(uuid.uuid4())
        secret = network.secret
        headers = {}
        if secret:
            token = make_token(secret, "client", 1, name)
            _, self.client_id = site_claims(token) or ("", "")
            headers = {"authorization": f"Bearer {token}"}
        register(network.api, self.client_id, name, headers)
        self.metadata = [("client", self.client_id), *headers.items()]
        self.channel = network.connection()
        self.connector = rpc.ConnectorStub(self.channel)
        self.models, self.combiner = (
            rpc.ModelServiceStub(self.channel),
            rpc.CombinerStub(self.channel),
        )
        self._tasks: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def _listen(self) -> None:
        message = fedn.ClientAvailableMessage(sender=self.sender())
        with suppress(grpc.RpcError):
            for task in self.combiner.TaskStream(message, metadata=self.metadata):
                self._tasks.put(task)

    def _beat(self) -> None:
        """Stay online; also while the test is slow."""
        beat = self.connector.SendHeartbeat
        with suppress(grpc.RpcError):
            while True:
                beat(fedn.Heartbeat(sender=self.sender()), metadata=self.metadata)
                time.sleep(2)

    def call(self) -> dict[str, Any]:
        """Return the options of each of its calls."""
        return {"metadata": self.metadata, "timeout": TIMEOUT_SECONDS}

    def sender(self) -> Any:
        """Return what the site says of itself."""
        return fedn.Client(name=self.name, role=fedn.CLIENT, client_id=self.client_id)

    def asked_for(self, kind: int = fedn.StatusType.MODEL_UPDATE) -> str:
        """Wait until the combiner asks for an update, and return the id of the global model."""
        while True:
            task = self._tasks.get(timeout=3 * TIMEOUT_SECONDS)
            if task.type == kind:
                return str(task.model_id)

    def validate(self, model_id: str, metrics: dict[str, float]) -> None:
        """Send metrics of a model."""
        message = fedn.ModelValidation(
            sender=self.sender(), model_id=model_id, data=json.dumps(metrics)
        )
        self.combiner.SendModelValidation(message, **self.call())

    def upload(self, content: bytes, model_id: str) -> int:
        """Upload a file under an id; return FEDn's status."""
        parts = upload_request_generator(io.BytesIO(content), model_id)
        return int(self.models.Upload(parts, **self.call()).status)

    def download(self, model_id: str) -> bytes | None:
        """Return the file under an id, None where the combiner hands out none."""
        request, content = fedn.ModelRequest(id=model_id, sender=self.sender()), b""
        for part in self.models.Download(request, **self.call()):
            if part.status == fedn.ModelStatus.FAILED:
                return None
            content += part.data
        return content

    def send(
        self,
        model_id: str,
        content: bytes | None,
        meta: Any = None,
        sender: Any = None,
        update_id: str = "",
    ) -> str:
        """Send an update and return its id.

        content: None for a file that was never uploaded. update_id: of one that was uploaded.
        """
        uploaded = bool(update_id)
        update_id = update_id or str(uuid.uuid4())
        if content is not None and not uploaded:
            self.upload(content, update_id)
        honest = {"training_metadata": {"num_examples": 10}, "config": "{}"}
        update = fedn.ModelUpdate(
            sender=sender or self.sender(),
            model_id=model_id,
            model_update_id=update_id,
            meta=json.dumps(honest if meta is None else meta),
        )
        self.combiner.SendModelUpdate(update, **self.call())
        return update_id


def register(
    api: APIClient, client_id: object, name: object, headers: dict[str, str] | None = None
) -> int:
    """Register a site as FEDn's client does; return the status of the answer."""
    url = api._get_url("api/v1/clients/add")
    asked = {"client_id": client_id, "name": name, "package": "remote"}
    answer = requests.post(
        url, json=asked, headers=headers, verify=api.verify, timeout=TIMEOUT_SECONDS
    )
    return int(answer.status_code)


class Network:
    """The embedded network, as `fednkit network` and `serve` start it."""

    def __init__(
        self, folder: Path, ports: dict[str, int], secret: str, root: Path | None = None
    ) -> None:
        self.folder, self.secret, self.root = folder, secret, root
        token = make_token(secret, "admin", 1) if secret else None
        tls = {"secure": True, "verify": str(root)} if root else {}
        self.api = APIClient("127.0.0.1", ports["api_port"], token=token, **tls)
        self.address = f"127.0.0.1:{ports['combiner_port']}"

    def connection(self) -> Any:
        """Return a channel to the combiner with a connection of its own."""
        return connection(self.address, self.root)

    def join(self, count: int) -> list[Site]:
        """Have sites join; return them when the combiner knows them all."""
        before = self._online()
        names = [f"site-{number}" for number in range(1, count + 1)]
        sites = [Site(self, name) for name in names]
        wait_for(lambda: self._online() >= before + count)
        return sites

    def _online(self) -> int:
        return sum(c["status"] == "online" for c in self.api.get_clients().get("result", []))

    def start(self, sites: list[Site], timeout: int = TIMEOUT_SECONDS) -> str:
        """Start a round; return the id of the model that all sites are asked to update."""
        started = self.api.start_session(
            name="hostile", helper="numpyhelper", rounds=1, round_timeout=timeout,
            min_clients=len(sites),
        )  # fmt: skip
        self.session = started["session_id"]
        (model_id,) = {site.asked_for() for site in sites}
        return model_id

    def outcome(self) -> tuple[list[float], dict[str, Any], int]:
        """Wait for the newest round; return the model's values, the outcome, and how many count."""

        def newest() -> Any:
            rounds = self.api.get_rounds()["result"]
            return max(rounds, key=lambda found: int(found["round_id"]))

        wait_for(lambda: newest().get("status") in ("Finished", "Failed"))
        # The next session must not find this one still at work.
        wait_for(lambda: self.api.get_session_status(self.session) in ("Finished", "Failed"))
        combined = newest()["combiners"][0]
        outcome = json.loads(combined["config"]["client_settings"]["outcome"])
        model_id = newest_model(self.api)["model_id"]
        path = self.folder / f"{model_id}.npz"
        self.api.download_model(model_id, str(path))
        with np.load(path) as arrays:
            used = int(combined["data"]["aggregation_time"]["nr_aggregated_models"])
            return arrays["0"].tolist(), outcome, used


@contextmanager
def network(
    folder: Path, setup: str = "{}", secret: str = "", tls: bool = False
) -> Iterator[Network]:
    """Start the server with a global model of two zeros; stop it after the block.

    setup: `fednkit.network.server.Setup` in JSON. secret: of the tokens, if it has them. tls:
    whether all that is sent goes through nginx.
    """
    ready = folder / "server" / "ready.json"
    ready.parent.mkdir()
    # With stand-ins for MongoDB and MinIO, which only compose.yaml's settings name.
    stand_ins = Path(__file__).with_name("stand_ins.py")
    command: list[str | Path] = [
        sys.executable,
        "-B",
        stand_ins,
        folder / "told.json",
        ready,
        setup,
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, SECRET: secret},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: ready.exists() or server.poll() is not None)
        ports = json.loads(ready.read_text("utf-8"))
        with ExitStack() as stack:
            root = None
            if tls:
                port = stack.enter_context(proxied(folder, ports))
                ports, root = dict.fromkeys(ports, port), folder / "root.pem"
            started = Network(folder, ports, secret, root)
            seed = folder / "seed.npz"
            seed.write_bytes(model(0, 0))
            started.api.set_active_model(str(seed))
            yield started
    finally:
        server.terminate()
        server.wait(timeout=TIMEOUT_SECONDS)


def wait_for(condition: Any) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 3 * TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
