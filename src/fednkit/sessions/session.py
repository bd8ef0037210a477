"""Run rounds on a remote network: fednkit session start|watch|download."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import requests
from fedn import APIClient

from ..aggregation import server_functions
from ..controller import connection
from ..controller.connection import HELPER, ControllerOptions
from ..controller.upload import active_helper, newest_model
from ..project.config import current
from ..project.console import say
from ..project.errors import ProjectError
from ..project.paths import shown
from ..runs.run import new_folder
from . import resume
from .budget import Spending
from .display import finish, live_table, show_round
from .following import ForgottenError, follow
from .options import Download, RoundOptions, Start, Watch
from .resume import note, save
from .rounds import Round, newest_session

__all__ = [
    "ACTIONS",
    "Download",
    "Start",
    "Watch",
    "begin",
    "download",
    "finish_privacy",
    "start",
    "watch",
]


def start(options: Start) -> None:
    """Start rounds, follow them, and save each model."""
    with _connected(options) as api:
        _start(api, options)


def watch(options: Watch) -> None:
    """Follow the rounds of a running session from the first one."""
    with _connected(options) as api:
        _follow(api, options.session or newest_session(api), options)


def download(options: Download) -> None:
    """Save a global model."""
    if options.out.exists() and not options.force:
        raise ProjectError(
            f"{shown(options.out.absolute())} already exists; name another file with --out, or "
            "overwrite it with --force"
        )
    with _connected(options) as api:
        model = options.model or newest_model(api)["model_id"]
        resume.download(api, model, options.out)
        say(f"{shown(options.out.absolute())}: model {model}")


ACTIONS = {"start": start, "watch": watch, "download": download}


def _connected(options: ControllerOptions) -> AbstractContextManager[APIClient]:
    return connection.connected(options.api_url, connection.read_token(options.token_env))


def _start(api: APIClient, options: Start) -> None:
    """Start a session and follow it. Raises `ProjectError`."""
    options, results = resume.before(options, asked_anew=frozenset({"sites"}))
    if options.resume:
        resume.send(api, options)
    helper = active_helper(api)
    if helper is None:
        raise ProjectError("the controller has no package; run: fednkit upload")
    if helper != HELPER:
        raise ProjectError(
            f"the controller reads models with '{helper}', which does not preserve float32; "
            f"expected '{HELPER}'; run: fednkit upload"
        )
    model = options.model or newest_model(api)["model_id"]
    sites = connection.online_sites(api)
    if len(sites) < options.sites:
        names = f" ({', '.join(sites)})" if sites else ""
        raise ProjectError(
            f"--sites: expected at least {options.sites} online, found {len(sites)}{names}; invite "
            "more with: fednkit invite"
        )
    server_functions.check_updates(options, len(sites))
    say(f"sites online: {', '.join(sites)}")
    for name in connection.shared_names(api):
        say(
            f"warning: two sites are called '{name}'; both take part, but their metrics cannot be "
            "distinguished; invite one of them under another name"
        )
    session = begin(api, options, model, options.sites, done=len(results))
    say(f"session: {session}, from model {model}")
    _follow(api, session, options, results)


def begin(
    api: APIClient, options: RoundOptions, model: str | None, sites: int, done: int = 0
) -> str:
    """Start rounds on the controller, and return the session's id.

    Args:
        api: A client of the controller's API.
        options: The options of the rounds.
        model: Id of the model to start from; None for the newest.
        sites: Minimum number of sites for a round.
        done: How many of the rounds are done already.
    """
    fedopt = {
        "serveropt": options.server_optimizer,
        "learning_rate": options.server_learning_rate,
    }
    defence = server_functions.settings(options)
    answer = api.start_session(
        name=current().slug,
        aggregator="fedopt" if defence else options.aggregator,
        # With a defence, FEDn must not fall back to its own aggregators, see `NO_AGGREGATOR`.
        aggregator_kwargs=server_functions.NO_AGGREGATOR
        if defence
        else fedopt
        if options.aggregator == "fedopt"
        else None,
        server_functions=server_functions.text(defence),
        model_id=model,
        rounds=options.rounds - done,
        round_timeout=options.round_timeout,
        helper=HELPER,
        min_clients=sites,
    )
    # A session that FEDn created but did not start has an id too.
    if not str(answer.get("message")).startswith("Session started"):
        raise ProjectError(f"FEDn did not start the session: {answer.get('message')}")
    return str(answer["session_id"])


def _follow(
    api: APIClient,
    session: str,
    options: Start | Watch,
    before: Sequence[Round] = (),
) -> None:
    """Print a session's rounds as they end, then a table; save the model and the metrics.

    Args:
        api: A client of the controller's API.
        session: The session's id.
        options: The options of the command.
        before: The rounds of the run that is resumed.
    """
    if "session_config" not in (known := api.get_session(session)):
        raise ForgottenError(f"the controller knows no session '{session}'")
    restarted = Event()
    api = connection.retrying(api, say, restarted.set)
    timeout = float(known["session_config"]["round_timeout"])
    folder = new_folder("session")
    record: dict[str, Any] = {"session": session}
    record["archive_sha256"] = connection.package_checksum(api)
    if isinstance(options, Start):
        record["options"] = resume.plain(options)
    results, done = list(before), len(before)
    sites = len(connection.online_sites(api))
    spent = Spending(say)

    def planned() -> int | None:
        if isinstance(options, Start):
            return int(options.rounds)
        return connection.planned_rounds(options.api_url, api.headers, session)

    def online() -> set[str]:
        return set(connection.online_sites(api))

    def keep(result: Round) -> None:
        save(folder, api, [*results, result], record)

    try:
        with _explained(options, session, folder), live_table(planned, before) as live:
            for result in follow(api, session, timeout, online, say, keep, done, live, restarted):
                if spent.over(result, record):
                    say("the session's remaining rounds will not improve the model")
                    break
                results.append(result)
                note(folder, results, record)
                # Sites may join during the session.
                sites = max(sites, result.updates)
                show_round(result, sites)
            finish_privacy(folder, results, record, spent)
    finally:
        finish(folder, results, sites)
    failed = sum(not result.finished for result in results)
    if failed or not (len(results) > done or "ended" in record):
        again = resume.advice("session start", folder, options.api_url)
        raise ProjectError(
            f"{failed} of {len(results)} rounds failed; see the controller's log{again}"
        )


@contextmanager
def _explained(options: ControllerOptions, session: str, folder: Path) -> Iterator[None]:
    """Print how to follow the session again if the block is interrupted."""
    again = f"fednkit session watch --api-url {options.api_url} {session}"
    try:
        yield
    except ForgottenError as error:
        # For example, `serve` restarted without --store.
        raise ProjectError(
            f"{error}: it restarted without its state"
            f"{resume.advice('session start', folder, options.api_url)}"
        ) from None
    except requests.exceptions.ConnectionError:
        say(
            "the controller is gone; if it restarts with its state, follow the session with: "
            f"{again}{resume.advice('session start', folder, options.api_url)}"
        )
        raise
    except BaseException:
        say(f"the session continues on the controller; to follow it again: {again}")
        raise


def finish_privacy(
    folder: Path, results: list[Round], record: dict[str, Any], spent: Spending
) -> None:
    """Print the privacy loss, and write to metrics.json why a session ended early."""
    if summary := spent.summary():
        say(summary)
    if "ended" in record and results:
        note(folder, results, record)
