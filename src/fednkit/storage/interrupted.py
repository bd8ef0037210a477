"""What the server was in the middle of when it ended: sessions are brought to their end."""

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

__all__ = ["Interrupted", "answer_when_kept", "continue_later", "find_interrupted"]

log = logging.getLogger("fedn")

OVER = "Finished", "Failed", "Terminated"
# FEDn's clients come back within some seconds: the sites are there when none has come for so long.
SETTLE_SECONDS = 10.0
# That a session which was asked for may take until it is on disk.
START_SECONDS = 5.0


@dataclass(frozen=True)
class Interrupted:
    """FEDn's record of a session's run that has rounds before it.

    rounds: how many. clients: ids of those that were chosen; None: all.
    """

    run: Any
    rounds: int
    clients: list[str] | None


def find_interrupted(control: Control) -> list[Interrupted]:
    """Mend the records of what broke off, and return what is to go on.

    A round whose model was committed is finished. One whose model was not is forgotten, and will
    be made again from the model before.
    """
    store = control.db
    found = []
    for run in _all(store.run_store, completed_at="null"):
        session = store.session_store.get(run.session_id)
        if session is None or session.status != "Started":
            continue
        rounds = [
            entry
            for entry in _all(store.round_store)
            if _session_of(entry) in (run.session_id, None)
            and entry.committed_at >= run.committed_at
        ]
        models = _all(store.model_store, session_id=run.session_id)
        done = sum(_is_over(store, entry, models) for entry in rounds)
        if models:
            control.set_session_config(run.session_id, {"model_id": models[-1].model_id})
        if done >= run.rounds:
            control.set_session_status(run.session_id, "Finished")
            _complete(control, run)
            continue
        chosen = next((e.round_config.selected_clients for e in rounds if e.round_config), None)
        found.append(Interrupted(run, run.rounds - done, chosen))
    return found


def continue_later(control: Control, interrupted: list[Interrupted]) -> None:
    """Go on with sessions, one after the other, as soon as their sites are back."""
    if interrupted:
        threading.Thread(target=_continue, args=[control, interrupted], daemon=True).start()


def answer_when_kept(app: Flask, control: Control) -> None:
    """Have FEDn say that a session started when that is on disk, and not before."""

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


def _continue(control: Control, interrupted: list[Interrupted]) -> None:
    for left in interrupted:
        session = left.run.session_id
        log.warning(f"session {session}: {left.rounds} rounds are left; waiting for its sites")
        _wait_for_sites(control, control.db.session_store.get(session).session_config)
        # Somebody may have started another one meanwhile.
        while not control.idle():
            time.sleep(0.5)
        # What is left is a run of its own, which takes the place of this one.
        _complete(control, left.run)
        control.start_session(session, left.rounds, left.run.round_timeout, None, left.clients)


def _wait_for_sites(control: Control, config: Any) -> None:
    """Return when as many sites are there as a round needs, and no more are coming."""
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
    """Return the session of a round; None if it had just been made, and was not told yet."""
    return entry.round_config.session_id if entry.round_config else None


def _is_over(store: Any, entry: Any, models: list[Any]) -> bool:
    """Tell whether a round is over; if it is not, it is finished or forgotten now."""
    if entry.status in OVER:
        return True
    if entry.status == "Success" or any(m.committed_at >= entry.committed_at for m in models):
        entry.status = "Finished"
        store.round_store.update(entry)
        return True
    store.round_store.delete(entry.round_id)
    return False


def _all(store: Any, **criteria: str) -> list[Any]:
    """Return all entries of one of FEDn's stores, the oldest first."""
    return list(store.list(0, 0, "committed_at", SortOrder.ASCENDING, **criteria))
