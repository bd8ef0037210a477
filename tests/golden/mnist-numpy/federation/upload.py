"""Hand the compute package and the seed model to a controller: python -m federation upload."""

import argparse
import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from fedn import APIClient

from . import controller, package, seed
from .controller import HELPER, listed
from .package import imported_package
from .project import ARCHIVE, SEED, SLUG, ProjectError, shown
from .show import console, say


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation upload`."""
    controller.add_options(parser)


def run(options: argparse.Namespace) -> None:
    """Upload what the controller does not have yet, and say what is active then."""
    token = controller.read_token(options.token_env)
    package.check_fresh()
    with console.status("checking the seed model"):
        seed.check()
    with controller.connected(options.api_url, token) as api:
        send(api)
        newest = newest_model(api)
        origin = f"trained in session {newest['session_id']}" if newest["session_id"] else "seed"
        say(f"active package: {SLUG}, SHA-256 {controller.package_checksum(api)}")
        say(f"newest model, from which a session starts: {newest['model_id']} ({origin})")


def send(api: APIClient, model: Path = SEED) -> None:
    """Hand over the archive and the seed model, each only if the controller lacks it.

    model: another file to start from in the seed model's place; it is always handed over.
    """
    expected = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    if controller.package_checksum(api) == expected and _can_be_used(api):
        say("package: the controller has it already")
    else:
        with tempfile.TemporaryDirectory() as folder:
            # Under a name in .tgz: FEDn keeps the last suffix only, and no client can unpack
            # a ".gz".
            named = shutil.copy(ARCHIVE, Path(folder, f"{SLUG}.tgz"))
            answer = api.set_active_package(str(named), helper=HELPER, name=SLUG)
        found = controller.package_checksum(api)
        if found != expected:
            raise ProjectError(
                f"the controller has another package: SHA-256 {found}, not {expected}; it says: "
                f"{answer.get('message')}"
            )
        say("package: uploaded")
    kind = "seed model" if model == SEED else shown(model)
    if model == SEED and _has_seed(api):
        say("seed model: the controller has it already")
    else:
        answer = api.set_active_model(str(model))
        if not answer.get("success"):
            raise ProjectError(f"the controller refused the {kind}: {answer.get('message')}")
        say(f"{kind}: uploaded")
    if (helper := active_helper(api)) != HELPER:
        raise ProjectError(f"the controller's helper is '{helper}', not '{HELPER}'")


def _can_be_used(api: APIClient) -> bool:
    """Tell whether clients can unpack the active package, and FEDn reads models as it should."""
    return active_helper(api) == HELPER and unpackable(api.get_active_package())


def unpackable(active: dict[str, str]) -> bool:
    """Tell whether the name that FEDn stores a package under lets its clients unpack it."""
    return active["storage_file_name"].endswith((".tgz", "tar.gz", "tar.bz2"))


def active_helper(api: APIClient) -> str | None:
    """Return the name of the helper by which the controller reads model files, if it has one."""
    name: str | None = api.get_active_package().get("helper")
    return name


def newest_model(api: APIClient) -> dict[str, str]:
    """Return the model from which a session starts unless told otherwise."""
    model: dict[str, str] = api.get_active_model()
    if "model_id" not in model:
        raise ProjectError(
            "the controller has no model; for the seed model, run: python -m federation upload"
        )
    return model


def _has_seed(api: APIClient) -> bool:
    """Tell whether a model without a parent has the arrays of seed.npz.

    Arrays are compared and not bytes: the controller writes a model anew when it takes it in.
    """
    with imported_package(), tempfile.TemporaryDirectory() as folder:
        from model import weights
        from model.errors import PackageError

        with np.load(SEED, allow_pickle=False) as arrays:
            ours = [arrays[str(index)] for index in range(len(arrays.files))]
        file = Path(folder, "model.npz")
        for model in listed(api.get_models()):
            if model["parent_model"]:
                continue
            if not api.download_model(model["model_id"], str(file))["success"]:
                continue
            # What the controller hands out may be another model, or none.
            with suppress(PackageError):
                if all(map(np.array_equal, ours, weights.load(file, ours))):
                    return True
    return False
