"""The doctor's checks of the project."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from packaging.utils import canonicalize_name

from fednsite.check import check

from ..data import seed
from ..data.kinds import kind
from ..package import archive, licenses
from ..package.library import model_library
from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import by_number, shown
from ._machine import pinned_requirements

ENTRY_POINTS = "train", "validate", "predict"
# Must not be in git: data, results, tokens, and models, which are trained on data.
PRIVATE_PATHS = "data", "runs", "invitations", ".env", ":(glob)*.npz", "*.tar.gz"


def lock() -> str:
    """Check that the lock file holds the versions that the requirements pin."""
    locked = [(one.name, one.version) for one in licenses.locked()]
    shipped = (current().root / "requirements.txt").read_text("utf-8")
    for name, pinned in pinned_requirements():
        if f"{name}==" in shipped and (canonicalize_name(name), pinned) not in locked:
            found = dict(locked).get(canonicalize_name(name), "none")
            raise ProjectError(f"{name}: expected {pinned}, found {found}; run: make lock")
    return f"{len(dict(locked))} packages, as requirements.txt says"


def manifest() -> str:
    """Check that fedn.yaml names existing entry points, and that there is only one such file."""
    file = current().client / "fedn.yaml"
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
        points = content["entry_points"]
        commands = {name: points[name]["command"] for name in ENTRY_POINTS if name in points}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        words = " ".join(str(error).split())
        raise ProjectError(f"{shown(file)}: expected entry_points with commands: {words}") from None
    for name in ("train", "validate"):
        if name not in commands:
            raise ProjectError(f"{shown(file)}: expected the entry point '{name}', found none")
    for command in commands.values():
        script = command.split()[-1]
        if not (current().client / script).is_file():
            missing = shown(current().client / script)
            raise ProjectError(f"{shown(file)}: '{command}': expected {missing}, found none")
    others = [path for path in current().client.rglob("fedn.yaml") if path != file]
    if others:
        raise ProjectError(
            f"{shown(others[0])}: FEDn takes the first fedn.yaml that it meets; remove this one"
        )
    return ", ".join(commands)


def package() -> str:
    """Check that the archive exists, is up to date, and contains nothing private."""
    members = archive.package_files(current().client)
    archive.check_fresh()
    return f"{shown(current().archive)}, {len(members)} files"


def library() -> str:
    """Check that the package does not import FEDn, and that its settings and schema load."""
    for file in current().client.rglob("*.py"):
        if re.search(r"^\s*(import|from)\s+(fedn|fednkit)\b", file.read_text("utf-8"), re.M):
            raise ProjectError(
                f"{shown(file)} imports fedn or fednkit, which sites may not have; remove it"
            )
    with model_library() as package:
        package.settings()
        return f"input {package.data.input_shape()}, {package.data.num_classes()} classes"


def seed_model() -> str:
    """Check that the seed model exists and fits the classifier."""
    seed.check(current().seed)
    return shown(current().seed)


def data_of_sites() -> str:
    """Check that the data of every trial site satisfies the contract."""
    found = sorted(current().data.glob("site-*"), key=lambda path: by_number(path.name))
    if not found:
        return "no trial sites yet"
    with model_library() as package:
        for folder in found:
            check(package.data, folder)
    return f"{len(found)} trial sites satisfy the contract"


def entry_points() -> str:
    """Run training and validation once like FEDn's client, on sample data if there are no sites."""
    archive.check_fresh()
    seed.check(current().seed)
    with tempfile.TemporaryDirectory() as folder:
        unpacked, data, seen = (Path(folder, name) for name in ("package", "data", "seen"))
        seen.mkdir()
        shutil.unpack_archive(current().archive, unpacked, "gztar")
        site = next(iter(sorted(current().data.glob("site-*"))), None)
        if site is None:
            site = sample(data)
        Path(seen, "in").write_bytes(current().seed.read_bytes())
        Path(seen, "in-metadata").write_text('{"epochs": 1}', "utf-8")
        for name, given, made in (("train", "in", "out"), ("validate", "out", "metrics")):
            result = subprocess.run(
                [sys.executable, f"{name}.py", Path(seen, given), Path(seen, made)],
                cwd=unpacked,
                env={**os.environ, "FEDN_DATA_PATH": str(site)},
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                last = (result.stderr.strip() or "no error message").splitlines()[-1]
                raise ProjectError(f"{name}.py: {last.removeprefix('error: ')}")
        counted = json.loads(Path(seen, "out-metadata").read_text("utf-8"))["num_examples"]
    return f"one epoch on {counted:,} examples"


def sample(folder: Path) -> Path:
    """Write sample data for one site, and return the file."""
    data = kind()
    everything = data.make(None, 0)
    file = folder / data.FILE_NAME
    folder.mkdir()
    data.write(everything, np.arange(len(data.labels(everything))), file)
    return file


def invitations() -> str:
    """Check that all invitations are for the current package."""
    expected = hashlib.sha256(current().archive.read_bytes()).hexdigest()
    files = sorted((current().root / "invitations").glob("*/client.yaml"))
    for file in files:
        if yaml.safe_load(file.read_text("utf-8")).get("package_checksum") != expected:
            raise ProjectError(
                f"{shown(file.parent)} was written for another package, which its client would "
                "reject; remove it, and invite again"
            )
    return f"{len(files)} for this package" if files else "none yet"


def version_control() -> str:
    """Check that git contains no data, results or secrets."""
    command = ["git", "ls-files", "--", *PRIVATE_PATHS]
    try:
        listed = subprocess.run(
            command, cwd=current().root, capture_output=True, text=True, check=False
        )
    except OSError:
        return "no git here"
    if files := listed.stdout.split("\n")[:-1]:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise ProjectError(f"git contains {files[0]}{more}; run: git rm -r --cached '{files[0]}'")
    return "contains no data, results or secrets"


CHECKS = {
    "lock file": lock,
    "fedn.yaml": manifest,
    "package": package,
    "model library": library,
    "seed model": seed_model,
    "data": data_of_sites,
    "entry points": entry_points,
    "invitations": invitations,
    "version control": version_control,
}
