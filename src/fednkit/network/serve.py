"""A FEDn network between machines: what others set up with a database and an object store.

The controller and the combiner are FEDn's own and run until they are stopped; what they hold is
kept in a folder, or forgotten. When FEDN_JWT_SECRET_KEY is set, both demand tokens.
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
        host: The one address of this machine to listen on; no other machine reaches the default.
        port: Of the controller; 0: a free one.
        combiner_port: Of the combiner; 0: a free one.
        no_tokens: Let other machines in without tokens: a trial among machines that you trust.
        store: Keep sessions, models and the package in this folder, and continue with what it
            holds (default: everything is forgotten at the end).
        check: Serve nothing; check whether the folder of a store, or a copy of one, is complete.
        metrics_port: Of 127.0.0.1, where /metrics has figures for Prometheus; 0: a free one
            (default: none).
        json_log: Write the log as JSON lines.
        fqdn: The TLS proxy on whose port 443 sites reach the combiner; see `fednkit docs live`.
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
            f"{SECRET} is set, but FEDn's clients send a token to port 443 of a TLS proxy only; "
            "name it with --fqdn, or unset the variable"
        )
    check_ports(options.host, {"--port": options.port, "--combiner-port": options.combiner_port})
    if options.metrics_port is not None:
        check_ports(LOOPBACK, {"--metrics-port": options.metrics_port})
    if not (tokens or options.no_tokens or _is_loopback(options.host)):
        raise ProjectError(
            f"--host {options.host}: other machines reach it, and without tokens each of them can "
            f"be every site; set {SECRET} and name a TLS proxy with --fqdn, or, where you trust "
            "all of them: --no-tokens"
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
        # How a trial ends, and no failure.
        print("stopped")


def serve(setup: Setup) -> None:
    """Start the server, say where it is, and wait for its end, which is a failure."""
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
            lines.append("both demand tokens: fednkit token --help")
        elif setup.host != LOOPBACK:
            lines.append(f"no tokens: whoever reaches {setup.host} can use it")
        if setup.store:
            lines.append(f"kept in {shown(Path(setup.store))}; stop with Ctrl-C")
        else:
            lines.append("models, packages and sites are forgotten at the end, which is Ctrl-C")
        print("\n".join(lines), flush=True)
        server.child.wait()
        raise ProjectError(f"{shown(server.log)}: FEDn's server ended: {server.cause_of_death()}")


def _is_loopback(host: str) -> bool:
    """Tell whether an address is of this machine alone; also for one that has none, or is none."""
    try:
        return ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    except OSError:
        # `check_ports` says what is wrong with it.
        return True


def check_ports(host: str, ports: dict[str, int]) -> None:
    """Raise `ProjectError` unless the ports of the options are free at the address `host`."""
    with ExitStack() as probes:
        for option, port in ports.items():
            probe = probes.enter_context(socket.socket())
            # Those that a server has just left may be taken again.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                # Until all are checked, so that two of one number are found out.
                probe.listen()
                found = probe.getsockname()[0]
            except OverflowError:
                raise ProjectError(f"{option}: expected 0 to 65535, found {port}") from None
            except OSError as error:
                raise ProjectError(_why(error, host, option, port)) from None
            if found == "0.0.0.0":  # noqa: S104, refused
                raise ProjectError("--host: expected one address, which sites are told; found all")


def _why(error: OSError, host: str, option: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another one with {option}"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} is not open to this user; choose one above 1023: {option}"
    return f"--host: expected an IPv4 address of this machine, or its name, found '{host}'"
