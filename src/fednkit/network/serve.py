"""Serve a FEDn network to other machines, without a database server and an object store.

FEDn's controller and combiner run until they are stopped. Their state is kept in a folder or
discarded. If FEDN_JWT_SECRET_KEY is set, both require tokens.
"""

import errno
import ipaddress
import json
import os
import socket
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from ..controller.tokens import SECRET, secret_of
from ..project.console import console
from ..project.errors import ProjectError
from ..project.paths import shown
from ..project.processes import Processes, wait_until
from ..runs.run import new_folder
from ..storage.check import check, usable
from .server import LOOPBACK, Setup

__all__ = ["Options", "check_ports", "run", "serve"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit serve`.

    Attributes:
        host: Address of this machine to listen on. Only this machine can reach the default.
        port: Port of the controller; 0 picks a free one.
        combiner_port: Port of the combiner; 0 picks a free one.
        no_tokens: Accept other machines without tokens. Use this only for trials between machines
            that you trust.
        store: Folder in which to keep sessions, models and the package; an existing store is
            continued (default: nothing is kept).
        check: Check that this store, or a copy of one, is complete and undamaged; do not serve.
        metrics_port: Port of 127.0.0.1 for Prometheus metrics at /metrics; 0 picks a free one
            (default: no metrics).
        json_log: Write the log as JSON lines.
        fqdn: Host name of the TLS proxy that forwards its port 443 to the combiner; see
            `fednkit docs live`.
    """

    host: str = LOOPBACK
    port: int = 8092
    combiner_port: int = 12080
    no_tokens: bool = False
    store: Path | None = None
    check: Path | None = None
    metrics_port: int | None = None
    json_log: bool = False
    fqdn: str | None = None


def run(options: Options) -> None:
    """Serve until Ctrl-C."""
    if options.check:
        print(check(options.check))
        return
    tokens = SECRET in os.environ
    if tokens:
        secret_of(SECRET)
    if tokens and not options.fqdn:
        raise ProjectError(
            f"{SECRET} is set, but FEDn's clients send tokens only to port 443 of a TLS proxy; "
            "name the proxy with --fqdn, or unset the variable"
        )
    check_ports(options.host, {"--port": options.port, "--combiner-port": options.combiner_port})
    if options.metrics_port is not None:
        check_ports(LOOPBACK, {"--metrics-port": options.metrics_port})
    if not (tokens or options.no_tokens or _is_loopback(options.host)):
        raise ProjectError(
            f"--host {options.host}: other machines can reach it, and without tokens each can pose "
            f"as any site; set {SECRET} and name a TLS proxy with --fqdn, or, if you trust all of "
            "them, add --no-tokens"
        )
    store = None if options.store is None else str(usable(options.store))
    setup = Setup(
        host=options.host,
        port=options.port,
        combiner_port=options.combiner_port,
        fqdn=options.fqdn,
        tokens=tokens,
        store=store,
        metrics_port=options.metrics_port,
        json_log=options.json_log,
    )
    try:
        serve(setup)
    except KeyboardInterrupt:
        # Ctrl-C is the normal end.
        print("stopped")


def serve(setup: Setup) -> None:
    """Start the server, print its addresses, and wait; raise `ProjectError` if the server ends."""
    folder = new_folder("serve")
    ready = folder / "ready.json"
    command = [
        sys.executable,
        "-m",
        "fednkit.network.server",
        str(ready),
        json.dumps(asdict(setup)),
    ]
    with Processes() as processes:
        with console.status("starting FEDn's controller and combiner"):
            server = processes.start("server", command, folder, {})
            wait_until(ready.exists, [server], "FEDn's server did not come up")
        ports = json.loads(ready.read_text("utf-8"))
        lines = [
            f"controller: http://{setup.host}:{ports['api_port']}",
            f"combiner: {setup.host}:{ports['combiner_port']}"
            + (f", for sites {setup.fqdn}:443" if setup.fqdn else ""),
            f"log: {shown(server.log)}",
        ]
        if "metrics_port" in ports:
            lines.append(f"metrics: http://{LOOPBACK}:{ports['metrics_port']}/metrics")
        if setup.tokens:
            lines.append("both require tokens: fednkit token --help")
        elif setup.host != LOOPBACK:
            lines.append(f"no tokens: anyone who reaches {setup.host} can use it")
        if setup.store:
            lines.append(f"kept in {shown(Path(setup.store))}; stop with Ctrl-C")
        else:
            lines.append("models, packages and sites are not kept; stop with Ctrl-C")
        print("\n".join(lines), flush=True)
        server.child.wait()
        raise ProjectError(f"{shown(server.log)}: FEDn's server ended: {server.exit_cause()}")


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address; True for one that does not resolve."""
    try:
        return ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    except OSError:
        # `check_ports` reports the error.
        return True


def check_ports(host: str, ports: dict[str, int]) -> None:
    """Raise `ProjectError` unless the ports of the options are free at the address `host`."""
    with ExitStack() as probes:
        for option, port in ports.items():
            probe = probes.enter_context(socket.socket())
            # Allow ports that a server has just released.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                # Keep the port bound until all are checked, so that duplicates are detected.
                probe.listen()
                found = probe.getsockname()[0]
            except OverflowError:
                raise ProjectError(f"{option}: expected 0 to 65535, found {port}") from None
            except OSError as error:
                raise ProjectError(_bind_error(error, host, option, port)) from None
            if found == "0.0.0.0":  # noqa: S104, refused
                raise ProjectError(
                    "--host: expected one address, which sites connect to; found all"
                )


def _bind_error(error: OSError, host: str, option: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another one with {option}"
    if error.errno == errno.EACCES:
        return (
            f"port {port} of {host} is not allowed for this user; choose one above 1023: {option}"
        )
    return f"--host: expected an IPv4 address of this machine, or its name, found '{host}'"
