"""The contract of the package, as the tutorial's client and FEDn 0.33's client use it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fedn.network.clients.package_runtime import PackageRuntime
from fedn.utils.helpers.helpers import get_helper

from model import data, weights
from model.classifier import Classifier


@pytest.fixture(scope="session")
def model_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seed model, written by FEDn's own helper."""
    initial = Classifier(data.input_shape(), data.num_classes()).get_weights()
    path = tmp_path_factory.mktemp("seed") / "seed.npz"
    get_helper("numpyhelper").save(initial, str(path))
    return path


@pytest.fixture(autouse=True)
def environment(sites: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that a client runs in: its site's data, and this Python as `python`."""
    monkeypatch.setenv("FEDN_DATA_PATH", str(sites[0]))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def dispatch(package: Path, entry_point: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run an entry point as the tutorial's client does: no shell, arguments appended."""
    config = yaml.safe_load((package / "fedn.yaml").read_text("utf-8"))
    command = config["entry_points"][entry_point]["command"].split()
    return subprocess.run(
        [*command, *map(str, paths)], cwd=package, capture_output=True, text=True, check=False
    )


def strict_json(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def test_the_tutorials_client_trains_and_validates(
    unpacked: Path, model_in: Path, tmp_path: Path
) -> None:
    model_out, validation = tmp_path / "model_out", tmp_path / "validation.json"
    trained = dispatch(unpacked, "train", model_in, model_out)
    assert (trained.returncode, trained.stderr) == (0, "")
    validated = dispatch(unpacked, "validate", model_out, validation)
    assert (validated.returncode, validated.stderr) == (0, "")

    # The layout of FEDn's helpers then (KerasHelper) and now (numpyhelper).
    seed = get_helper("numpyhelper").load(str(model_in))
    with np.load(model_out) as arrays:
        assert arrays.files == [str(index) for index in range(len(seed))]
        plain = [arrays[str(index)] for index in range(len(seed))]
    helped = get_helper("numpyhelper").load(str(model_out))
    assert all(map(np.array_equal, plain, helped))
    assert [array.dtype for array in plain] == [array.dtype for array in seed]
    assert not all(map(np.array_equal, plain, seed))

    metadata = strict_json(model_out.with_name("model_out-metadata"))
    assert metadata == {"num_examples": len(data.load("train"))}
    metrics = strict_json(validation)
    assert metrics.pop("num_examples") == len(data.load("test"))
    assert metrics
    assert all(value is None or isinstance(value, float) for value in metrics.values())


def test_fedns_client_unpacks_and_runs_the_archive(
    archive: Path, model_in: Path, tmp_path: Path
) -> None:
    # The folder may have a blank, the paths of the models may not: FEDn does not quote them.
    folder = tmp_path / "site's package"
    folder.mkdir()
    (folder / "package.tgz").write_bytes(archive.read_bytes())
    runtime = PackageRuntime(str(folder))
    runtime.pkg_name = "package.tgz"
    unpacked, root = runtime.unpack_compute_package()
    assert unpacked
    dispatcher = runtime.get_dispatcher(root)
    assert dispatcher is not None

    dispatcher.run_cmd(f"train {model_in} {tmp_path}/trained")
    dispatcher.run_cmd(f"validate {tmp_path}/trained {tmp_path}/validation")
    dispatcher.run_cmd(f"predict {tmp_path}/trained {tmp_path}/predictions")

    assert strict_json(tmp_path / "validation")["num_examples"] == len(data.load("test"))
    probabilities = np.array(strict_json(tmp_path / "predictions")["probabilities"])
    assert probabilities.shape == (len(data.load("all")), data.num_classes())


def test_fedns_successor_is_told_the_same(unpacked: Path) -> None:
    ours, successors = (
        yaml.safe_load((unpacked / name).read_text("utf-8"))
        for name in ("fedn.yaml", "scaleout.yaml")
    )
    assert successors == ours


def test_equal_steps_in_two_processes_give_equal_bytes(
    unpacked: Path, model_in: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        assert dispatch(unpacked, "train", model_in, tmp_path / name).returncode == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_settings_from_the_server_reach_the_training(
    unpacked: Path, model_in: Path, tmp_path: Path
) -> None:
    sent = model_in.with_name("seed.npz-metadata")
    sent.write_text(json.dumps({"learning_rate": 1e-30}))
    try:
        assert dispatch(unpacked, "train", model_in, tmp_path / "out").returncode == 0
    finally:
        sent.unlink()
    # A step that small does not move the first layer. (Running means, say, move by themselves.)
    seed = get_helper("numpyhelper").load(str(model_in))
    assert np.allclose(weights.load(tmp_path / "out", like=seed)[0], seed[0])


def failure(result: subprocess.CompletedProcess[str], folder: Path) -> str:
    """Return the one line of a mistake; nothing may have been written."""
    assert result.returncode == 1
    assert list(folder.glob("out*")) == []
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"epochs": "many"}', "setting 'epochs': expected int, found 'many'"),
        ('{"layers": 3}', "setting 'layers' is unknown"),
        ("no JSON", "expected JSON"),
        ("[1]", "expected a JSON object, found list"),
    ],
)
def test_wrong_settings_end_in_one_line_and_no_model(
    unpacked: Path, tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "in-metadata").write_text(content)
    line = failure(dispatch(unpacked, "train", tmp_path / "in", tmp_path / "out"), tmp_path)
    assert expected in line


def test_missing_data_ends_in_one_line_and_no_model(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDN_DATA_PATH", str(tmp_path / "nowhere.csv"))
    for entry_point in ("train", "validate", "predict"):
        result = dispatch(unpacked, entry_point, tmp_path / "in", tmp_path / "out")
        assert f"{tmp_path / 'nowhere.csv'}: expected a data file" in failure(result, tmp_path)


def test_a_foreign_model_ends_in_one_line_and_no_model(unpacked: Path, tmp_path: Path) -> None:
    get_helper("numpyhelper").save([np.zeros(3, dtype=np.float32)], str(tmp_path / "in.npz"))
    result = dispatch(unpacked, "train", tmp_path / "in.npz", tmp_path / "out")
    assert "arrays, found 1" in failure(result, tmp_path)


@pytest.mark.parametrize("entry_point", ["train", "validate", "predict"])
def test_wrong_usage_says_what_is_right(unpacked: Path, entry_point: str) -> None:
    result = dispatch(unpacked, entry_point)
    assert result.returncode == 2
    assert result.stderr.startswith(f"usage: python {entry_point}.py MODEL_IN ")


def test_the_package_needs_no_fedn(unpacked: Path) -> None:
    sources = [path.read_text("utf-8") for path in unpacked.rglob("*.py")]
    assert len(sources) > 10
    words = "import fedn", "from fedn", "import federation", "from federation"
    assert not any(word in source for source in sources for word in words)


def test_a_site_checks_its_file_before_round_one(unpacked: Path, sites: list[Path]) -> None:
    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "check_data.py", *arguments]
        return subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=False)

    good = check(str(sites[0]))
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith(f"{sites[0]}: ok, {len(data.load('train')):,} examples to train")
    missing = check(str(sites[0] / "missing"))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith(f"error: {sites[0] / 'missing'}: expected a data file (")
    assert check().returncode == 2


@pytest.mark.parametrize("command", ["train.py", "validate.py", "predict.py", "check_data.py"])
def test_a_broken_contract_ends_in_one_line(unpacked: Path, command: str) -> None:
    (unpacked / "model" / "schema.json").write_text('{"fields": []}', encoding="utf-8")
    paths = ["data.csv"] if command == "check_data.py" else ["in", "out"]
    result = subprocess.run(
        [sys.executable, command, *paths], cwd=unpacked, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert re.fullmatch(
        r"error: .*schema.json: expected an entry 'label', found none\n", result.stderr
    )
