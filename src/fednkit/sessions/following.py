"""Follow the rounds of a session on a FEDn network."""

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
# How long FEDn may exceed a round's timeout.
GRACE_SECONDS = 60
# How many times to poll a live site that has not reported yet.
MAX_POLLS = 10


class ForgottenError(ProjectError):
    """The controller does not know the session, for example after a restart."""


def follow(
    api: APIClient,
    session: str,
    timeout: float,
    alive_sites: Callable[[], set[str]],
    say: Callable[[str], None],
    keep: Callable[[Round], None],
    done: int = 0,
    watch: Callable[[Progress], None] | None = None,
    restarted: Event | None = None,
) -> Iterator[Round]:
    """Yield each round of a session when it and its validation are complete.

    Args:
        api: A client of the controller's API.
        session: The session's id.
        timeout: A round's timeout, in seconds.
        alive_sites: Returns the names of the sites that can still respond; raises if none is left.
        say: Reports late rounds and missing sites.
        keep: Called with a round as soon as its model exists, perhaps long before its validation.
        done: The number of rounds before this session in the run that it resumes.
        watch: Called with the round's progress at every poll, which costs one more request.
        restarted: Set when the controller has restarted; the round's timeout then starts again.

    Raises:
        ProjectError: A round exceeds its timeout by far, or the session is unknown.
    """
    restarted = restarted or Event()
    follower = _Follower(api, session, timeout, alive_sites, say, keep, done, watch, restarted)
    yield from follower.rounds()


class _Follower:
    """The state of following a session. The arguments are those of `follow`."""

    def __init__(
        self,
        api: APIClient,
        session: str,
        timeout: float,
        alive_sites: Callable[[], set[str]],
        say: Callable[[str], None],
        keep: Callable[[Round], None],
        done: int,
        watch: Callable[[Progress], None] | None,
        restarted: Event,
    ) -> None:
        self.api, self.session, self.timeout, self.done = api, session, timeout, done
        self.alive_sites, self.say, self.keep, self.watch = alive_sites, say, keep, watch
        self.restarted = restarted
        # Numbers of this session's rounds that were yielded, have ended, or were reported late.
        self.yielded = self.ended = self.late = 0
        # The last round passed to `keep`, and how often a missing report was polled for.
        self.kept = self.polls = 0
        # When each round was first listed.
        self.begun: list[float] = []
        # The time of the last progress, and the sites that could respond then.
        self.since, self.asked = time.monotonic(), alive_sites()

    def rounds(self) -> Iterator[Round]:
        """Yield each round when it and its validation are complete."""
        while True:
            alive = self.alive_sites()
            known = self.api.get_session(self.session)
            if "status" not in known:
                raise ForgottenError(f"the controller knows no session '{self.session}'")
            rounds = session_rounds(self.api, self.session)
            self._watch_round(rounds, alive)
            if self.restarted.is_set():
                # The sites reconnect some seconds after the controller.
                self.restarted.clear()
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
        """Return the next round that has ended; None while reports on it are outstanding."""
        entry = rounds[self.yielded]
        result = round_result(self.api, self.session, entry, number=self.done + self.yielded + 1)
        senders = update_senders(self.api, self.session, entry)
        add_privacy(result, senders)
        self._report(alive, senders, result)
        if result.finished and not result.used_up and result.number > self.kept:
            self.keep(result)
            self.kept = result.number
        if self.ended <= self.yielded:
            # The wait for the validation starts now.
            self.ended, self.since = self.yielded + 1, time.monotonic()
        waited = time.monotonic() - self.since
        unvalidated = alive - set(result.sites) if result.finished else set()
        # A site sends its report after its update, and the round may end in between.
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
        """Report the running round. `_complete` reports one that has ended."""
        # A restarted controller drops an interrupted round.
        self.begun = [*self.begun, *[time.monotonic()] * len(rounds)][: len(rounds)]
        if self.watch and self.yielded < len(rounds) and not is_over(rounds[self.yielded]):
            self._report(alive, update_senders(self.api, self.session, rounds[self.yielded]))

    def _report(self, alive: set[str], senders: Iterable[str], result: Round | None = None) -> None:
        """Pass the progress of the current round to `watch`."""
        if self.watch:
            number, begun = self.done + self.yielded + 1, self.begun[self.yielded]
            updates = set(senders)
            progress = Progress(number, begun, self.timeout, self.asked, alive, updates, result)
            self.watch(progress)

    def _check_time(self, rounds: list[dict[str, Any]], alive: set[str]) -> None:
        """Report once that a round is late; raise `ProjectError` if it does not end."""
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
