"""The site's ledger: no update leaves uncounted, whatever breaks, and nobody starts it anew."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fedn.utils.helpers.helpers import get_helper
from library import Package, add_fednsite, write_package

from fednsite.errors import PackageError
from fednsite.interfaces import new_classifier
from fednsite.privacy.accounting import epsilon
from fednsite.privacy.ledger import Ledger, ledger_path
from fednsite.privacy.mechanism import Terms
from fednsite.privacy.noise import FLOATING_POINT, OPENDP

TERMS = Terms(noise=2.0, clip=1.0, budget=8.0, delta=1e-5)
posix = pytest.mark.skipif(os.name != "posix", reason="the ledger needs POSIX locks")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.json")


@posix
def test_updates_of_different_noise_add_up_over_restarts(ledger: Ledger) -> None:
    other = Terms(noise=5.0, clip=1.0, budget=8.0, delta=1e-5)
    for number, terms in enumerate((TERMS, other, TERMS), start=1):
        statement = Ledger(ledger.path).charge(terms)
        assert statement["updates"] == number
    assert ledger.read() == {2.0: 2, 5.0: 1}
    assert statement["epsilon"] == epsilon({2.0: 2, 5.0: 1}, 1e-5)
    assert json.loads(ledger.path.read_text("utf-8")) == {
        "updates": {"2.0": 2, "5.0": 1},
        "safe_updates": 0,
        "epsilon": statement["epsilon"],
        "delta": 1e-5,
    }


@posix
def test_updates_with_safe_noise_are_counted_among_the_others(ledger: Ledger) -> None:
    ledger.path.write_text('{"updates": {"2.0": 1}}')  # as earlier versions wrote it
    sources = OPENDP, FLOATING_POINT, OPENDP
    statements = [ledger.charge(TERMS, source) for source in sources]
    assert [one["noise_source"] for one in statements] == ["opendp", "floating point", "opendp"]
    assert [one["safe_updates"] for one in statements] == [1, 1, 2]
    assert ledger.read_safe_updates() == 2
    assert ledger.read() == {2.0: 4}


@posix
def test_it_stops_at_the_last_update_within_the_budget(ledger: Ledger) -> None:
    statements = [ledger.charge(TERMS) for _ in range(14)]
    assert [one["exhausted"] for one in statements] == [False] * 11 + [True] * 3
    assert statements[-1]["epsilon"] == epsilon({2.0: 11}, 1e-5) <= 8 < epsilon({2.0: 12}, 1e-5)
    assert ledger.read() == {2.0: 11}


@posix
def test_steps_at_the_same_time_are_all_counted_and_none_is_too_many(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as threads:
        statements = list(threads.map(lambda _: Ledger(ledger.path).charge(TERMS), range(40)))
    assert sum(not one["exhausted"] for one in statements) == 11
    assert ledger.read() == {2.0: 11}


@posix
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"updates": 3}',
        '{"updates": {"much": 1}}',
        '{"updates": {"nan": 1}}',
        '{"updates": {"0": 1}}',
        '{"updates": {"2.0": -1}}',
        '{"updates": {"2.0": true}}',
        '{"updates": {"2.0": 1.5}}',
        '{"updates": {"2.0": 1}, "safe_updates": 2}',
        '{"updates": {"2.0": 1}, "safe_updates": -1}',
        '{"updates": {"2.0": 1}, "safe_updates": true}',
    ],
)
def test_a_broken_ledger_is_refused_and_stays_as_it_is(ledger: Ledger, content: str) -> None:
    ledger.path.write_text(content)
    with pytest.raises(PackageError) as raised:
        ledger.charge(TERMS)
    expected = f"{ledger.path}: expected the ledger of the updates that left this site, found: "
    assert str(raised.value).startswith(expected)
    assert "\n" not in str(raised.value)
    assert ledger.path.read_text() == content


@posix
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="set PRIVACY_LEDGER to a file that this site can write"):
        Ledger(tmp_path / "missing" / "ledger.json").charge(TERMS)


def test_it_lies_beside_the_data_or_where_the_site_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVACY_LEDGER", raising=False)
    (tmp_path / "site-1").mkdir()
    # By whatever path: a data set has one ledger.
    for path in (tmp_path / "site-1", tmp_path / "site-1" / ".." / "site-1"):
        monkeypatch.setenv("FEDN_DATA_PATH", str(path))
        assert ledger_path() == tmp_path.resolve() / "privacy-site-1.json"
    monkeypatch.setenv("PRIVACY_LEDGER", "/elsewhere/ledger.json")
    assert ledger_path() == Path("/elsewhere/ledger.json")


@posix
def test_a_step_that_is_killed_before_its_update_is_written_has_counted_it(
    package: Package, site_data: Path, ledger: Ledger, tmp_path: Path
) -> None:
    seed = new_classifier(package.data).get_weights()
    get_helper("numpyhelper").save(seed, str(tmp_path / "in.npz"))
    code = (
        "import os, signal, sys\n"
        "from fednsite import execution\n"
        "from train import train\n"
        "execution.weights.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "execution.execute(train, *sys.argv[1:], execution.Site())\n"
    )
    own = {"FEDN_DATA_PATH": site_data, "PRIVACY_NOISE": "2", "PRIVACY_LEDGER": ledger.path}
    ended = subprocess.run(
        [sys.executable, "-B", "-c", code, tmp_path / "in.npz", tmp_path / "out"],
        cwd=add_fednsite(write_package(tmp_path / "client")),
        env=os.environ | {name: str(value) for name, value in own.items()},
        check=False,
    )
    assert ended.returncode == -9
    assert not (tmp_path / "out").exists()
    assert ledger.read() == {2.0: 1}
