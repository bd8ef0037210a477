"""Checks of the entry points, run like FEDn's tutorial client and FEDn 0.33's client."""

import json
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import yaml
from fedn.network.clients.package_runtime import PackageRuntime
from fedn.utils.helpers.helpers import get_helper

from fednsite import weights
from fednsite.data.examples import Array
from fednsite.interfaces import Data, new_classifier

from ._check import expect
from ._site import archive, machine, site_folders, strict_json

ENTRY_POINTS = "train", "validate", "predict"


def data_module() -> Data:
    """Return the project's `model.data`."""
    from model import data

    module: Data = data
    return module


def seed_weights() -> list[Array]:
    """Return the weights of an untrained model."""
    return new_classifier(data_module()).get_weights()


def seed_model(folder: Path) -> Path:
    """Write a seed model with FEDn's own helper."""
    path = folder / "seed.npz"
    get_helper("numpyhelper").save(seed_weights(), str(path))
    return path


def the_tutorials_client_trains_and_validates() -> None:
    with machine() as site:
        model_in = seed_model(site.folder)
        model_out, validation = site.folder / "model_out", site.folder / "validation.json"
        site.step("train", model_in, model_out)
        site.step("validate", model_out, validation)
        _check_update(model_in, model_out)
        with mock.patch.dict(os.environ, FEDN_DATA_PATH=str(site_folders()[0])):
            training, held_out = (len(data_module().load(part)) for part in ("train", "test"))
        found = strict_json(model_out.with_name("model_out-metadata"))
        expect(
            found == {"num_examples": training},
            f"train.py: expected num_examples {training} in the metadata, found {found}",
        )
        metrics = strict_json(validation)
        expect(
            metrics.pop("num_examples") == held_out and bool(metrics),
            f"validate.py: expected metrics of {held_out} examples, found {metrics}",
        )
        wrong = {n: v for n, v in metrics.items() if not isinstance(v, float | None)}
        expect(not wrong, f"metrics.py: expected numbers, found {wrong}; make them floats")


def _check_update(model_in: Path, model_out: Path) -> None:
    """Check the layout that FEDn's old KerasHelper and its current numpyhelper expect."""
    seed = get_helper("numpyhelper").load(str(model_in))
    with np.load(model_out) as arrays:
        keys = [str(index) for index in range(len(seed))]
        expect(arrays.files == keys, f"train.py: expected the keys {keys}, found {arrays.files}")
        plain = [arrays[key] for key in keys]
    helped = get_helper("numpyhelper").load(str(model_out))
    expect(all(map(np.array_equal, plain, helped)), "train.py: FEDn's helper reads other arrays")
    expect(
        [array.dtype for array in plain] == [array.dtype for array in seed],
        "train.py: expected the dtypes of the seed model",
    )
    expect(
        not all(map(np.array_equal, plain, seed)),
        "train.py: expected another model than the seed model; does fit train?",
    )


def fedns_client_unpacks_and_runs_the_archive() -> None:
    # The folder's name has a space. The paths of the models must not, as FEDn does not quote them.
    with machine() as site, mock.patch.dict(os.environ, site.environment()):
        model_in = seed_model(site.folder)
        folder = site.folder / "site's package"
        folder.mkdir()
        (folder / "package.tgz").write_bytes(archive())
        runtime = PackageRuntime(str(folder))
        runtime.pkg_name = "package.tgz"
        unpacked, root = runtime.unpack_compute_package()
        expect(bool(unpacked), "FEDn's client does not unpack the archive")
        dispatcher = runtime.get_dispatcher(root)
        expect(dispatcher is not None, "FEDn's client finds no entry points in fedn.yaml")
        dispatcher.run_cmd(f"train {model_in} {site.folder}/trained")
        dispatcher.run_cmd(f"validate {site.folder}/trained {site.folder}/validation")
        dispatcher.run_cmd(f"predict {site.folder}/trained {site.folder}/predictions")
        held_out = len(data_module().load("test"))
        found = strict_json(site.folder / "validation")["num_examples"]
        expect(found == held_out, f"validate.py: expected {held_out} examples, found {found}")
        expected = len(data_module().load("all")), data_module().num_classes()
        predicted = np.array(strict_json(site.folder / "predictions")["probabilities"])
        expect(
            predicted.shape == expected,
            f"predict.py: expected probabilities of shape {expected}, found {predicted.shape}",
        )


def fedns_successor_finds_the_same_entry_points() -> None:
    with machine() as site:
        ours, successors = (
            yaml.safe_load((site.package / name).read_text("utf-8"))
            for name in ("fedn.yaml", "scaleout.yaml")
        )
        expect(successors == ours, "scaleout.yaml: expected the entry points of fedn.yaml")


