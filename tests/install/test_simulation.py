"""Simulated federations: worth it or not, repeatable, resumable, clear about what is wrong."""

import json
import random
import re
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from baking import TASKS
from installing import SLOW_BUT_NUMPY, Install, Installed, RecordFigure

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("mnist", "numpy")
    project.fednkit("seed")
    return project


def simulate(project: Installed, *options: str) -> Path:
    project.fednkit("simulate", *options)
    return project.run_folder()


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


# That every framework learns is test_projects.py's.
@pytest.mark.parametrize(
    ("task", "framework"),
    [
        ("fraud", "numpy"),
        pytest.param("mnist", "numpy", marks=pytest.mark.slow),
        pytest.param("fraud", "sklearn", marks=pytest.mark.slow),
    ],
)
def test_federation_beats_training_alone_and_says_how_close_to_pooling(
    installed: Install, task: str, framework: str, record_figure: RecordFigure
) -> None:
    project = installed(task, framework)
    printed = project.make("simulate")
    run = project.run_folder()
    metric = "average_precision" if task == "fraud" else "accuracy"
    baselines = json.loads((run / "baselines.json").read_text("utf-8"))
    median = statistics.median(one["everywhere"][metric] for one in baselines["alone"])
    central = baselines["central"][-1][metric]
    federated = lines(run)[-1]["global"][metric]
    record_figure(
        f"simulate {task}, {framework}",
        {"federated": lines(run)[0]["global"][metric]},
        {"federated": federated},
    )
    assert median < federated
    assert median < central
    sentence = " ".join(printed.split())
    assert f"Federated training reaches {federated:.3f}" in sentence
    # How close it comes to pooling hangs on the last bits of sums, and so on the processor.
    closes = 100 * (federated - median) / (central - median)
    verdict = "gives up nothing" if federated >= central else f"closes {closes:.0f} % of the gap."
    assert f"federation {verdict}" in sentence
    assert (run / "report.html").exists()


@pytest.mark.parametrize("framework", SLOW_BUT_NUMPY)
def test_a_simulation_and_a_network_come_to_the_same_model(
    installed: Install, framework: str
) -> None:
    project = installed("fraud", framework)
    project.fednkit("sites", "--sites", "2", "--examples", "4000")
    project.fednkit("network", "--rounds", "3")
    network = project.run_folder()
    simulated = simulate(project, "--data", "--rounds", "3", "--no-baselines")
    assert (network / "model.npz").exists()
    assert project.same_arrays(network / "model.npz", simulated / "model.npz")


def test_they_do_with_fedopt_too(installed: Install) -> None:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "3", "--examples", "4000")
    options = "--rounds", "3", "--aggregator", "fedopt", "--server-optimizer", "yogi"
    project.fednkit("network", *options)
    network = project.run_folder()
    simulated = simulate(project, "--data", *options, "--no-baselines")
    assert project.same_arrays(network / "model.npz", simulated / "model.npz")


@pytest.mark.parametrize("framework", SLOW_BUT_NUMPY)
def test_the_number_of_workers_does_not_matter(installed: Install, framework: str) -> None:
    project = installed("mnist", framework)
    options = "--rounds", "3", "--clients", "4", "--participation", "0.8", "--no-baselines"
    one = simulate(project, *options, "--workers", "1", "--name", "one")
    two = simulate(project, *options, "--workers", "2", "--name", "two")
    assert (one / "model.npz").read_bytes() == (two / "model.npz").read_bytes()


