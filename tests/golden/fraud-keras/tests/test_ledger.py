"""The site's ledger: no update leaves uncounted, whatever breaks, and nobody starts it anew."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fedn.utils.helpers.helpers import get_helper

from model import data
from model.classifier import Classifier
from model.errors import PackageError
from model.ledger import Ledger, ledger_path
from model.privacy import Terms, epsilon

TERMS = Terms(noise=2.0, clip=1.0, budget=8.0, delta=1e-5)
posix = pytest.mark.skipif(os.name != "posix", reason="the ledger needs POSIX locks")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.json")


@posix
def test_updates_of_different_noise_add_up_over_restarts(ledger: Ledger) -> None:
    other = Terms(noise=5.0, clip=1.0, budget=8.0, delta=1e-5)
    for number, terms in enumerate((TERMS, other, TERMS), start=1):
        told = Ledger(ledger.path).charge(terms)
        assert told["updates"] == number
    assert ledger.read() == {2.0: 2, 5.0: 1}
    assert told["epsilon"] == epsilon({2.0: 2, 5.0: 1}, 1e-5)
    assert json.loads(ledger.path.read_text("utf-8")) == {
        "updates": {"2.0": 2, "5.0": 1},
        "epsilon": told["epsilon"],
        "delta": 1e-5,
    }


@posix
def test_it_stops_at_the_last_update_within_the_budget(ledger: Ledger) -> None:
    told = [ledger.charge(TERMS) for _ in range(14)]
    assert [one["exhausted"] for one in told] == [False] * 11 + [True] * 3
    assert told[-1]["epsilon"] == epsilon({2.0: 11}, 1e-5) <= 8 < epsilon({2.0: 12}, 1e-5)
    assert ledger.read() == {2.0: 11}


@posix
def test_steps_at_the_same_time_are_all_counted_and_none_is_too_many(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda _: Ledger(ledger.path).charge(TERMS), range(40)))
    assert sum(not one["exhausted"] for one in told) == 11
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
def test_a_site_is_told_its_terms_and_its_ledger_before_it_joins(
    unpacked: Path, sites: list[Path], ledger: Ledger
) -> None:
    def check(**own: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "check_data.py", str(sites[0])]
        given = {"PRIVACY_LEDGER": str(ledger.path), **own}
        return subprocess.run(
            command,
            cwd=unpacked,
            env=os.environ | given,
            capture_output=True,
            text=True,
            check=False,
        )

    ledger.charge(TERMS)
    (_, told) = check(PRIVACY_NOISE="2", PRIVACY_BUDGET="3").stdout.splitlines()
    assert told == (
        "privacy: noise of at least 2 times a clip of 1, epsilon up to 3 at delta 1e-05; so far 1 "
        f"updates, epsilon {epsilon({2.0: 1}, 1e-5):.3g}: {ledger.path}"
    )
    wrong = check(PRIVACY_BUDGET="3")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: PRIVACY_BUDGET: expected noise to go with it, found ")


@posix
def test_a_step_that_is_killed_before_its_update_is_written_has_counted_it(
    unpacked: Path, sites: list[Path], ledger: Ledger, tmp_path: Path
) -> None:
    seed = Classifier(data.input_shape(), data.num_classes()).get_weights()
    get_helper("numpyhelper").save(seed, str(tmp_path / "in.npz"))
    code = (
        "import os, signal, sys, steps\n"
        "steps.weights.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "steps.perform('train', *sys.argv[1:], steps.Site())\n"
    )
    own = {"FEDN_DATA_PATH": sites[0], "PRIVACY_NOISE": "2", "PRIVACY_LEDGER": ledger.path}
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "in.npz", tmp_path / "out"],
        cwd=unpacked,
        env=os.environ | {name: str(value) for name, value in own.items()},
        check=False,
    )
    assert ended.returncode == -9
    assert not (tmp_path / "out").exists()
    assert ledger.read() == {2.0: 1}
