"""Processes that are killed or frozen: who is told what, and that all goes on."""

import os
import signal
import time

import pytest
from lab import CLIENT, TRAINING, WORKER, Lab, missed, until

pytestmark = [pytest.mark.install, pytest.mark.faults, pytest.mark.slow]
ROUNDS = "--rounds", "3", "--round-timeout", "10"
BACK = (
    "FEDn's client ended: it was killed by SIGKILL; was there memory enough?; trying again in 2 s\n"
)


def test_client_killed_before_training(lab: Lab) -> None:
    site = lab.sites[0]
    seen = site.mark()
    site.kill(CLIENT)
    site.wait_for(BACK, seen)
    site.wait_for("Listening to task stream", seen)
    code, printed = lab.session(*ROUNDS).end()
    assert code == 0, printed
    assert lab.updates()[-1] == 3


def test_client_killed_during_training(lab: Lab) -> None:
    site = lab.sites[1]
    session = lab.session("--rounds", "4", "--round-timeout", "10")
    session.wait_for("round 1: 3 of 3 sites")
    seen = site.mark()
    site.kill(TRAINING, signal.SIGSTOP)
    site.kill(CLIENT)
    site.wait_for(BACK, seen)
    code, printed = session.end()
    assert code == 0, printed
    assert missed(printed, "bank-2"), printed
    # It was in round 2 or, on a fast machine, in round 3; the last one has it back.
    assert lab.updates().count(2) == 1, printed
    assert lab.updates()[-1] == 3, printed


def test_client_killed_after_training(lab: Lab) -> None:
    site = lab.sites[2]
    seen = site.mark()
    session = lab.session(*ROUNDS)
    site.wait_for("Sending model update to combiner", seen)
    site.kill(CLIENT)
    site.wait_for(BACK, seen)
    code, printed = session.end()
    assert code == 0, printed
    assert lab.updates()[0] in (2, 3)
    assert lab.updates()[-1] == 3


def test_worker_killed_in_a_step(lab: Lab) -> None:
    site = lab.sites[0]
    seen = site.mark()
    session = lab.session(*ROUNDS)
    site.wait_for("Running train callback", seen)
    site.kill(TRAINING, 0)
    # The step is handed over in a few milliseconds, and takes a second.
    time.sleep(0.2)
    site.kill(WORKER)
    cause = "the resident worker was killed in the middle of this step; was there memory enough?"
    site.wait_for(f"FEDn's client ended: {cause}; trying again in 2 s\n", seen)
    code, printed = session.end()
    assert code == 0, printed
    assert missed(printed, "bank-1"), printed
    assert lab.updates() == [2, 3, 3], printed


def test_worker_frozen(lab: Lab) -> None:
    site = lab.sites[0]
    seen = site.mark()
    frozen = site.kill(WORKER, signal.SIGSTOP)
    code, printed = lab.session("--rounds", "2", "--round-timeout", "30").end()
    assert code == 0, printed
    line = "warning: the resident worker was frozen for 10 s; it is ended, and this step done alone"
    assert site.said(seen).count(line) == 1
    assert "error" not in site.said(seen)
    assert lab.updates() == [3, 3], printed
    assert frozen not in site.processes()


def test_client_frozen_past_the_rounds_timeout(lab: Lab) -> None:
    site = lab.sites[1]
    session = lab.session("--rounds", "5", "--round-timeout", "10")
    session.wait_for("round 1: 3 of 3 sites")
    # Its step goes on, so that it has an update to send when it goes on itself.
    site.kill(TRAINING, 0)
    frozen = site.kill(CLIENT, signal.SIGSTOP)
    session.wait_for(": 2 of 3 sites")
    os.kill(frozen, signal.SIGCONT)
    code, printed = session.end()
    assert code == 0, printed
    assert missed(printed, "bank-2"), printed
    assert 2 in lab.updates(), printed
    # A round that takes all of its time has its model measured all the same.
    assert "no validation from bank-1" not in printed, printed
    # What it did meanwhile counts for no other round.
    assert "bank-2: an update was dropped: another round's" in lab.server_log()
    assert lab.updates()[-1] == 3, printed


def test_worker_killed_between_steps(lab: Lab) -> None:
    site = lab.sites[0]
    seen = site.mark()
    killed = site.kill(WORKER)
    code, printed = lab.session("--rounds", "2", "--round-timeout", "20").end()
    assert code == 0, printed
    assert "error" not in site.said(seen)
    assert lab.updates() == [3, 3], printed
    # The step that worked alone left another one behind.
    assert site.pids(WORKER) not in ([], [killed])


def test_join_killed(lab: Lab) -> None:
    site = lab.sites[2]
    site.kill(r"-u join\.py")
    until(lambda: site.processes() == {}, lambda: str(site.processes()))
    assert site.joining
    site.joining.wait()
    site.join()
