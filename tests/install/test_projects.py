"""Every combination, used as its user would: each verb of its Makefile, and learning for real."""

import json
import os
from pathlib import Path

import pytest
from baking import FRAMEWORKS, ROOT, TASKS
from installing import SLOW_BUT_NUMPY, Install, RecordFigure

pytestmark = pytest.mark.install

# 10,000 digits of the real MNIST in the layout of Keras' mnist.npz, which cannot be shipped.
REAL_DIGITS = os.environ.get("MNIST_10K", "")


@pytest.mark.parametrize("framework", SLOW_BUT_NUMPY)
@pytest.mark.parametrize("task", TASKS)
def test_a_project_tests_packages_and_trains_over_the_network(
    installed: Install, task: str, framework: str
) -> None:
    project = installed(task, framework)
    assert " passed" in project.make("lint", "test")
    assert "SHA-256" in project.make("package", "seed")
    printed = project.make("network")

    run = project.run_folder()
    record = json.loads((run / "metrics.json").read_text("utf-8"))
    assert [(r["number"], r["finished"], r["updates"]) for r in record["rounds"]] == [
        (1, True, 2),
        (2, True, 2),
        (3, True, 2),
    ]
    for number, result in enumerate(record["rounds"], start=1):
        assert sorted(result["sites"]) == ["site-1", "site-2"]
        assert f"round {number}: 2 of 2 sites" in printed
    # The model that was trained is one that the package takes.
    again = project.validate(run / "model.npz", "site-1")
    assert again == pytest.approx(record["rounds"][-1]["sites"]["site-1"])
    assert project.processes() == {}


def stated(row: str, framework: str) -> tuple[float, float]:
    """Return what the README's row says of a framework: before the first round, after the last."""
    head: list[str] = []
    for line in (ROOT / "README.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "" and framework in cells:
            head = cells
        if cells[0].startswith(row):
            before, after = cells[head.index(framework)].split(" → ")
            return float(before), float(after)
    raise AssertionError(f"README.md: expected a row '{row}', found none")


def holds(row: str, framework: str, seed: float, last: float) -> bool:
    """Tell whether the README's figures hold; other processors sum in another order."""
    return (seed, last) == pytest.approx(stated(row, framework), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_four_sites_learn_to_find_fraud(
    installed: Install, framework: str, record_figure: RecordFigure
) -> None:
    project = installed("fraud", framework)
    project.fednkit("sites", "--sites", "4")
    seed, *rounds = project.learning(rounds=10)
    record_figure(f"fraud, {framework}", seed, rounds[-1])
    fraud_rate = 0.0074
    assert rounds[-1]["average_precision"] > 20 * fraud_rate
    assert rounds[-1]["average_precision"] > 3 * seed["average_precision"]
    assert rounds[-1]["roc_auc"] > 0.85
    figures = seed["average_precision"], rounds[-1]["average_precision"]
    assert holds("fraud: average precision", framework, *figures)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_four_sites_learn_to_read_digits(
    installed: Install, framework: str, record_figure: RecordFigure
) -> None:
    project = installed("mnist", framework)
    project.fednkit("sites", "--sites", "4")
    seed, *rounds = project.learning(rounds=10)
    record_figure(f"mnist sample, {framework}", seed, rounds[-1])
    assert rounds[-1]["accuracy"] >= 0.9
    figures = seed["accuracy"], rounds[-1]["accuracy"]
    assert holds("mnist, the sample's digits", framework, *figures)


@pytest.mark.skipif(not REAL_DIGITS, reason="MNIST_10K names no file with digits of the real MNIST")
@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_four_sites_learn_to_read_the_real_mnist(
    installed: Install, framework: str, record_figure: RecordFigure
) -> None:
    project = installed("mnist", framework)
    project.fednkit("sites", "--sites", "4", "--source", REAL_DIGITS)
    seed, *rounds = project.learning(rounds=10)
    record_figure(f"real MNIST, {framework}", seed, rounds[-1])
    assert rounds[-1]["accuracy"] >= 0.9
    figures = seed["accuracy"], rounds[-1]["accuracy"]
    assert holds("mnist, 10,000 digits of the real MNIST", framework, *figures)


def test_ones_own_table_needs_a_new_schema_and_nothing_else(
    installed: Install, tmp_path: Path
) -> None:
    project = installed("fraud", "numpy")
    rows = [
        f"{30 + i % 50},{i % 7},{'true' if i % 3 else 'false'},{'abc'[i % 3]},"
        f"{'yes' if i % 7 > 4 else 'no'}"
        for i in range(300)
    ]
    table = tmp_path / "patients.csv"
    table.write_text("\n".join(["age,dose,smoker,ward,ill", *rows]) + "\n")

    source = "--source", str(table)
    schema = str(project.folder / "client" / "model" / "schema.json")
    project.fednkit("schema", *source, "--label", "ill", "--out", schema)
    project.fednkit("sites", *source, "--sites", "3")
    assert " passed" in project.make("seed", "test")
    assert "round 3: 3 of 3 sites" in project.make("network")
