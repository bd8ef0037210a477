"""Run FEDn's controller and combiner in one process, with embedded storage and guarded calls.

The code is FEDn's; its storage backends are replaced, see fednkit.storage, so that no database has
to be installed. local.py, serve.py and the containers of compose.yaml run it:

    python -m fednkit.network.server READY_FILE|- [SETUP]

SETUP is a `Setup` in JSON. The server writes its ports to READY_FILE when it is ready, and ends
when its standard input closes, as it does when the parent ends. With `-` it runs until a signal.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from ..controller.tokens import SECRET

if TYPE_CHECKING:
    from ._sites import Sites

__all__ = ["LOOPBACK", "Setup", "free_port", "serve"]

LOOPBACK = "127.0.0.1"
NETWORK = "federation"


@dataclass(frozen=True)
class Setup:
    """Where the network listens, and who may join.

    Attributes:
        host: Address or host name that clients connect to and that both servers listen on.
        listen: Address to listen on, if it differs from `host`.
        port: Port of the controller; 0 picks a free one.
        combiner_port: Port of the combiner; 0 picks a free one.
        fqdn: TLS proxy that clients connect to instead, on port 443, to reach the combiner.
        tokens: Whether callers need a token signed with the secret in the environment.
        sites: Names by client id of the only sites that may join; None for any site.
        store: Folder of the store; None keeps nothing.
        settings: FEDn's settings file, whose MongoDB and object store are used instead.
        metrics_port: Port of the loopback for Prometheus; 0 picks a free one, None disables it.
        json_log: Whether the log is JSON.
    """

    host: str = LOOPBACK
    listen: str | None = None
    port: int = 0
    combiner_port: int = 0
    fqdn: str | None = None
    tokens: bool = False
    sites: dict[str, str] | None = None
    store: str | None = None
    settings: str | None = None
    metrics_port: int | None = None
    json_log: bool = False


def serve(ready: Path | None, setup: Setup) -> None:
    """Start the network and serve until standard input closes.

    Args:
        ready: Gets the ports as JSON when the network is ready; None to serve until a signal.
        setup: Where to listen, and who may join.
    """
    # FEDn reads these when it is imported.
    if not setup.tokens:
        os.environ.pop(SECRET, None)
    # FEDn would resolve the hook service's name in every round; port 9 rejects at once.
    os.environ["HOOK_SERVICE_HOST"] = f"{LOOPBACK}:9"

    ready = ready.absolute() if ready else None
    temporary = _enter_temporary_folder(ready)

    from fedn.network.api.server import app
    from fedn.network.controller.control import Control
    from werkzeug.serving import make_server

    from ..monitoring.logs import use_json
    from ..storage.interrupted import find_interrupted, respond_when_stored, resume_in_background
    from ._routes import RouteGuard
    from ._sites import Sites, token_claims

    if setup.json_log:
        use_json("fedn", "werkzeug")
    claims = token_claims(os.environ[SECRET]) if setup.tokens else None
    sites = Sites(setup.sites, claims)
    repository, database = _open_stores(setup, temporary)
    control = Control.create_instance(NETWORK, repository, database)
    interrupted = find_interrupted(control)
    respond_when_stored(app, control)
    RouteGuard(app, sites, claims)
    api = make_server(setup.listen or setup.host, setup.port, app, threaded=True)
    combiner_port = setup.combiner_port or free_port(setup.host)
    _start_combiner(setup, sites, (combiner_port, api.server_port), repository, database)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    resume_in_background(control, interrupted)
    ports = {"api_port": api.server_port, "combiner_port": combiner_port}
    if setup.metrics_port is not None:
        from ..monitoring.metrics import MetricsCollector, serve_metrics

        collector = MetricsCollector(database, sites.report_counts)
        ports["metrics_port"] = serve_metrics(setup.metrics_port, collector)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        if ready is None:
            threading.Event().wait()
        else:
            part = ready.with_suffix(".tmp")
            part.write_text(json.dumps(ports), encoding="utf-8")
            part.replace(ready)
            sys.stdin.read()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        # FEDn's threads never end by themselves.
        os._exit(0)


def _enter_temporary_folder(ready: Path | None) -> Path:
    """Make and return a private folder for FEDn's packages and the combiner's models."""
    if ready is None:
        temporary = Path(tempfile.mkdtemp())
    else:
        temporary = ready.parent / "temporary"
        temporary.mkdir(mode=0o700)
    for variable, name in (("FEDN_MODEL_DIR", "models"), ("FEDN_COMPUTE_PACKAGE_DIR", "packages")):
        (temporary / name).mkdir()
        os.environ[variable] = str(temporary / name)
    # FEDn also looks for packages in the working folder.
    os.chdir(temporary / "packages")
    return temporary


def _open_stores(setup: Setup, temporary: Path) -> tuple[Any, Any]:
    """Return FEDn's object store and its state store."""
    from ..storage.store import connect, open_store

    packages = temporary / "packages"
    if setup.settings:
        return connect(Path(setup.settings), packages)
    folder = Path(setup.store) if setup.store else None
    return open_store(folder, packages, temporary / "files", NETWORK)


