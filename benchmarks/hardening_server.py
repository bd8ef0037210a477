"""Run a server for hardening.py: python hardening_server.py CASE READY SETUP.

`hardened` and `with store` are fednkit.network.server; `plain` is the same without its guards,
which is FEDn's controller and combiner on the same embedded storage.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import measuring

from fednkit.network import server

CASES = ("plain", "hardened", "with store")


@contextmanager
def start(folder: Path, case: str) -> Iterator[tuple[int, dict[str, int]]]:
    """Start a server; yield its process id and its ports, and stop it after the block."""
    folder.mkdir(parents=True)
    ready, log = folder / "ready.json", folder / "server.log"
    setup = {"store": str(folder / "store")} if case == "with store" else {}
    command: list[str | Path] = [sys.executable, "-B", __file__, case, ready, json.dumps(setup)]
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
    try:
        measuring.wait_for(ready.exists, f"the server of {log}")
        yield child.pid, json.loads(ready.read_text("utf-8"))
    finally:
        child.terminate()
        child.wait()


def serve(case: str, ready: Path, setup: server.Setup) -> None:
    """Serve until standard input closes."""
    with ExitStack() as patches:
        if case == "plain":
            patches.enter_context(mock.patch("fednkit.network._routes.RouteGuard"))
            patches.enter_context(mock.patch.object(server, "_start_combiner", plain_combiner))
        server.serve(ready, setup)


def plain_combiner(
    setup: server.Setup, _: Any, ports: tuple[int, int], repository: Any, database: Any
) -> None:
    """Start FEDn's combiner without guards."""
    from fedn.network.combiner.combiner import Combiner

    discover = {"discover_host": setup.host, "discover_port": ports[1], "token": None}
    place = {"host": setup.host, "port": ports[0], "fqdn": setup.fqdn, "name": "combiner"}
    limits = {"secure": False, "verify": False, "max_clients": 1000}
    Combiner({**discover, **place, **limits}, repository, database)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), server.Setup(**json.loads(sys.argv[3])))