def equal_steps_in_two_processes_give_equal_bytes() -> None:
    with machine() as site:
        model_in, one, two = seed_model(site.folder), site.folder / "one", site.folder / "two"
        site.step("train", model_in, one)
        site.step("train", model_in, two)
        expect(
            one.read_bytes() == two.read_bytes(),
            "train.py: expected the same update from the same step; seed all that is random with "
            "`step.seed`",
        )


def settings_from_the_server_reach_the_training() -> None:
    from model.settings import Settings

    if not hasattr(Settings, "learning_rate"):
        return
    with machine() as site:
        model_in, out = seed_model(site.folder), site.folder / "out"
        sent = model_in.with_name("seed.npz-metadata")
        sent.write_text(json.dumps({"learning_rate": 1e-30}), "utf-8")
        site.step("train", model_in, out)
        # A step that small does not move the first layer. (Running means would still move.)
        seed = get_helper("numpyhelper").load(str(model_in))
        expect(
            bool(np.allclose(weights.load(out, like=seed)[0], seed[0])),
            "fit: expected the server's learning_rate to take effect; use `settings`",
        )


def mistakes_end_in_one_line_and_no_file() -> None:
    with machine() as site:
        folder, out = site.folder, site.folder / "out"
        model_in = seed_model(folder)
        for content, expected in (
            ('{"not_a_setting": 3}', "setting 'not_a_setting' is unknown"),
            ("no JSON", "expected JSON"),
        ):
            (folder / "seed.npz-metadata").write_text(content, "utf-8")
            _expect_line(site.error_line("train.py", model_in, out, out=out), expected)
        (folder / "seed.npz-metadata").unlink()
        missing = folder / "nowhere.csv"
        for name in ENTRY_POINTS:
            line = site.error_line(
                f"{name}.py", model_in, out, out=out, FEDN_DATA_PATH=str(missing)
            )
            _expect_line(line, f"{missing}: expected a data file")
        foreign = folder / "foreign.npz"
        get_helper("numpyhelper").save([np.zeros(3, dtype=np.float32)], str(foreign))
        _expect_line(site.error_line("train.py", foreign, out, out=out), "found")
        for name in ENTRY_POINTS:
            done = site.run(f"{name}.py")
            expect(
                done.returncode == 2 and done.stderr.startswith(f"usage: python {name}.py "),
                f"{name}.py: expected the usage and exit code 2, found {done.stderr.strip()}",
            )


def a_broken_contract_ends_in_one_line() -> None:
    with machine() as site:
        out = site.folder / "out"
        (site.package / "model" / "schema.json").write_text('{"fields": []}', "utf-8")
        expected = "schema.json: expected an entry 'label', found none"
        for name in ENTRY_POINTS:
            _expect_line(site.error_line(f"{name}.py", "in", out, out=out), expected)
        command = "-m", "fednsite.check", "data.csv"
        _expect_line(site.error_line(*command, out=out), expected)


def a_site_checks_its_file_before_round_one() -> None:
    with machine() as site:
        file = site_folders()[0]
        good = site.run("-m", "fednsite.check", file)
        expect(
            good.returncode == 0 and good.stdout.startswith(f"{file}: ok, "),
            f"fednsite.check: expected '{file}: ok, ...', found {good.stdout}{good.stderr}",
        )


def the_archive_runs_with_its_own_library() -> None:
    with machine() as site:
        code = "import fednsite, os; print(os.path.dirname(fednsite.__file__))"
        used = Path(site.run("-c", f"import sys; sys.path.insert(0, ''); {code}").stdout.strip())
        expect(
            used.resolve() == (site.package / "fednsite").resolve(),
            f"expected the archive's fednsite, found {used}",
        )
        if sys.version_info < (3, 11):
            # PYTHONSAFEPATH came with Python 3.11.
            return
        out = site.folder / "out"
        line = site.error_line("train.py", "in", out, out=out, PYTHONSAFEPATH="1")
        # The message depends on whether the environment has a fednsite too.
        expect("fednsite" in line, f"expected the library to be named, found {line}")


def _expect_line(line: str, expected: str) -> None:
    expect(expected in line, f"expected '{expected}' in the message, found: {line}")


CHECKS = (
    the_tutorials_client_trains_and_validates,
    fedns_client_unpacks_and_runs_the_archive,
    fedns_successor_finds_the_same_entry_points,
    equal_steps_in_two_processes_give_equal_bytes,
    settings_from_the_server_reach_the_training,
    mistakes_end_in_one_line_and_no_file,
    a_broken_contract_ends_in_one_line,
    a_site_checks_its_file_before_round_one,
    the_archive_runs_with_its_own_library,
)

__all__ = ["CHECKS", "data_module", "seed_model", "seed_weights"]
