"""Differential privacy on a simulation and on a real network: budgets that run out end it well."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installing import Install, Installed

pytestmark = pytest.mark.install

# Terms under which a third update is the last: epsilon is 5.17 after it, 6.13 after one more.
NOISE, BUDGET, LAST = 1.5, 6, 3


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "2", "--examples", "4000")
    return project


@pytest.fixture(autouse=True)
def terms(project: Installed, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sites' own terms; their ledgers begin anew, and nothing is left running."""
    monkeypatch.setenv("PRIVACY_NOISE", str(NOISE))
    monkeypatch.setenv("PRIVACY_BUDGET", str(BUDGET))
    yield
    for ledger in ledgers(project):
        ledger.unlink()
    assert project.processes() == {}


def ledgers(project: Installed) -> list[Path]:
    return sorted((project.folder / "data").glob("privacy-*.json"))


def counts(project: Installed) -> list[dict[str, int]]:
    return [json.loads(file.read_text("utf-8"))["updates"] for file in ledgers(project)]


def record(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text("utf-8"))
    return content


def test_a_network_ends_well_when_all_budgets_are_used_up(project: Installed) -> None:
    printed = project.fednkit("network", "--rounds", "20")
    ended = f"the privacy budget of all 2 sites is used up after round {LAST}"
    assert printed.count(f"{ended}\n") == 1
    assert f"round {LAST}: 2 of 2 sites" in printed
    assert f"round {LAST + 1}" not in printed
    assert "2 sites sent noised updates; by their ledgers, the highest epsilon is 5.17, " in printed
    # The sites' workers did the steps, and counted each once.
    assert counts(project) == [{str(NOISE): LAST}] * 2

    run = project.run_folder()
    kept = record(run)
    assert kept["ended"] == ended
    assert [one["number"] for one in kept["rounds"]] == [1, 2, 3]
    for one in kept["rounds"]:
        assert sorted(one["privacy"]) == ["site-1", "site-2"]
        for told in one["privacy"].values():
            assert (told["updates"], told["exhausted"]) == (one["number"], False)
            assert (told["noise"], told["delta"]) == (NOISE, 1e-5)
    last = kept["rounds"][-1]["privacy"]["site-1"]["epsilon"]
    assert last == pytest.approx(5.1748, rel=1e-4)
    assert (run / "model.npz").exists()

    # Nothing is forgotten: another session has nobody to train, and says so.
    before = counts(project)
    printed = project.fednkit("network", "--rounds", "20")
    assert "the privacy budget of all 2 sites leaves no room for an update\n" in printed
    assert counts(project) == before


def test_a_network_goes_on_with_the_sites_that_may_and_without_metrics(
    project: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Site 2 has spent all but one update before the session begins."""
    monkeypatch.setenv("METRICS_MINIMUM", "100000")
    spent = project.folder / "data" / "privacy-site-2.json"
    spent.write_text(json.dumps({"updates": {str(NOISE): LAST - 1}}))
    printed = project.fednkit("network", "--rounds", "3")
    assert printed.count("site-2: its privacy budget is used up after round 1\n") == 1
    assert "site-1: its privacy budget" not in printed
    assert re.search(r"^round 3: \d of 2 sites  metrics withheld  \(", printed, re.M)
    last = record(project.run_folder())["rounds"][-1]
    assert last["mean"] == {}
    assert sorted(last["sites"]) == ["site-1", "site-2"]
    assert counts(project) == [{str(NOISE): LAST}] * 2


def test_a_broken_ledger_stops_its_site_and_says_why(project: Installed) -> None:
    broken = project.folder / "data" / "privacy-site-2.json"
    broken.write_text("{")
    result = project.attempt("network", "--rounds", "1", "--round-timeout", "8")
    assert result.returncode == 1
    assert re.search(
        r"site-2 died, exit code 1: error: /.*/data/privacy-site-2\.json: expected the ledger of "
        r"the updates that left this site, found: expected JSON",
        result.stdout,
    )
    assert broken.read_text() == "{"


def test_a_simulation_ends_well_repeats_and_touches_no_ledger(project: Installed) -> None:
    asked = "--clients", "4", "--examples", "4000", "--no-baselines", "--partition", "iid"
    private = "--set", f"noise={NOISE}", "--set", f"budget={BUDGET}"
    ended = f"the privacy budget of all 4 sites is used up after round {LAST}\n"
    runs = []
    for workers in ("1", "2"):
        printed = project.fednkit("simulate", *asked, *private, "--workers", workers)
        assert printed.count(ended) == 1
        assert f"epsilon is 5.17 at delta 1e-05, of a budget of {BUDGET}; 4 of 4" in printed
        runs.append(project.run_folder())
    # Its noise protects nobody, so that it may repeat.
    assert project.same_arrays(*(run / "model.npz" for run in runs))
    lines = [json.loads(line) for line in (runs[0] / "metrics.jsonl").read_text().splitlines()]
    assert [line["privacy"]["charged"] for line in lines[1:]] == [[0, 1, 2, 3]] * LAST
    assert lines[-1]["privacy"]["exhausted"] == [0, 1, 2, 3]
    assert lines[-1]["privacy"]["epsilon"] == pytest.approx(5.1748, rel=1e-4)
    page = (runs[0] / "report.html").read_text("utf-8")
    assert "<h2>Differential privacy</h2>" in page
    assert not ledgers(project)

    # The network's variables are the sites' own, and no simulated client's.
    project.fednkit("simulate", *asked, "--rounds", "1")
    plain = project.run_folder()
    assert "privacy" not in json.loads((plain / "config.json").read_text("utf-8"))
    assert "Differential privacy" not in (plain / "report.html").read_text("utf-8")
    shutil.rmtree(plain)


def test_a_simulation_goes_on_with_the_clients_that_may(project: Installed) -> None:
    asked = "--clients", "4", "--examples", "4000", "--no-baselines", "--partition", "iid"
    private = "--set", f"noise={NOISE}", "--set", f"budget={BUDGET}", "--participation", "0.5"
    printed = project.fednkit("simulate", *asked, *private, "--rounds", "40")
    assert re.search(r"^site \d(, site \d)*: the privacy budget is used up after", printed, re.M)
    assert "the privacy budget of all 4 sites is used up after round " in printed
    lines = (project.run_folder() / "metrics.jsonl").read_text("utf-8").splitlines()
    charged = [client for line in lines[1:] for client in json.loads(line)["privacy"]["charged"]]
    assert sorted(charged) == sorted([*range(4)] * LAST)
