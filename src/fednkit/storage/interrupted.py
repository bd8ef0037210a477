"""Resume the sessions that were running when the server ended."""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from http.client import OK
from typing import Any

from fedn.network.controller.control import Control
from fedn.network.storage.statestore.stores.shared import SortOrder
from flask import Flask, Response, request

__all__ = ["Interrupted", "find_interrupted", "respond_when_stored", "resume_in_background"]

log = logging.getLogger("fedn")

FINAL_STATUSES = "Finished", "Failed", "Terminated"
# FEDn's clients reconnect within seconds; resume when the number of sites has not changed for this
# long.
SETTLE_SECONDS = 10.0
# Maximum wait until a started session is on disk.
START_SECONDS = 5.0


@dataclass(frozen=True)
class Interrupted:
    """An interrupted session.

    Attributes:
        run: FEDn's record of the session's run.
        rounds: The number of remaining rounds.
        clients: Ids of the selected clients; None for all.
    """

    run: Any
    rounds: int
    clients: list[str] | None


def find_interrupted(control: Control) -> list[Interrupted]:
    """Repair the records of interrupted sessions, and return those to resume.

    A round with a committed model is marked as finished. A round without one is deleted, and will
    be repeated from the previous model.
    """
    store = control.db
    found = []
    # The newest run of each session, also a completed one: a crash may have come just before the
    # run that replaces it.
    newest = {run.session_id: run for run in _all(store.run_store)}
    for session_id, run in newest.items():
        session = store.session_store.get(session_id)
        if session is None or session.status != "Started":
            continue
        rounds = [
            entry
            for entry in _all(store.round_store)
            if _session_of(entry) in (session_id, None) and entry.committed_at >= run.committed_at
        ]
        models = _all(store.model_store, session_id=session_id)
        done = sum(_is_over(store, entry, models) for entry in rounds)
        if models:
            control.set_session_config(session_id, {"model_id": models[-1].model_id})
        if done >= run.rounds:
            control.set_session_status(session_id, "Finished")
            _complete(control, run)
            continue
        chosen = next((e.round_config.selected_clients for e in rounds if e.round_config), None)
        found.append(Interrupted(run, run.rounds - done, chosen))
    return found


def resume_in_background(control: Control, interrupted: list[Interrupted]) -> None:
    """Resume sessions in the background, one after the other, when their sites are back."""
    if interrupted:
        threading.Thread(target=_resume, args=[control, interrupted], daemon=True).start()


def respond_when_stored(app: Flask, control: Control) -> None:
    """Delay FEDn's response that a session has started until the session is on disk."""

    @app.after_request
    def wait(response: Response) -> Response:
        if request.path == "/api/v1/sessions/start" and response.status_code == OK:
            session = (request.get_json(silent=True) or request.form)["session_id"]
            until = time.monotonic() + START_SECONDS
            while not control.db.run_store.count(session_id=session, completed_at="null"):
                if time.monotonic() > until:
                    break
                time.sleep(0.01)
        return response


def _resume(control: Control, interrupted: list[Interrupted]) -> None:
    for left in interrupted:
        session = left.run.session_id
        log.warning(f"session {session}: {left.rounds} rounds are left; waiting for its sites")
        _wait_for_sites(control, control.db.session_store.get(session).session_config)
        # Another session may have been started in the meantime.
        while not control.idle():
            time.sleep(0.5)
        # A new run with the remaining rounds replaces this one.
        _complete(control, left.run)
        control.start_session(session, left.rounds, left.run.round_timeout, None, left.clients)


def _wait_for_sites(control: Control, config: Any) -> None:
    """Wait until enough sites for a round are online, and their number no longer changes."""
    online, since = 0, time.monotonic()
    while online < int(config.clients_required) or time.monotonic() - since < SETTLE_SECONDS:
        time.sleep(0.5)
        combiners = control.network.get_combiners()
        now = sum(len(combiner.list_active_clients()) for combiner in combiners)
        if now != online:
            online, since = now, time.monotonic()


def _complete(control: Control, run: Any) -> None:
    run.completed_at = datetime.now()
    control.db.run_store.update(run)


def _session_of(entry: Any) -> str | None:
    """Return the session of a round; None for a new round that has no configuration yet."""
    return entry.round_config.session_id if entry.round_config else None


def _is_over(store: Any, entry: Any, models: list[Any]) -> bool:
    """Return whether a round is over; mark it as finished if it has a model, else delete it."""
    if entry.status in FINAL_STATUSES:
        return True
    if entry.status == "Success" or any(m.committed_at >= entry.committed_at for m in models):
        entry.status = "Finished"
        store.round_store.update(entry)
        return True
    store.round_store.delete(entry.round_id)
    return False


def _all(store: Any, **criteria: str) -> list[Any]:
    """Return all entries of one of FEDn's stores, oldest first."""
    return list(store.list(0, 0, "committed_at", SortOrder.ASCENDING, **criteria))