def test_a_killed_run_goes_on_to_the_same_model(project: Installed) -> None:
    options = ["--rounds", "40", "--aggregator", "fedopt", "--dropout", "0.2", "--no-baselines"]
    whole = simulate(project, *options, "--name", "whole")
    for attempt in range(3):
        process = project.start("simulate", *options, "--name", f"killed{attempt}")
        assert process.stdout
        for line in process.stdout:
            if line.startswith("round 2 "):
                break
        time.sleep(random.random())
        process.kill()
        process.wait()
        process.stdout.close()
        (run,) = (project.folder / "runs").glob(f"*killed{attempt}")
        assert len(lines(run)) < 41
        project.fednkit("simulate", "--resume", str(run))
        assert len(lines(run)) == 41
        for name in ("model.npz", "best.npz"):
            assert (run / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(project: Installed, number: int) -> None:
    # At several moments: workers may be training, or handing over what they have trained.
    for _ in range(5):
        process = project.start("simulate", "--rounds", "200", "--name", "interrupted")
        assert process.stdout
        for line in process.stdout:
            if line.startswith("round 3 "):
                break
        time.sleep(random.random() / 20)
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" not in printed
        assert re.search(r"go on with: fednkit simulate --resume runs/\S+-int", printed)
        assert project.processes() == {}


@pytest.mark.parametrize("task", TASKS)
def test_a_hundred_clients_that_hardly_share_a_class_can_be_simulated(
    installed: Install, task: str
) -> None:
    project = installed(task, "numpy")
    options = "--clients 100 --rounds 5 --participation 0.2 --partition dirichlet --alpha 0.1"
    options += " --aggregator fedopt --server-optimizer adam --seed 7"
    printed = project.fednkit("simulate", *options.split())
    assert re.search(r"\d+ of 100 sites hold a single class: on a network, the pack", printed)
    assert "Feder" in printed
    assert all(len(line["clients"]) == 20 for line in lines(project.run_folder())[1:])
    assert "hold a single class" in (project.run_folder() / "report.html").read_text("utf-8")


@pytest.mark.parametrize("framework", SLOW_BUT_NUMPY)
def test_clients_with_a_single_class_train_in_every_framework(
    installed: Install, framework: str
) -> None:
    project = installed("fraud", framework)
    options = "--clients", "4", "--partition", "shards", "--rounds", "1", "--examples", "4000"
    assert "3 of 4 sites hold a single class" in project.fednkit("simulate", *options)


def test_two_runs_that_start_in_one_second_get_a_folder_each(project: Installed) -> None:
    options = "simulate", "--rounds", "1", "--no-baselines", "--name", "twin"
    twins = [project.start(*options) for _ in range(2)]
    for twin in twins:
        printed, _ = twin.communicate(timeout=120)
        assert twin.returncode == 0, printed
    runs = list((project.folder / "runs").glob("*-twin*"))
    assert [len(lines(run)) for run in runs] == [2, 2]


def test_dropouts_and_slow_clients_send_nothing(project: Installed) -> None:
    options = "--rounds", "6", "--dropout", "0.3", "--slow", "0.5", "--no-baselines"
    run = simulate(project, *options)
    for line in lines(run)[1:]:
        assert set(line["dropped"]) <= set(line["clients"])
        assert set(line["late"]) <= set(line["clients"]) - set(line["dropped"])
    assert any(line["dropped"] for line in lines(run))
    assert any(line["late"] for line in lines(run))


def test_patience_ends_a_run_that_learns_no_more(project: Installed) -> None:
    options = "--rounds", "60", "--patience", "3", "--metric", "log_loss", "--no-baselines"
    run = simulate(project, *options, "--set", "learning_rate=0.05")
    losses = [line["global"]["log_loss"] for line in lines(run)]
    assert len(losses) < 61
    assert losses.index(min(losses)) == len(losses) - 4


def test_a_client_that_fails_is_named_and_skipped_when_asked(project: Installed) -> None:
    file = project.folder / "client" / "model" / "classifier.py"
    good = file.read_text("utf-8")
    broken = good.replace(
        "        random = np.random.default_rng(seed)\n        features",
        "        if len(examples) < 100:\n            raise ValueError('too few\\nexamples')\n"
        "        random = np.random.default_rng(seed)\n        features",
    )
    assert broken != good
    file.write_text(broken)
    options = "--rounds", "2", "--no-baselines"
    try:
        stopped = project.attempt("simulate", *options)
        skipped = project.attempt("simulate", *options, "--on-error", "skip")
    finally:
        file.write_text(good)
    assert stopped.returncode == 1
    assert re.search(r"client \d+ failed: ValueError: too few examples \(class", stopped.stdout)
    assert "add --on-error skip to continue without them" in stopped.stderr
    assert skipped.returncode == 0
    assert all(line["failed"] for line in lines(project.run_folder())[1:])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--clients", "0"], "--clients: expected 1 or more, found 0"),
        (["--rounds", "0"], "--rounds: expected 1 or more, found 0"),
        (["--participation", "1.5"], "--participation: expected above 0 to 1, found 1.5"),
        (["--participation", "0"], "--participation: expected above 0 to 1, found 0"),
        (["--dropout", "1"], "--dropout: expected 0 to below 1, found 1"),
        (["--alpha", "0"], "--alpha: expected a number above 0, found 0"),
        (["--metric", "beauty"], "--metric: expected one of accuracy, log_loss, found 'beauty'"),
        (["--clients", "900", "--partition", "iid"], "no way found to give each of 900 sites"),
        (["--partition", "column"], "--partition column and --column NAME go together"),
        (["--set", "epochs"], "--set: expected NAME=VALUE with a JSON value, found 'epochs'"),
        (["--set", "epoch=1"], "setting 'epoch' is unknown; expected one of seed, "),
        (["--resume", "nowhere"], "nowhere: expected the folder of a run"),
        (["--data", "--clients", "3"], "--data: expected 3 sites, found 0"),
    ],
)
def test_a_wrong_option_ends_in_one_line(
    project: Installed, options: list[str], expected: str
) -> None:
    before = list((project.folder / "runs").glob("*"))
    result = project.attempt("simulate", *options, "--no-baselines")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {expected}")
    assert list((project.folder / "runs").glob("*")) == before


