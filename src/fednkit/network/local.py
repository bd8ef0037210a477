"""Train over a FEDn network on this machine: controller, combiner and one client per site.

Each client is FEDn's own client in a separate process and folder. It downloads the compute package
from the controller, unpacks it and runs its entry points on the site's data.
"""

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fedn import APIClient

from ..aggregation.server_functions import check_updates
from ..controller.upload import send
from ..data import seed
from ..data.sites import make_sample
from ..package import archive
from ..project import fedn_client
from ..project.config import current
from ..project.console import console, say
from ..project.errors import ProjectError
from ..project.paths import by_number, shown
from ..project.processes import ONE_THREAD, STOP_SECONDS, Process, Processes, wait_until
from ..runs.run import new_folder
from ..sessions import resume
from ..sessions.budget import Spending
from ..sessions.display import finish, live_table, show_round
from ..sessions.following import follow
from ..sessions.options import RoundOptions
from ..sessions.resume import note, save
from ..sessions.rounds import Round
from ..sessions.session import begin, finish_privacy
from .server import LOOPBACK, Setup

__all__ = [
    "Options",
    "find_sites",
    "report_exits",
    "run",
    "start_clients",
    "start_server",
    "train",
]


@dataclass(frozen=True, kw_only=True)
class Options(RoundOptions):
    """Options of `fednkit network`.

    Attributes:
        sites: Number of sites to use from data/site-* (default: all).
        seed: Random seed for the seed model, if it is missing.
    """

    sites: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sites is not None and self.sites < 1:
            raise ProjectError(f"--sites: expected 1 or more, found {self.sites}")


def run(options: Options) -> None:
    """Run the rounds and print each, then a table; save the model and the metrics."""
    options, results = resume.before(options)
    sites = find_sites(options.sites)
    check_updates(options, len(sites))
    archive.build(current().archive)
    if not current().seed.exists():
        seed.make(options.seed)
    folder = new_folder("network")
    lost: dict[str, str] = {}
    try:
        with Processes() as processes:
            train(processes, sites, folder, options, results, lost)
    finally:
        finish(folder, results, len(sites))
    failed = [result.number for result in results if not result.finished]
    if failed or lost:
        raise ProjectError(
            f"{len(results) - len(failed)} of {options.rounds} rounds and "
            f"{len(sites) - len(lost)} of {len(sites)} sites finished; see {shown(folder)}"
        )


def train(
    processes: Processes,
    sites: list[Path],
    folder: Path,
    options: Options,
    results: list[Round],
    lost: dict[str, str],
) -> None:
    """Start the network and run the rounds.

    Args:
        processes: Runs the server and the clients.
        sites: The sites' data folders.
        folder: The run's folder.
        options: The options of the command.
        results: Gets each round as it ends.
        lost: Gets the cause for each site whose client ends early.
    """
    ids = {site.name: str(uuid.uuid4()) for site in sites}
    server, api = start_server(processes, folder, {ids[name]: name for name in ids})
    with _explained(server, folder):
        send(api, resume.model(options))
        clients = start_clients(processes, sites, ids, folder, api)
        session = begin(api, options, model=None, sites=1, done=len(results))
        _follow(api, session, clients, folder, options, results, lost)


def _follow(
    api: APIClient,
    session: str,
    clients: dict[str, Process],
    folder: Path,
    options: Options,
    results: list[Round],
    lost: dict[str, str],
) -> None:
    """Print, save and count the rounds of a session as they end."""
    record = {
        "archive_sha256": hashlib.sha256(current().archive.read_bytes()).hexdigest(),
        "options": resume.plain(options),
    }
    spent = Spending(say)

    def alive() -> set[str]:
        report_exits(clients, lost)
        if len(lost) == len(clients):
            raise ProjectError("no site is left to train")
        return set(clients) - set(lost)

    def keep(result: Round) -> None:
        save(folder, api, [*results, result], record)

    done = len(results)
    with live_table(lambda: options.rounds, results) as watch:
        for result in follow(api, session, options.round_timeout, alive, say, keep, done, watch):
            if spent.over(result, record):
                break
            results.append(result)
            note(folder, results, record)
            show_round(result, len(clients))
    finish_privacy(folder, results, record, spent)


