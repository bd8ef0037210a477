"""How a step runs: whatever one process did before, a step gives what it gives alone."""

import json
import shutil
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fedn.utils.helpers.helpers import get_helper
from library import Package, importable, write_package, write_site

from fednsite.data import location
from fednsite.data.seeding import training_seed
from fednsite.execution import Site, execute
from fednsite.interfaces import new_classifier

Result = tuple[int, str, str, dict[str, bytes]]


@pytest.fixture
def models(package: Package, tmp_path: Path) -> Path:
    """Four models: two good ones, one with wrong settings, and that of another package."""
    folder = tmp_path / "models"
    folder.mkdir()
    settings: dict[str, dict[str, object]] = {
        "one": {},
        "two": {"epochs": 1, "seed": 5},
        "wrong": {"epochs": "many"},
    }
    for seed, (name, sent) in enumerate(settings.items()):
        arrays = new_classifier(package.data, seed).get_weights()
        get_helper("numpyhelper").save(arrays, str(folder / f"{name}.npz"))
        (folder / f"{name}.npz-metadata").write_text(json.dumps(sent))
    get_helper("numpyhelper").save([np.zeros(3, dtype=np.float32)], str(folder / "foreign.npz"))
    return folder


def run(
    package: Package, entry_point: str, model: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> Result:
    """Run a step; return its exit code, what it printed and what it wrote."""
    out = model.parent / "out"
    out.mkdir()
    code = execute(getattr(package, entry_point), str(model), str(out / "file"), site)
    printed = capsys.readouterr()
    written = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
    shutil.rmtree(out)
    return code, printed.out, printed.err, written


@pytest.mark.usefixtures("site_data")
def test_steps_in_any_order_give_what_they_give_alone(
    package: Package, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [
        *((step, f"{model}.npz") for step in ("train", "validate") for model in ("one", "two")),
        ("predict", "one.npz"),
        ("train", "wrong.npz"),
        ("train", "foreign.npz"),
    ]
    alone = {(step, m): run(package, step, models / m, Site(), capsys) for step, m in kinds}
    assert [alone[kind][0] for kind in kinds] == [0, 0, 0, 0, 0, 1, 1]
    assert len({str(result) for result in alone.values()}) == len(kinds)
    assert sorted(alone["train", "one.npz"][3]) == ["file", "file-metadata"]
    for kind, expected in (
        (("train", "wrong.npz"), "setting 'epochs': expected int, found 'many'"),
        (("train", "foreign.npz"), "arrays, found 1"),
    ):
        _, out, err, written = alone[kind]
        assert (out, written) == ("", {})
        assert err.startswith("error: ")
        assert err.endswith(f"{expected}\n")
        assert len(err.splitlines()) == 1

    site = Site()
    for number in np.random.default_rng(0).permutation(3 * len(kinds)):
        step, model = kinds[number % len(kinds)]
        assert run(package, step, models / model, site, capsys) == alone[step, model]


def test_data_is_kept_until_it_changes_on_disk(
    package: Package, site_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise a file that has just been written is read again to be sure.
    monkeypatch.setattr(location, "FILE_TIME_SECONDS", -60.0)
    site = Site()
    before = site.examples("train")
    assert site.examples("train") is before
    write_site(site_data, seed=1, rows=100)
    after = site.examples("train")
    assert len(after) == 80 != len(before)
    assert np.array_equal(after.features, package.data.load("train").features)


@pytest.mark.usefixtures("package", "site_data")
def test_data_that_may_have_changed_without_a_trace_is_read_again() -> None:
    site = Site()
    before, after = site.examples("train"), site.examples("train")
    assert after is not before
    assert np.array_equal(after.features, before.features)


def test_a_step_sees_its_data_once_even_if_it_changes_meanwhile(
    package: Package, models: Path, site_data: Path, tmp_path: Path
) -> None:
    seen = []

    def train(step: Any) -> int:
        seen.append(step.examples("train"))
        write_site(site_data, seed=1)
        seen.append(step.examples("train"))
        return len(seen[0])

    assert execute(train, str(models / "one.npz"), str(tmp_path / "out"), Site()) == 0
    assert seen[0] is seen[1]


@pytest.mark.usefixtures("package", "site_data")
@pytest.mark.parametrize("part", ["train", "test", "all"])
def test_examples_that_steps_share_cannot_be_changed(part: Any) -> None:
    examples = Site().examples(part)
    for array in (examples.features, examples.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("entry_point", ["train", "validate", "predict"])
def test_a_contract_that_does_not_hold_up_ends_a_step_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry_point: str
) -> None:
    broken = write_package(tmp_path / "client") / "model" / "schema.json"
    broken.write_text('{"fields": []}', encoding="utf-8")
    with importable(tmp_path / "client"):
        function = getattr(import_module(entry_point), entry_point)
        code = execute(function, "in", str(tmp_path / "out"), Site())
    assert code == 1
    expected = f"error: {broken}: expected an entry 'label', found none\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("site_data")
def test_metrics_of_few_held_out_examples_stay_at_the_site(
    package: Package,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    examples = len(package.data.load("test"))
    site, out = Site(), tmp_path / "out"
    arguments = package.validate, str(models / "one.npz"), str(out), site
    for minimum, withheld in ((examples, False), (examples + 1, True)):
        monkeypatch.setenv("METRICS_MINIMUM", str(minimum))
        assert execute(*arguments) == 0
        metrics = json.loads(out.read_text("utf-8"))
        assert metrics.pop("num_examples") == examples
        assert (metrics == {}) == withheld
    monkeypatch.setenv("METRICS_MINIMUM", "few")
    out.unlink()
    assert execute(*arguments) == 1
    expected = "error: METRICS_MINIMUM: expected a number of examples, found 'few'\n"
    assert capsys.readouterr().err == expected
    assert not out.exists()


def test_the_seed_of_a_step_follows_from_the_settings_the_weights_and_the_data() -> None:
    weights = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)]
    data = [np.zeros((4, 2), np.float32), np.array([0, 1, 1, 0])]
    found = training_seed(3, weights, data)
    content = b"3" + b"".join(array.tobytes() for array in (*weights, *data))
    assert found == zlib.crc32(content)
    assert training_seed(3, weights, data) == found
    # By what the arrays hold, wherever it lies in memory.
    assert training_seed(3, [np.asfortranarray(weights[0]), weights[1]], data) == found
    others = [
        training_seed(4, weights, data),
        training_seed(3, [weights[0] + 1, weights[1]], data),
        training_seed(3, weights, [data[0], 1 - data[1]]),
    ]
    assert len({found, *others}) == 4


@pytest.mark.usefixtures("site_data")
def test_a_step_has_that_seed(package: Package, models: Path, tmp_path: Path) -> None:
    seeds = []

    def train(step: Any) -> int:
        examples = step.examples("train")
        expected = training_seed(5, step.received, [examples.features, examples.labels])
        seeds.append((step.seed, expected))
        return len(examples)

    assert execute(train, str(models / "two.npz"), str(tmp_path / "out"), Site()) == 0
    ((seed, expected),) = seeds
    assert seed == expected
