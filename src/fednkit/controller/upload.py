"""Upload the compute package and the seed model to a controller: fednkit upload."""

import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from fedn import APIClient

from fednsite import weights

from ..data import seed
from ..package import archive
from ..project.config import current
from ..project.console import console, say
from ..project.errors import PackageError, ProjectError
from ..project.paths import shown
from . import connection
from .connection import HELPER, listed

__all__ = ["active_helper", "newest_model", "run", "send", "unpackable"]


def run(options: connection.ControllerOptions) -> None:
    """Upload what the controller lacks, then print the active package and the newest model."""
    token = connection.read_token(options.token_env)
    archive.check_fresh()
    with console.status("checking the seed model"):
        seed.check(current().seed)
    with connection.connected(options.api_url, token) as api:
        send(api)
        newest = newest_model(api)
        origin = f"trained in session {newest['session_id']}" if newest["session_id"] else "seed"
        say(f"active package: {current().slug}, SHA-256 {connection.package_checksum(api)}")
        say(f"newest model, from which a session starts: {newest['model_id']} ({origin})")


def send(api: APIClient, model: Path | None = None) -> None:
    """Upload the archive and the seed model, each only if the controller lacks it.

    Args:
        api: A client of the controller's API.
        model: A model file to use instead of the seed model; always uploaded.
    """
    expected = hashlib.sha256(current().archive.read_bytes()).hexdigest()
    if connection.package_checksum(api) == expected and _can_be_used(api):
        say("package: the controller has it already")
    else:
        with tempfile.TemporaryDirectory() as folder:
            # FEDn keeps only the last suffix, and its clients cannot unpack ".gz".
            named = shutil.copy(current().archive, Path(folder, f"{current().slug}.tgz"))
            answer = api.set_active_package(str(named), helper=HELPER, name=current().slug)
        found = connection.package_checksum(api)
        if found != expected:
            raise ProjectError(
                f"the controller has another package: SHA-256 {found}, not {expected}; it says: "
                f"{answer.get('message')}"
            )
        say("package: uploaded")
    kind = "seed model" if model is None else shown(model)
    if model is None and _has_seed(api):
        say("seed model: the controller has it already")
    else:
        answer = api.set_active_model(str(model or current().seed))
        if not answer.get("success"):
            raise ProjectError(f"the controller rejected the {kind}: {answer.get('message')}")
        say(f"{kind}: uploaded")
    if (helper := active_helper(api)) != HELPER:
        raise ProjectError(f"the controller's helper is '{helper}', not '{HELPER}'")


def _can_be_used(api: APIClient) -> bool:
    """Return whether clients can unpack the active package and it names the right helper."""
    return active_helper(api) == HELPER and unpackable(api.get_active_package())


def unpackable(active: dict[str, str]) -> bool:
    """Return whether FEDn's clients can unpack a package, by the name that FEDn stores it under."""
    return active["storage_file_name"].endswith((".tgz", "tar.gz", "tar.bz2"))


def active_helper(api: APIClient) -> str | None:
    """Return the name of the helper that reads model files; None without an active package."""
    name: str | None = api.get_active_package().get("helper")
    return name


def newest_model(api: APIClient) -> dict[str, str]:
    """Return the model from which a session starts by default. Raises `ProjectError`."""
    model: dict[str, str] = api.get_active_model()
    if "model_id" not in model:
        raise ProjectError("the controller has no model; for the seed model, run: fednkit upload")
    return model


def _has_seed(api: APIClient) -> bool:
    """Return whether a model without a parent has the arrays of seed.npz.

    Compare arrays, because the controller writes a new file when it stores a model.
    """
    with tempfile.TemporaryDirectory() as folder:
        with np.load(current().seed, allow_pickle=False) as arrays:
            ours = [arrays[str(index)] for index in range(len(arrays.files))]
        file = Path(folder, "model.npz")
        for model in listed(api.get_models()):
            if model["parent_model"]:
                continue
            if not api.download_model(model["model_id"], str(file))["success"]:
                continue
            # The file may hold a different model or be invalid.
            with suppress(PackageError):
                if all(map(np.array_equal, ours, weights.load(file, ours))):
                    return True
    return False
