"""Train over a real FEDn network on this machine: controller, combiner and a client per site.

Every client is FEDn's own, in a process and a folder of its own. It downloads the compute
package from the controller, unpacks it and runs its entry points on its site's data.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from fedn import APIClient

from . import package, seed
from .processes import ONE_THREAD, Process, Processes, wait_until
from .project import ARCHIVE, DATA, ROOT, SEED, SLUG, ProjectError, by_number, shown
from .rounds import Round, follow
from .runs import new_folder
from .server import LOOPBACK
from .show import console, say, show_round, show_table
from .sites import make_sample


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation network`."""
    parser.add_argument(
        "--sites", type=int, metavar="N", help="how many of data/site-* (default: all)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="how many rounds (default 3)"
    )
    parser.add_argument(
        "--aggregator",
        choices=("fedavg", "fedopt"),
        default="fedavg",
        help="how FEDn combines the sites' updates (default fedavg)",
    )
    parser.add_argument(
        "--server-optimizer",
        choices=("adam", "yogi", "adagrad"),
        default="adam",
        help="for fedopt: how it steps from one global model to the next (default adam)",
    )
    parser.add_argument(
        "--server-learning-rate", type=float, default=0.01, help="for fedopt (default 0.01)"
    )
    parser.add_argument(
        "--round-timeout",
        type=float,
        default=180,
        metavar="SECONDS",
        help="end a round then, with the updates that came (default 180)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the seed model, if there is none")


def run(options: argparse.Namespace) -> None:
    """Run the rounds; print them as they come, then a table; save the model and the metrics."""
    if options.rounds < 1:
        raise ProjectError(f"--rounds: expected 1 or more, found {options.rounds}")
    if not options.server_learning_rate > 0:
        raise ProjectError("--server-learning-rate: expected a number above 0")
    if not options.round_timeout > 0:
        raise ProjectError(f"--round-timeout: expected seconds, found {options.round_timeout:g}")
    sites = find_sites(options.sites)
    package.build()
    if not SEED.exists():
        seed.make(options.seed)
    folder = new_folder("network")
    results: list[Round] = []
    lost: dict[str, str] = {}
    try:
        with Processes() as processes:
            train(processes, sites, folder, options, results, lost)
    finally:
        show_table(results, len(sites))
        for name in ("model.npz", "metrics.json"):
            if (folder / name).exists():
                say(f"{name}: {shown(folder / name)}")
    failed = [result.number for result in results if not result.finished]
    if failed or lost:
        raise ProjectError(
            f"{len(results) - len(failed)} of {options.rounds} rounds and "
            f"{len(sites) - len(lost)} of {len(sites)} sites came through; see {shown(folder)}"
        )


def train(
    processes: Processes,
    sites: list[Path],
    folder: Path,
    options: argparse.Namespace,
    results: list[Round],
    lost: dict[str, str],
) -> None:
    """Bring the network up and run the rounds.

    Adds to `results` as rounds end, and to `lost` the cause of each site that dies on the way.
    """
    server, api = start_server(processes, folder)
    upload(api, folder)
    clients = start_clients(processes, sites, folder, api)
    session = start_session(api, options, len(sites))

    def living() -> set[str]:
        report_deaths(clients, lost)
        if len(lost) == len(clients):
            raise ProjectError("no site is left to train")
        return set(clients) - set(lost)

    try:
        with console.status(f"round 1 of {options.rounds}") as status:
            for result in follow(api, session, options.round_timeout, living, say):
                results.append(result)
                save(folder, api, results, options)
                show_round(result, len(sites))
                status.update(f"round {len(results) + 1} of {options.rounds}")
    except OSError:
        # A request that got no answer says less than the server's own end.
        if server.running():
            raise
        raise ProjectError(f"FEDn's server ended: {server.cause_of_death()}") from None


def find_sites(wanted: int | None) -> list[Path]:
    """Return the sites' data folders; make sample data when there are none at all."""
    if wanted is not None and wanted < 1:
        raise ProjectError(f"--sites: expected 1 or more, found {wanted}")
    if not any(DATA.glob("site-*")):
        print(f"no site data under {shown(DATA)}: making sample data")
        make_sample(wanted or 2)
    found = sorted(DATA.glob("site-*"), key=lambda path: by_number(path.name))
    if wanted and wanted > len(found):
        raise ProjectError(
            f"expected {wanted} sites, found {len(found)} under {shown(DATA)}; "
            f"make them: python -m federation sites --sites {wanted}"
        )
    return found[:wanted]


