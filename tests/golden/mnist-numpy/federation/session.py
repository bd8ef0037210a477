"""Rounds on a network that runs elsewhere: python -m federation session start|watch|download."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedn import APIClient

from . import controller, package
from .budgets import Spent
from .controller import HELPER, listed
from .project import SLUG, ProjectError, shown
from .rounds import Round, follow
from .runs import new_folder
from .show import console, say, show_round, show_table
from .upload import active_helper, newest_model

ACTIONS = {
    "start": "start rounds, follow them, and save the model of each",
    "watch": "follow the rounds of a session that runs, from its first",
    "download": "save a global model",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation session`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        controller.add_options(action)
        if name == "start":
            add_round_options(action)
            action.add_argument(
                "--sites",
                type=int,
                default=1,
                metavar="N",
                help="start with at least N (default 1)",
            )
            action.add_argument("--model", metavar="ID", help="to start from (default: the newest)")
        if name == "watch":
            action.add_argument("session", nargs="?", help="its id (default: the newest)")
        if name == "download":
            action.add_argument("--model", metavar="ID", help="which one (default: the newest)")
            action.add_argument(
                "--out", type=Path, default=Path("model.npz"), help="(default model.npz)"
            )


def add_round_options(parser: argparse.ArgumentParser) -> None:
    """Declare how many rounds there are, and how FEDn makes one model of the sites' updates."""
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="how many rounds (default 3)")
    add(
        "--aggregator",
        choices=("fedavg", "fedopt"),
        default="fedavg",
        help="how FEDn combines the sites' updates (default fedavg)",
    )
    add(
        "--server-optimizer",
        choices=("adam", "yogi", "adagrad"),
        default="adam",
        help="for fedopt: how it steps from one global model to the next (default adam)",
    )
    add("--server-learning-rate", type=float, default=0.01, help="for fedopt (default 0.01)")
    add(
        "--round-timeout",
        type=float,
        default=180,
        metavar="SECONDS",
        help="end a round then, with the updates that came (default 180)",
    )


def check_round_options(options: argparse.Namespace) -> None:
    """Raise `ProjectError` for the first option that makes no sense."""
    if options.rounds < 1:
        raise ProjectError(f"--rounds: expected 1 or more, found {options.rounds}")
    if not options.server_learning_rate > 0:
        raise ProjectError("--server-learning-rate: expected a number above 0")
    if not options.round_timeout > 0:
        raise ProjectError(f"--round-timeout: expected seconds, found {options.round_timeout:g}")


def run(options: argparse.Namespace) -> None:
    """Do what the command says."""
    token = controller.read_token(options.token_env)
    if options.action == "start":
        check_round_options(options)
        if options.sites < 1:
            raise ProjectError(f"--sites: expected 1 or more, found {options.sites}")
    with controller.connected(options.api_url, token) as api:
        if options.action == "start":
            start(api, options)
        elif options.action == "watch":
            watch(api, options.session or newest_session(api), options)
        else:
            model = options.model or newest_model(api)["model_id"]
            download(api, model, options.out)
            say(f"{shown(options.out.absolute())}: model {model}")


def start(api: APIClient, options: argparse.Namespace) -> None:
    """Start a session and follow it. Raises `ProjectError` that says what is missing."""
    helper = active_helper(api)
    if helper is None:
        raise ProjectError("the controller has no package; run: python -m federation upload")
    if helper != HELPER:
        raise ProjectError(
            f"the controller reads models with '{helper}', which spoils float32, and not with "
            f"'{HELPER}'; run: python -m federation upload"
        )
    model = options.model or newest_model(api)["model_id"]
    sites = controller.online_sites(api)
    if len(sites) < options.sites:
        names = f" ({', '.join(sites)})" if sites else ""
        raise ProjectError(
            f"--sites: expected at least {options.sites} online, found {len(sites)}{names}; invite "
            "more: python -m federation invite"
        )
    say(f"sites online: {', '.join(sites)}")
    session = begin(api, options, model, options.sites)
    say(f"session: {session}, from model {model}")
    watch(api, session, options)


