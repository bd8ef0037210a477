"""Lines that are cut, slow or lossy: what is sent arrives, and the others do not wait for ever."""

import subprocess
import time
from pathlib import Path

import pytest
from lab import Lab, missed, until

pytestmark = [pytest.mark.install, pytest.mark.faults, pytest.mark.slow]


def test_line_cut_in_mid_upload_and_back(lab: Lab) -> None:
    site = lab.sites[2]
    seen = site.mark()
    session = lab.session("--rounds", "6", "--round-timeout", "10")
    session.wait_for("round 1: 3 of 3 sites")
    # Thin, so that the upload of a few kilobytes takes some seconds.
    site.cable(rate=1500)
    site.wait_for("Uploading model to combiner", seen + site.said(seen).index("UPLOAD_MODEL"))
    time.sleep(0.5)
    site.cable(cut=True)
    until(lambda: missed(session.printed(), "bank-3"), session.printed)
    said = site.said(seen)
    assert said.rindex("Uploading model to combiner") > said.rindex("UPLOAD_MODEL")
    site.cable()
    code, printed = session.end()
    assert code == 0, printed
    assert lab.updates()[0] == 3
    assert 2 in lab.updates()
    # FEDn's client sent the rest of its upload, or all of it once more, and takes part again.
    code, printed = lab.session("--rounds", "2", "--round-timeout", "40").end()
    assert code == 0, printed
    assert lab.updates()[-1] == 3, printed
    assert "trying again" not in site.said(seen)


def test_delay_and_loss(lab: Lab) -> None:
    for site in lab.sites:
        site.cable(delay=0.2, loss=0.05)
    began = time.monotonic()
    code = f"import socket; socket.create_connection(('{lab.initiator.address}', 8092), 30)"
    reach: list[str | Path] = [
        "ip",
        "netns",
        "exec",
        lab.sites[0].name,
        lab.project.python,
        "-c",
        code,
    ]
    subprocess.run(reach, check=True)
    # There and back again: the line is as slow as it is said to be.
    assert time.monotonic() - began > 0.4
    code_, printed = lab.session("--rounds", "3", "--round-timeout", "60").end()
    assert code_ == 0, printed
    assert lab.updates() == [3, 3, 3], printed
    assert "missing" not in printed