@contextmanager
def _explained(server: Process, folder: Path) -> Iterator[None]:
    """Report the end of the server instead of the failed request that it caused."""
    try:
        yield
    except OSError:
        # Its connections break shortly before the process ends.
        with suppress(subprocess.TimeoutExpired):
            server.child.wait(STOP_SECONDS)
        if server.running():
            raise
        raise ProjectError(
            f"FEDn's server ended: {server.exit_cause()}{resume.advice('network', folder)}"
        ) from None


def find_sites(wanted: int | None) -> list[Path]:
    """Return the sites' data folders; make sample data if there are none."""
    if not any(current().data.glob("site-*")):
        print(f"no site data under {shown(current().data)}: making sample data")
        make_sample(wanted or 2)
    found = sorted(current().data.glob("site-*"), key=lambda path: by_number(path.name))
    if wanted and wanted > len(found):
        raise ProjectError(
            f"expected {wanted} sites, found {len(found)} under {shown(current().data)}; "
            f"make them: fednkit sites --sites {wanted}"
        )
    return found[:wanted]


def start_server(
    processes: Processes, folder: Path, sites: dict[str, str]
) -> tuple[Process, APIClient]:
    """Start FEDn's controller and combiner; return their process and a client of their API.

    Args:
        processes: Runs the server.
        folder: The run's folder.
        sites: The names of the sites that may join, by client id.
    """
    ready = folder / "server" / "ready.json"
    setup = json.dumps(asdict(Setup(sites=sites)))
    command = [sys.executable, "-m", "fednkit.network.server", str(ready), setup]
    with console.status("starting FEDn's controller and combiner"):
        server = processes.start("server", command, folder / "server", {})
        wait_until(ready.exists, [server], "FEDn's server did not come up")
    port = json.loads(ready.read_text("utf-8"))["api_port"]
    say(f"network: http://{LOOPBACK}:{port}, log in {shown(server.log)}")
    return server, APIClient(LOOPBACK, port)


def start_clients(
    processes: Processes, sites: list[Path], ids: dict[str, str], folder: Path, api: APIClient
) -> dict[str, Process]:
    """Start one FEDn client per site, wait until all have joined, and return their processes."""
    programs = Path(sys.executable).parent
    clients = {}
    for site in sites:
        command = [sys.executable, str(Path(fedn_client.__file__))]
        command += ["client", "start", "--name", site.name, "--client-id", ids[site.name]]
        command += ["--api-url", f"http://{LOOPBACK}", "--api-port", str(api.port)]
        environment = ONE_THREAD | {
            "FEDN_DATA_PATH": str(site),
            # The package must find the library that it contains.
            "PYTHONSAFEPATH": "",
            # The package's commands start `python`, which must be this interpreter.
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }
        clients[site.name] = processes.start("client", command, folder / site.name, environment)

    def all_joined() -> bool:
        online = [c for c in api.get_clients().get("result", []) if c["status"] == "online"]
        return len(online) == len(sites)

    with console.status(f"waiting for {len(sites)} sites to join"):
        wait_until(all_joined, list(clients.values()), "the sites did not join")
    say(f"sites: {', '.join(clients)}, logs in {shown(folder / 'site-*' / 'client.log')}")
    return clients


def report_exits(clients: dict[str, Process], lost: dict[str, str]) -> None:
    """Report the clients that have ended since the last call, and add the cause to `lost`."""
    for name, client in clients.items():
        if name not in lost and not client.running():
            lost[name] = client.exit_cause()
            say(f"{name} died, {lost[name]}; its log is {shown(client.log)}")
            if len(lost) < len(clients):
                say("FEDn waits for it until the round's timeout, then goes on without it")
