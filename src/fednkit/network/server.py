"""A whole FEDn network in one process: its controller and combiner, with embedded storage.

This is FEDn's own code. Only what it stores to is replaced: MongoDB by mongomock and S3 by moto,
both in memory, so that nothing has to be installed or cleaned up. Run by local.py and serve.py:

    python -m fednkit.network.server READY_FILE [SETUP]

SETUP is a `Setup` in JSON. It writes the ports to READY_FILE when all is up, and ends when its
standard input closes, which happens however the parent ends.
"""

import json
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ..controller.tokens import SECRET
from ..project.paths import by_number

__all__ = ["LOOPBACK", "Setup", "free_port", "serve"]

LOOPBACK = "127.0.0.1"
NETWORK = "federation"


@dataclass(frozen=True)
class Setup:
    """Where the network listens, and whom it lets in.

    host: the one address, or its name, that both listen on and that clients are told.
    port, combiner_port: of the controller and of the combiner; 0 takes a free one.
    fqdn: what clients are told instead: the TLS proxy whose port 443 leads to the combiner.
    tokens: whether callers need a token that was made with the secret in the environment.
    """

    host: str = LOOPBACK
    port: int = 0
    combiner_port: int = 0
    fqdn: str | None = None
    tokens: bool = False


def serve(ready: Path, setup: Setup) -> None:
    """Bring the network up, say so in the file `ready`, and serve until standard input ends."""
    # FEDn reads these when it is imported.
    if not setup.tokens:
        os.environ.pop(SECRET, None)
    os.environ["FEDN_COMPUTE_PACKAGE_DIR"] = str(Path.cwd())
    # Port 9 refuses at once; FEDn would look up the name of a hook service in every round.
    os.environ["HOOK_SERVICE_HOST"] = f"{LOOPBACK}:9"

    from fedn.network.api.server import app
    from fedn.network.controller.control import Control
    from werkzeug.serving import make_server

    from ._hooks import Hooks

    repository, database = _embedded_stores()
    Control.create_instance(NETWORK, repository, database)
    api = make_server(setup.host, setup.port, app, threaded=True)
    threading.Thread(target=api.serve_forever, daemon=True).start()

    combiner_port = setup.combiner_port or free_port(setup.host)
    combiner = _combiner(setup, combiner_port, api.server_port, repository, database)
    handler = combiner.round_handler.update_handler
    take_updates_of_the_round_alone(combiner, handler)
    handler.waitforit = _then_in_order(handler.waitforit, handler.model_updates)
    Hooks(combiner.round_handler).install()

    temporary = ready.with_suffix(".tmp")
    ports = {"api_port": api.server_port, "combiner_port": combiner_port}
    temporary.write_text(json.dumps(ports), encoding="utf-8")
    temporary.replace(ready)
    sys.stdin.read()
    # FEDn's threads never end by themselves.
    os._exit(0)


def _embedded_stores() -> tuple[Any, Any]:
    """Return FEDn's object store on moto, and its state store on mongomock."""
    import mongomock
    from fedn.network.storage.dbconnection import DatabaseConnection
    from fedn.network.storage.s3.repository import Repository
    from moto.server import ThreadedMotoServer

    storage = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    storage.start()
    _, storage_port = storage.get_host_and_port()
    repository = Repository(
        {
            "storage_endpoint": f"http://{LOOPBACK}:{storage_port}",
            "storage_access_key": "embedded",
            "storage_secret_key": "embedded",
            "storage_bucket": "models",
            "context_bucket": "packages",
            "prediction_bucket": "predictions",
            "storage_secure_mode": False,
            "storage_verify_ssl": False,
        },
        storage_type="BOTO3",
    )
    # One connection for both: a mongomock store lives in the object that opened it.
    with mock.patch("pymongo.MongoClient", mongomock.MongoClient):
        database = DatabaseConnection({"type": "MongoDB", "mongo_config": {}}, NETWORK)
    return repository, database


def _combiner(setup: Setup, port: int, api_port: int, repository: Any, database: Any) -> Any:
    """Return FEDn's combiner, which listens on the setup's host alone."""
    import grpc
    from fedn.network.combiner.combiner import Combiner

    config = {
        # FEDn needs them no more: its combiner enters itself into the database.
        "discover_host": setup.host,
        "discover_port": api_port,
        "token": None,
        # Where the controller calls it, and clients too unless there is an fqdn.
        "host": setup.host,
        "port": port,
        "fqdn": setup.fqdn,
        "name": "combiner",
        "secure": False,
        "verify": False,
        "max_clients": 1000,
    }
    # FEDn's combiner would listen on every interface of the machine.
    with mock.patch("grpc.server", _bound_to(setup.host, grpc.server)):
        return Combiner(config, repository, database)


def _bound_to(host: str, make_server: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap grpc.server so that every port it opens is one of this host, and its alone."""

    def make(*arguments: Any, **options: Any) -> Any:
        # By default two servers may share a port, and each would get half of the calls.
        options["options"] = [*options.get("options", ()), ("grpc.so_reuseport", 0)]
        server = make_server(*arguments, **options)
        add_port = server.add_insecure_port
        server.add_insecure_port = lambda address: add_port(f"{host}:{address.rpartition(':')[2]}")
        return server

    return make


def take_updates_of_the_round_alone(combiner: Any, handler: Any) -> None:
    """Have a combiner drop updates that were not made from the model of the round that runs.

    FEDn counts and averages whatever comes in while a round waits: also the update of a site that
    was late for the round before, that was cut off as its server ended, or that was sent twice
    as the answer was lost. A round would then be over before those have answered that it asked.
    """
    lock, asked = threading.Lock(), [""]
    had: set[str] = set()
    request, receive = combiner.request_model_update, handler.on_model_update

    def request_and_forget(session_id: str, model_id: str, *rest: Any, **options: Any) -> Any:
        with lock:
            asked[0] = model_id
            had.clear()
            while not handler.model_updates.empty():
                handler.model_updates.get()
        return request(session_id, model_id, *rest, **options)

    def receive_if_asked(update: Any) -> None:
        with lock:
            if update.model_id == asked[0] and update.model_update_id not in had:
                had.add(update.model_update_id)
                receive(update)
                return
        line = f"dropped an update of {update.sender.name}: another round's, or a second time"
        print(line, flush=True)

    combiner.request_model_update, handler.on_model_update = request_and_forget, receive_if_asked


def _then_in_order(wait: Callable[..., None], updates: "queue.Queue[Any]") -> Callable[..., None]:
    """Wrap the wait for a round's updates so that they are combined by the sites' numbers.

    FEDn combines them as they come in, and a sum depends on its order in the last bit. With one
    order a run repeats bit for bit, and a simulation of it comes to the same model.
    """

    def wait_and_sort(*arguments: Any, **options: Any) -> None:
        wait(*arguments, **options)
        arrived = [updates.get() for _ in range(updates.qsize())]
        for update in sorted(arrived, key=lambda update: by_number(update.sender.name)):
            updates.put(update)

    return wait_and_sort


def free_port(host: str = LOOPBACK) -> int:
    """Return a port of this machine's address `host` that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Setup(**json.loads("".join(sys.argv[2:]) or "{}")))