def start_server(processes: Processes, folder: Path) -> tuple[Process, APIClient]:
    """Start FEDn's controller and combiner and return a client of their API."""
    ready = folder / "server" / "ready.json"
    command = [sys.executable, "-m", "federation.server", str(ready)]
    paths = {"PYTHONPATH": str(ROOT)}
    with console.status("starting FEDn's controller and combiner"):
        server = processes.start("server", command, folder / "server", paths)
        wait_until(ready.exists, [server], "FEDn's server did not come up")
    port = json.loads(ready.read_text("utf-8"))["api_port"]
    say(f"network: http://{LOOPBACK}:{port}, log in {shown(server.log)}")
    return server, APIClient(LOOPBACK, port)


def upload(api: APIClient, folder: Path) -> None:
    """Hand the archive and the seed model to the controller."""
    # Under a name in .tgz: FEDn keeps the last suffix only, and no client can unpack a ".gz".
    archive = shutil.copy(ARCHIVE, folder / "server" / f"{SLUG}.tgz")
    api.set_active_package(str(archive), helper="numpyhelper", name=SLUG)
    expected = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    found = api.get_package_checksum().get("checksum")
    if found != expected:
        raise ProjectError(f"the controller has another package: SHA-256 {found}, not {expected}")
    answer = api.set_active_model(str(SEED))
    if not answer.get("success"):
        raise ProjectError(f"the controller refused the seed model: {answer.get('message')}")


def start_clients(
    processes: Processes, sites: list[Path], folder: Path, api: APIClient
) -> dict[str, Process]:
    """Start one FEDn client per site and wait until all have joined."""
    programs = Path(sys.executable).parent
    clients = {}
    for site in sites:
        command = [str(programs / "fedn"), "client", "start", "--name", site.name]
        command += ["--api-url", f"http://{LOOPBACK}", "--api-port", str(api.port)]
        environment = ONE_THREAD | {
            "FEDN_DATA_PATH": str(site),
            # The package's commands start `python`: the one that runs this.
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


def start_session(api: APIClient, options: argparse.Namespace, sites: int) -> str:
    """Start the rounds and return the session's id."""
    answer = api.start_session(
        name=SLUG,
        aggregator=options.aggregator,
        aggregator_kwargs=(
            {
                "serveropt": options.server_optimizer,
                "learning_rate": options.server_learning_rate,
            }
            if options.aggregator == "fedopt"
            else None
        ),
        rounds=options.rounds,
        round_timeout=options.round_timeout,
        helper="numpyhelper",
        min_clients=1,
        requested_clients=sites,
    )
    if "session_id" not in answer:
        raise ProjectError(f"FEDn did not start the session: {answer.get('message')}")
    return str(answer["session_id"])


def report_deaths(clients: dict[str, Process], lost: dict[str, str]) -> None:
    """Say which sites' clients have ended since the last look, and why; add them to `lost`."""
    for name, client in clients.items():
        if name not in lost and not client.running():
            lost[name] = client.cause_of_death()
            say(f"{name} died, {lost[name]}; its log is {shown(client.log)}")
            if len(lost) < len(clients):
                say("FEDn waits for it until the round's timeout, then goes on without it")


def save(folder: Path, api: APIClient, results: list[Round], options: argparse.Namespace) -> None:
    """Write what there is so far: the newest global model, and all metrics."""
    if results[-1].model_id:
        fresh = folder / ".model.npz"
        if not api.download_model(results[-1].model_id, str(fresh))["success"]:
            raise ProjectError(f"the controller does not hand out model {results[-1].model_id}")
        fresh.replace(folder / "model.npz")
    record = {
        "archive_sha256": hashlib.sha256(ARCHIVE.read_bytes()).hexdigest(),
        "options": {key: value for key, value in vars(options).items() if key != "command"},
        "rounds": [{**asdict(result), "mean": result.mean()} for result in results],
    }
    package.write_atomically(folder / "metrics.json", json.dumps(record, indent=2).encode())
