"""Follow a session on a FEDn network, round by round."""

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any

from fedn import APIClient

from ..project.errors import ProjectError
from ._live import Progress
from .rounds import Round, add_privacy, is_over, round_result, session_rounds, update_senders

__all__ = ["ForgottenError", "follow"]

POLL_SECONDS = 0.5
# That FEDn may take beyond a round's timeout.
GRACE_SECONDS = 60
# How many times to poll a live site that has not reported yet.
MAX_POLLS = 10


class ForgottenError(ProjectError):
    """The controller does not know the session any more, or never did."""


def follow(
    api: APIClient,
    session: str,
    timeout: float,
    living: Callable[[], set[str]],
    say: Callable[[str], None],
    keep: Callable[[Round], None],
    done: int = 0,
    watch: Callable[[Progress], None] | None = None,
    returned: Event | None = None,
) -> Iterator[Round]:
    """Yield each round of a session when it and its validation are complete.

    timeout: of a round, seconds. living: returns the names of the sites that can still answer;
    it raises when nothing can go on. say: tells the person what is late, and who is missing.
    keep: is handed a round as soon as it made a model, which its validation may come long after.
    done: how many rounds came before this session, in the run that it goes on with.
    watch: is handed what is known of the round at every poll, which costs one listing more.
    returned: set when the controller was restarted: the round has its whole time again.
    Raises `ProjectError` when the session stops moving, or is forgotten.
    """
    returned = returned or Event()
    yield from _Follower(api, session, timeout, living, say, keep, done, watch, returned).rounds()


class _Follower:
    """How far following a session has got. Arguments as of `follow`."""

    def __init__(
        self,
        api: APIClient,
        session: str,
        timeout: float,
        living: Callable[[], set[str]],
        say: Callable[[str], None],
        keep: Callable[[Round], None],
        done: int,
        watch: Callable[[Progress], None] | None,
        returned: Event,
    ) -> None:
        self.api, self.session, self.timeout, self.done = api, session, timeout, done
        self.living, self.say, self.keep, self.watch = living, say, keep, watch
        self.returned = returned
        # Rounds of this session that were yielded; whose end was seen; that were reported late.
        self.yielded = self.ended = self.late = 0
        # The last round that was kept, and how often a site was asked for what it has not sent.
        self.kept = self.polls = 0
        # When each round was first listed.
        self.begun: list[float] = []
        # Since when nothing has moved, and which sites could answer then.
        self.since, self.asked = time.monotonic(), living()

    def rounds(self) -> Iterator[Round]:
        """Yield each round when it and its validation are complete."""
        while True:
            alive = self.living()
            known = self.api.get_session(self.session)
            if "status" not in known:
                raise ForgottenError(f"the controller knows no session '{self.session}'")
            rounds = session_rounds(self.api, self.session)
            self._watch_round(rounds, alive)
            if self.returned.is_set():
                # The sites come back some seconds after the controller.
                self.returned.clear()
                self.since = time.monotonic()
            while self.yielded < len(rounds) and is_over(rounds[self.yielded]):
                result = self._complete(rounds, alive)
                if result is None:
                    break
                yield result
                self.yielded, self.polls = self.yielded + 1, 0
                self.since, self.asked = time.monotonic(), alive
            if is_over({"status": known["status"]}) and self.yielded == len(rounds):
                return
            self._check_time(rounds, alive)
            time.sleep(POLL_SECONDS)

    def _complete(self, rounds: list[dict[str, Any]], alive: set[str]) -> Round | None:
        """Return the next round that has ended; None while a site has still to report on it."""
        entry = rounds[self.yielded]
        result = round_result(self.api, self.session, entry, number=self.done + self.yielded + 1)
        senders = update_senders(self.api, self.session, entry)
        add_privacy(result, senders)
        self._report(alive, senders, result)
        if result.finished and not result.used_up and result.number > self.kept:
            self.keep(result)
            self.kept = result.number
        if self.ended <= self.yielded:
            # Its validation begins now, however long the round took.
            self.ended, self.since = self.yielded + 1, time.monotonic()
        waited = time.monotonic() - self.since
        unvalidated = alive - set(result.sites) if result.finished else set()
        # A site reports on its update after it, and a round may end in between.
        unreported = alive - set(result.privacy) if result.used_up else set()
        superseded = self.yielded + 1 < len(rounds) and is_over(rounds[self.yielded + 1])
        if unvalidated and not superseded and waited < self.timeout:
            return None
        if unreported and self.polls < MAX_POLLS:
            self.polls += 1
            return None
        absent = self.asked - set(senders)
        fewer = result.updates < len(self.asked)
        if self.late <= self.yielded and fewer and absent and result.finished:
            self.say(f"round {result.number} ended without {', '.join(sorted(absent))}")
        if unvalidated:
            names = ", ".join(sorted(unvalidated))
            self.say(f"round {result.number}: no validation from {names}")
        for site, cause in result.unusable.items():
            self.say(f"round {result.number}: the validation of {site} is left out: {cause}")
        return result

    def _watch_round(self, rounds: list[dict[str, Any]], alive: set[str]) -> None:
        """Report the round that runs. `_complete` reports one that has ended."""
        # A controller that is started again forgets a round that broke off.
        self.begun = [*self.begun, *[time.monotonic()] * len(rounds)][: len(rounds)]
        if self.watch and self.yielded < len(rounds) and not is_over(rounds[self.yielded]):
            self._report(alive, update_senders(self.api, self.session, rounds[self.yielded]))

    def _report(self, alive: set[str], senders: Iterable[str], result: Round | None = None) -> None:
        """Pass on what is known of the round that is followed."""
        if self.watch:
            number, begun = self.done + self.yielded + 1, self.begun[self.yielded]
            updates = set(senders)
            progress = Progress(number, begun, self.timeout, self.asked, alive, updates, result)
            self.watch(progress)

    def _check_time(self, rounds: list[dict[str, Any]], alive: set[str]) -> None:
        """Say once that a round is late; raise `ProjectError` when it does not end at all."""
        waited = time.monotonic() - self.since
        number = self.done + self.yielded + 1
        if waited > self.timeout and self.late <= self.yielded:
            self.late = self.yielded + 1
            begun = self.yielded < len(rounds)
            sent = update_senders(self.api, self.session, rounds[self.yielded]) if begun else {}
            missing = ", ".join(sorted((self.asked | alive) - set(sent))) or "nobody"
            self.say(f"round {number} is over its {self.timeout:g} s; still missing: {missing}")
        if waited > self.timeout + GRACE_SECONDS:
            raise ProjectError(
                f"round {number} did not end within {self.timeout:g} s and {GRACE_SECONDS} s more"
            )
