"""Clients that are broken or hostile: what they do to a model, and what stands against them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from installing import Install, Installed, RecordFigure

pytestmark = pytest.mark.install

BAD_TRAIN = Path(__file__).with_name("bad_train.py")


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("mnist", "numpy")
    shutil.copy(BAD_TRAIN, project.folder / "client" / "train.py")
    project.fednkit("sites", "--sites", "5")
    project.fednkit("seed")
    return project


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def accuracy(project: Installed, *options: str) -> float:
    """Return what a simulation of 20 % bad clients over uneven sites comes to."""
    project.fednkit("simulate", *options, "--no-baselines", "--on-error", "skip")
    return float(lines(project.run_folder())[-1]["global"]["accuracy"])


@pytest.mark.parametrize(
    ("attack", "defence"),
    [
        ("nan", []),
        ("label-flip", ["--norm-bound", "0.5"]),
        ("scale", ["--aggregator", "median"]),
        ("constant", ["--aggregator", "trimmed-mean", "--norm-bound", "2"]),
        ("sign-flip", ["--aggregator", "krum"]),
        ("sign-flip", ["--aggregator", "multi-krum", "--tolerate", "1"]),
    ],
)
def test_a_network_with_a_bad_site_comes_to_the_model_of_its_simulation(
    project: Installed, monkeypatch: pytest.MonkeyPatch, attack: str, defence: list[str]
) -> None:
    options = ["--rounds", "2", *defence]
    project.fednkit("simulate", "--data", "--no-baselines", "--attack", attack, *options)
    simulated = project.run_folder()
    told = lines(simulated)[1:]
    (bad,) = told[0]["attackers"]
    monkeypatch.setenv("TEST_ATTACK", attack)
    monkeypatch.setenv("TEST_SITE", f"site-{bad + 1}")
    printed = project.fednkit("network", *options)
    network = max((project.folder / "runs").glob("*-network*"))
    assert project.same_arrays(network / "model.npz", simulated / "model.npz")
    rounds = json.loads((network / "metrics.json").read_text("utf-8"))["rounds"]
    for found, line in zip(rounds, told, strict=True):
        for kind in ("refused", "clipped", "passed_over"):
            named = [f"site-{int(client) + 1}" for client in line.get(kind, [])]
            assert list(found["outcome"].get(kind, [])) == named
    if attack == "nan":
        cause = "refused: array 0 holds NaN or infinite values"
        assert f"round 1: site-{bad + 1} {cause}" in printed
        assert "round 2: 4 of 5 sites" in printed


def test_rounds_in_which_every_update_is_refused_fail_and_say_why(
    project: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ATTACK", "shape")
    monkeypatch.setenv("TEST_SITE", "site-1")
    result = project.attempt("network", "--sites", "1", "--rounds", "1")
    assert result.returncode == 1
    assert "round 1: site-1 refused: array 0: expected float32[784, 64], found float32[50176]" in (
        result.stdout
    )
    assert "round 1: failed, FEDn got no usable update" in result.stdout


def test_too_few_sites_for_a_defence_are_said_to_be_too_few(project: Installed) -> None:
    for command in (["network", "--sites", "2"], ["simulate", "--clients", "4"]):
        before = sorted((project.folder / "runs").glob("*"))
        result = project.attempt(*command, "--aggregator", "krum")
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: --aggregator krum: expected 5 clients or more in a round")
        assert sorted((project.folder / "runs").glob("*")) == before


# The rules see arrays alone. What they do to every framework is in benchmarks/ROBUSTNESS.md.
@pytest.mark.parametrize("framework", ["numpy", pytest.param("sklearn", marks=pytest.mark.slow)])
def test_averaging_fails_under_a_fifth_of_bad_clients_and_two_defences_do_not(
    installed: Install, framework: str, record_figure: RecordFigure
) -> None:
    project = installed("mnist", framework)
    options = "--clients 20 --rounds 20 --partition dirichlet --alpha 0.5".split()
    attacked = [*options, "--attack", "sign-flip"]
    honest = accuracy(project, *options)
    averaged = accuracy(project, *attacked)
    defended = {
        rule: accuracy(project, *attacked, "--aggregator", rule)
        for rule in ("median", "multi-krum")
    }
    record_figure(
        f"sign-flip mnist, {framework}",
        dict.fromkeys(defended, averaged) | {"honest": averaged},
        defended | {"honest": honest},
    )
    assert averaged < 0.5 < honest
    page = (project.run_folder() / "report.html").read_text("utf-8")
    assert "<h2>Attack and defence</h2>" in page
    assert "Bad clients: sign-flip, strength 10; combined by multi-krum" in page
    for rule, reached in defended.items():
        assert reached > honest - 0.05, rule