def _start_combiner(
    setup: Setup, sites: "Sites", ports: tuple[int, int], repository: Any, database: Any
) -> None:
    """Start FEDn's combiner on the setup's host only; install all guards before its port opens."""
    import grpc
    from fedn.network.combiner import combiner

    from ..storage.store import COMBINER
    from ._calls import CallGuard, authenticate_controller
    from ._guard import Guard
    from ._models import SiteModels
    from ._sites import MAX_SITES
    from ._updates import RoundUpdates

    config = {
        # Required but unused: the combiner registers itself in the database.
        "discover_host": setup.host,
        "discover_port": ports[1],
        "token": None,
        # The controller connects to this address; so do clients, unless there is an fqdn.
        "host": setup.host,
        "port": ports[0],
        "fqdn": setup.fqdn,
        "name": COMBINER,
        "secure": False,
        "verify": False,
        "max_clients": MAX_SITES,
    }
    secret = secrets.token_hex()
    authenticate_controller(secret)
    make_server, make_handler = grpc.server, combiner.RoundHandler

    def guarded_server(*arguments: Any, **options: Any) -> Any:
        options["interceptors"] = [CallGuard(secret, sites), *options.get("interceptors", ())]
        return _bound_to(setup.listen or setup.host, make_server)(*arguments, **options)

    def guarded_handler(server: Any, *arguments: Any, **options: Any) -> Any:
        handler = make_handler(server, *arguments, **options)
        RoundUpdates(server, handler.update_handler, sites, handler.modelservice)
        Guard(handler, sites)
        return handler

    with (
        mock.patch("grpc.server", guarded_server),
        mock.patch.object(combiner, "ModelService", lambda: SiteModels(sites)),
        mock.patch.object(combiner, "RoundHandler", guarded_handler),
    ):
        combiner.Combiner(config, repository, database)


def _bound_to(host: str, make_server: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap grpc.server so that it opens ports on this host only, and does not share them."""

    def make(*arguments: Any, **options: Any) -> Any:
        # By default two servers can share a port, and each gets half of the calls.
        options["options"] = [*options.get("options", ()), ("grpc.so_reuseport", 0)]
        server = make_server(*arguments, **options)
        add_port = server.add_insecure_port
        # FEDn's combiner would listen on all interfaces.
        server.add_insecure_port = lambda address: add_port(f"{host}:{address.rpartition(':')[2]}")
        return server

    return make


def free_port(host: str = LOOPBACK) -> int:
    """Return an unused port of the address `host`."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    ready_file = None if sys.argv[1] == "-" else Path(sys.argv[1])
    serve(ready_file, Setup(**json.loads("".join(sys.argv[2:]) or "{}")))
