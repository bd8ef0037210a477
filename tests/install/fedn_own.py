"""FEDn's own servers for server functions, on this machine's loopback interface.

Run by a project's Python, in a folder of their own:

    python fedn_own.py hooks ADDRESS              # FEDn's service, as `fedn hooks start` runs it
    python fedn_own.py serve ADDRESS READY_FILE   # controller and combiner, which ask that service

FEDn's service listens on port 12081 of every interface and has no option for it, so the address is
put in its place. Of `fednkit.network.server` only the storage in memory and the address
are left here: its combiner asks, waits and combines as FEDn's does anywhere.
"""

import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import grpc


def hooks(address: str) -> None:
    from fedn.cli import main

    make_server = grpc.server

    def make(*arguments: Any, **options: Any) -> Any:
        server = make_server(*arguments, **options)
        add_port = server.add_insecure_port
        server.add_insecure_port = lambda _: add_port(address)
        return server

    with mock.patch("grpc.server", make):
        main(["hooks", "start"])


def serve(address: str, ready: Path) -> None:
    # FEDn reads it when it is imported, which is before `server.serve` sets it.
    os.environ["FEDN_COMPUTE_PACKAGE_DIR"] = str(ready.parent / "temporary" / "packages")
    from fedn.network.combiner.hooks.hook_client import CombinerHookInterface
    from fedn.network.combiner.modelservice import ModelService

    from fednkit.network import _calls, _guard, _models, _routes, _updates, server

    class Open(grpc.ServerInterceptor):
        def __init__(self, *_: Any) -> None:
            pass

        def intercept_service(self, continuation: Any, call: Any) -> Any:
            return continuation(call)

    def ask_the_service(handler: Any, _: Any) -> None:
        # `serve` set it to a closed port before FEDn read it.
        os.environ["HOOK_SERVICE_HOST"] = address
        handler.hook_interface = CombinerHookInterface()

    with (
        mock.patch.object(_calls, "CallGuard", Open),
        mock.patch.object(_guard, "Guard", ask_the_service),
        mock.patch.object(_models, "SiteModels", lambda _: ModelService()),
        mock.patch.object(_routes, "RouteGuard"),
        mock.patch.object(_updates, "RoundUpdates"),
    ):
        server.serve(ready, server.Setup())


if __name__ == "__main__":
    if sys.argv[1] == "hooks":
        hooks(sys.argv[2])
    else:
        serve(sys.argv[2], Path(sys.argv[3]))
