"""python -m fednsite.check: what a site does before it joins."""

import subprocess
import sys
from pathlib import Path

import pytest
from library import add_fednsite, importable, write_package

from fednsite import check
from fednsite.privacy.accounting import epsilon
from fednsite.privacy.ledger import Ledger
from fednsite.privacy.mechanism import Terms

pytestmark = pytest.mark.usefixtures("package")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["fednsite.check", *map(str, arguments)])
    check.main()


def test_a_good_file_is_summed_up_in_one_line(
    site_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, site_data)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == (
        f"{site_data}: ok, 160 examples to train on and 40 held out (fraud 0: 160, 1: 40)\n"
    )


def test_it_is_a_command_in_an_unpacked_archive(site_data: Path, tmp_path: Path) -> None:
    folder = add_fednsite(write_package(tmp_path / "archive"))
    command = [sys.executable, "-B", "-m", "fednsite.check", str(site_data)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{site_data}: ok, 160 examples to train on and 40 held out (")


def test_a_missing_file_is_named(
    site_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, site_data / "missing")
    assert str(ended.value.code).startswith(
        f"error: {site_data / 'missing'}: expected a data file ("
    )
    assert capsys.readouterr().out == ""


def test_wrong_usage_says_what_is_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "usage: python -m fednsite.check FILE\n"


def test_a_contract_that_does_not_hold_up_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = write_package(tmp_path / "client") / "model" / "schema.json"
    broken.write_text('{"fields": []}', encoding="utf-8")
    with importable(tmp_path / "client"), pytest.raises(SystemExit) as ended:
        run(monkeypatch, "data.csv")
    assert ended.value.code == f"error: {broken}: expected an entry 'label', found none"


def test_a_site_sees_its_terms_and_its_ledger_before_it_joins(
    site_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = Ledger(tmp_path / "ledger.json")
    ledger.charge(Terms(noise=2.0, clip=1.0, budget=8.0, delta=1e-5))
    monkeypatch.setenv("PRIVACY_BUDGET", "3")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, site_data)
    assert str(ended.value.code).startswith(
        "error: PRIVACY_BUDGET: expected noise to go with it, found "
    )
    capsys.readouterr()
    monkeypatch.setenv("PRIVACY_NOISE", "2")
    monkeypatch.setitem(sys.modules, "opendp", None)
    run(monkeypatch, site_data)
    (_, statement) = capsys.readouterr().out.splitlines()
    assert statement == (
        "privacy: noise of at least 2 times a clip of 1, in floating point, which no proof covers; "
        "epsilon up to 3 at delta 1e-05; so far 1 updates, 0 of them with noise from OpenDP, "
        f"epsilon {epsilon({2.0: 1}, 1e-5):.3g}: {ledger.path}"
    )
    monkeypatch.setenv("PRIVACY_SAFE_NOISE", "1")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, site_data)
    assert str(ended.value.code).startswith(
        "error: PRIVACY_SAFE_NOISE: expected OpenDP's noise, found: "
    )
