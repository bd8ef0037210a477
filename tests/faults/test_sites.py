"""Sites whose data, disk or clock goes wrong: the site is told the cause, and the others go on."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from lab import Lab, missed

pytestmark = [pytest.mark.install, pytest.mark.faults, pytest.mark.slow]
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def test_data_truncated_in_mid_session(lab: Lab) -> None:
    site = lab.sites[0]
    good = site.data.read_bytes()
    seen = site.mark()
    session = lab.session("--rounds", "4", "--round-timeout", "10")
    session.wait_for("round 1: 3 of 3 sites")
    site.data.write_bytes(good[:500])
    assert site.joining
    assert site.joining.wait(timeout=60) == 1
    told = site.said(seen).splitlines()[-1]
    assert re.match(r"error: \S+transactions\.csv: ", told), told
    code, printed = session.end()
    assert code == 0, printed
    assert missed(printed, "bank-1"), printed
    assert lab.updates()[-1] == 2
    # The data is mended, and the site joins again.
    site.data.write_bytes(good)
    site.join()


def test_data_replaced_in_mid_session(lab: Lab) -> None:
    site, other = lab.sites[0], lab.sites[1]
    good = site.data.read_bytes()
    seen = site.mark()
    session = lab.session("--rounds", "4", "--round-timeout", "20")
    session.wait_for("round 1: 3 of 3 sites")
    fresh = site.folder / "fresh"
    fresh.write_bytes(b"".join(other.data.read_bytes().splitlines(keepends=True)[:1001]))
    fresh.replace(site.data)
    code, printed = session.end()
    assert code == 0, printed
    assert lab.updates() == [3, 3, 3, 3], printed
    counts = re.findall(r"SETTING Training metadata: \{'num_examples': (\d+)", site.said(seen))
    # As many as before, then those of the new file.
    assert len(set(counts)) == 2, counts
    assert int(counts[-1]) < int(counts[0])
    site.data.write_bytes(good)


def test_disk_full_at_a_site(lab: Lab, tmp_path: Path) -> None:
    site = lab.sites[1]
    assert site.leave() == 0
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", small], check=True)
    try:
        site.join(TMPDIR=str(small))
        seen = site.mark()
        session = lab.session("--rounds", "4", "--round-timeout", "10")
        session.wait_for("round 1: 3 of 3 sites")
        waste = small / "waste"
        with waste.open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), b"x" * 4096)
            except OSError:
                pass
        site.wait_for(
            f"FEDn's client ended: this machine's disk is full, or the part of it that "
            f"holds {small}; make room there; trying again in 2 s\n",
            seen,
        )
        waste.unlink()
        code, printed = session.end()
        assert code == 0, printed
        assert missed(printed, "bank-2"), printed
        assert 2 in lab.updates()
        code, printed = lab.session("--rounds", "1", "--round-timeout", "20").end()
        assert code == 0, printed
        assert lab.updates() == [3]
        assert site.leave() == 0
        assert list(small.glob("package-*")) == []
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)
    site.join()


@pytest.mark.skipif(FAKETIME is None, reason="needs Debian's faketime")
def test_clock_an_hour_off(lab: Lab) -> None:
    site = lab.sites[2]
    assert site.leave() == 0
    seen = site.mark()
    # The clock that tells the time is off; the one that measures it goes on.
    off = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    site.join(**off)
    stamp = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \[INFO\]", site.said(seen), re.M)[-1]
    ahead = time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) - time.time()
    assert 3000 < ahead < 4000
    code, printed = lab.session("--rounds", "3", "--round-timeout", "20").end()
    assert code == 0, printed
    assert lab.updates() == [3, 3, 3], printed
    assert "missing" not in printed
    assert site.leave() == 0
    site.join()