def begin(api: APIClient, options: argparse.Namespace, model: str | None, sites: int) -> str:
    """Have the controller start rounds, and return the session's id.

    model: to start from; None means the newest. sites: as few as a round may begin with.
    """
    fedopt = {
        "serveropt": options.server_optimizer,
        "learning_rate": options.server_learning_rate,
    }
    answer = api.start_session(
        name=SLUG,
        aggregator=options.aggregator,
        aggregator_kwargs=fedopt if options.aggregator == "fedopt" else None,
        model_id=model,
        rounds=options.rounds,
        round_timeout=options.round_timeout,
        helper=HELPER,
        min_clients=sites,
    )
    # A session that FEDn made but did not start has an id too.
    if not str(answer.get("message")).startswith("Session started"):
        raise ProjectError(f"FEDn did not start the session: {answer.get('message')}")
    return str(answer["session_id"])


def watch(api: APIClient, session: str, options: argparse.Namespace) -> None:
    """Print a session's rounds as they come, then a table; save the model and the metrics."""
    if "session_config" not in (known := api.get_session(session)):
        raise ProjectError(f"the controller knows no session '{session}'")
    timeout = float(known["session_config"]["round_timeout"])
    folder = new_folder("session")
    record = {"session": session, "archive_sha256": controller.package_checksum(api)}
    results: list[Round] = []
    sites = len(controller.online_sites(api))
    spent = Spent(say)

    def online() -> set[str]:
        return set(controller.online_sites(api))

    try:
        with console.status("waiting for the first round"):
            for result in follow(api, session, timeout, online, say):
                if spent.over(result, record):
                    say("the session's other rounds have nothing more to learn from")
                    break
                results.append(result)
                save(folder, api, results, record)
                show_round(result, sites)
        finish_privacy(folder, api, results, record, spent)
    except BaseException:
        say(
            "the session goes on by itself; to follow it again: python -m federation session "
            f"watch --api-url {options.api_url} {session}"
        )
        raise
    finally:
        finish(folder, results, sites)
    failed = sum(not result.finished for result in results)
    if failed or not (results or "ended" in record):
        raise ProjectError(f"{failed} of {len(results)} rounds failed; see the controller's log")


def finish(folder: Path, results: list[Round], sites: int) -> None:
    """Print all rounds as a table, and where the newest model and the metrics are."""
    show_table(results, sites)
    for name in ("model.npz", "metrics.json"):
        if (folder / name).exists():
            say(f"{name}: {shown(folder / name)}")
    if not any(folder.iterdir()):
        folder.rmdir()


def finish_privacy(
    folder: Path, api: APIClient, results: list[Round], record: dict[str, Any], spent: Spent
) -> None:
    """Say what the sites' updates have told, and keep in metrics.json why a session ended early."""
    if words := spent.summary():
        say(words)
    if "ended" in record and results:
        save(folder, api, results, record)


def save(folder: Path, api: APIClient, results: list[Round], record: dict[str, Any]) -> None:
    """Write what there is so far: the newest global model, and all metrics."""
    if results[-1].model_id:
        download(api, results[-1].model_id, folder / "model.npz")
    rounds = [{**asdict(result), "mean": result.mean()} for result in results]
    content = json.dumps({**record, "rounds": rounds}, indent=2)
    package.write_atomically(folder / "metrics.json", content.encode())


def download(api: APIClient, model: str, file: Path) -> None:
    """Save a global model as a file that is either whole or not there."""
    fresh = file.with_name(f".{file.name}.part")
    try:
        if not api.download_model(model, str(fresh))["success"]:
            raise ProjectError(f"the controller does not hand out model {model}")
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def newest_session(api: APIClient) -> str:
    """Return the id of the session that was made last."""
    sessions = listed(api.get_sessions(n_max=1))
    if not sessions:
        raise ProjectError("the controller has no session; start one: session start")
    return str(sessions[0]["session_id"])