def test_a_model_library_that_does_not_load_is_named(project: Installed) -> None:
    file = project.folder / "client" / "model" / "classifier.py"
    good = file.read_text("utf-8")
    file.write_text("import a_library_of_mine\n" + good)
    try:
        result = project.attempt("simulate", "--rounds", "1")
    finally:
        file.write_text(good)
    assert result.returncode == 1
    assert "error: the model library does not load: ModuleNotFoundError: No module named" in (
        result.stderr
    )


def test_a_package_that_must_not_ship_is_not_simulated(project: Installed) -> None:
    link = project.folder / "client" / "link.py"
    link.symlink_to("train.py")
    try:
        result = project.attempt("simulate", "--rounds", "1")
    finally:
        link.unlink()
    assert result.returncode == 1
    assert "error: refused to package: client/link.py is a symbolic link" in result.stderr


def test_a_run_is_not_resumed_with_another_package(project: Installed) -> None:
    run = simulate(project, "--rounds", "1", "--no-baselines", "--name", "before")
    settings = project.folder / "client" / "model" / "settings.py"
    good = settings.read_text("utf-8")
    settings.write_text(good + "# changed\n")
    try:
        result = project.attempt("simulate", "--resume", str(run))
    finally:
        settings.write_text(good)
    assert result.returncode == 1
    assert "the package has changed since this run; start a new run" in result.stderr


def test_a_seed_model_of_another_model_is_refused(project: Installed) -> None:
    seed = project.folder / "seed.npz"
    good = seed.read_bytes()
    other = "import numpy, sys; numpy.savez(sys.argv[1], **{'0': numpy.zeros(3, 'f4')})"
    subprocess.run([project.python, "-c", other, seed], check=True)
    try:
        result = project.attempt("simulate", "--rounds", "1", "--no-baselines")
    finally:
        seed.write_bytes(good)
    assert result.returncode == 1
    assert "make a new one with 'fednkit seed'" in result.stderr


@pytest.mark.slow
def test_a_run_can_be_logged_to_mlflow(
    project: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = project.attempt("simulate", "--rounds", "1", "--mlflow", "file:///nowhere")
    assert without.returncode == 1
    advice = re.search(r"pip install (mlflow-skinny==[\d.]+)", without.stderr)
    assert advice
    other = Installed(project.folder, "mlflow")
    subprocess.run([other.python, "-m", "pip", "install", "--quiet", advice[1]], check=True)

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = tmp_path / "store"
    other.fednkit("simulate", "--rounds", "2", "--no-baselines", "--mlflow", store.as_uri())
    (accuracy,) = store.glob("*/*/metrics/accuracy")
    logged = [float(line.split()[1]) for line in accuracy.read_text("utf-8").splitlines()]
    assert logged == [line["global"]["accuracy"] for line in lines(project.run_folder())]
    assert list(store.glob("*/*/artifacts/report.html"))
