"""Sites that come late, go, or are there twice; and a session too many."""

import re
import shutil

import pytest
from lab import Lab, missed, until

pytestmark = [pytest.mark.install, pytest.mark.faults, pytest.mark.slow]


def gone(lab: Lab, sites: int) -> None:
    """Wait until FEDn takes note that others have left."""
    until(lambda: len(lab.online()) == sites, lambda: str(lab.online()), pause=0.5)


def test_site_that_joins_late(lab: Lab) -> None:
    site = lab.sites[2]
    assert site.leave() == 0
    gone(lab, 2)
    session = lab.session("--rounds", "8", "--round-timeout", "10", sites=2)
    session.wait_for("round 1: 2 of 2 sites")
    site.join()
    code, printed = session.end()
    assert code == 0, printed
    assert lab.updates()[0] == 2
    assert lab.updates()[-1] == 3, printed
    assert "round 8: 3 of 3 sites" in printed


def test_site_that_leaves_for_good(lab: Lab) -> None:
    site = lab.sites[0]
    session = lab.session("--rounds", "4", "--round-timeout", "10")
    session.wait_for("round 1: 3 of 3 sites")
    seen = site.mark()
    assert site.leave() == 0
    assert site.said(seen).endswith("left the federation\n")
    until(lambda: site.processes() == {}, lambda: str(site.processes()))
    code, printed = session.end()
    assert code == 0, printed
    assert missed(printed, "bank-1"), printed
    assert lab.updates()[-1] == 2, printed
    site.join()


def test_two_sites_with_one_invitation(lab: Lab) -> None:
    twin = lab.sites[2]
    assert twin.leave() == 0
    gone(lab, 2)
    kept = twin.folder.rename(twin.folder.with_name("kept"))
    invitation = lab.sites[1].folder
    shutil.copytree(invitation, twin.folder)
    shutil.copy(kept / "data" / twin.data.name, twin.folder / "data")
    twin.join()
    session = lab.session("--rounds", "4", "--round-timeout", "10", sites=2)
    code, printed = session.end()
    assert code == 0, printed
    # The second one waits, and is told so in the first one's name.
    assert "sites online: bank-1, bank-2\n" in printed
    assert "bank-2: another connection used its id" in printed
    assert lab.updates() == [2, 2, 2, 2], printed
    assert twin.leave() == 0
    shutil.rmtree(twin.folder)
    kept.rename(twin.folder)
    twin.join()


def test_two_sites_with_one_name(lab: Lab) -> None:
    twin = lab.sites[2]
    assert twin.leave() == 0
    gone(lab, 2)
    settings = twin.folder / "client.yaml"
    good = settings.read_text("utf-8")
    settings.write_text(good.replace('"bank-3"', '"bank-2"'))
    # Another client_id, but a name that is taken.
    twin.join()
    session = lab.session("--rounds", "2", "--round-timeout", "20")
    code, printed = session.end()
    assert code == 0, printed
    assert "warning: two sites are called 'bank-2'; both take part, but their metrics" in printed
    assert lab.updates()[-1] == 3, printed
    assert twin.leave() == 0
    settings.write_text(good)
    twin.join()


def test_second_session_while_one_runs(lab: Lab) -> None:
    first = lab.session("--rounds", "3", "--round-timeout", "20")
    first.wait_for("round 1: 3 of 3 sites")
    code, printed = lab.start("session", "start", "--api-url", lab.url).end()
    assert code == 1
    assert printed.splitlines()[-1] == (
        "error: FEDn did not start the session: A session is already running!"
    )
    code, printed = first.end()
    assert code == 0, printed
    assert lab.updates() == [3, 3, 3], printed


def test_fewer_sites_than_a_round_needs(lab: Lab) -> None:
    site = lab.sites[1]
    options = "--rounds", "4", "--round-timeout", "10", "--sites", "3"
    session = lab.session(*options)
    session.wait_for("round 1: 3 of 3 sites")
    assert site.leave() == 0
    code, printed = session.end()
    assert code == 1
    assert "failed, fewer than 3 of the sites were online\n" in printed
    command = re.search(
        r"error: \d of \d rounds failed; see the controller's log; go on with: fednkit "
        r"session start --api-url \S+ (--resume runs/\S+)\n",
        printed,
    )
    assert command, printed
    site.join()
    code, printed = lab.session(*command[1].split()).end()
    assert code == 0, printed
    assert len(lab.updates()) == 4
    assert lab.updates()[-1] == 3
