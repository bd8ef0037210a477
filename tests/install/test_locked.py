"""requirements.lock installs, hashes checked, on every Python that FEDn runs on."""

import os
import re
import shutil
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from baking import FRAMEWORKS, ROOT
from installing import CAPTURED, SLOW_BUT_NUMPY, UV, Install, check

pytestmark = pytest.mark.install

PYTHONS = "3.10", "3.11", "3.12"
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)


def interpreter(version: str) -> str | None:
    """Return this machine's Python of a version, found on PATH or among pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [shutil.which(f"python{version}"), sys.executable]
    candidates += sorted(map(str, root.glob(f"versions/{version}.*/bin/python")))
    for candidate in filter(None, candidates):
        # A name on PATH may be pyenv's, of a version that is not chosen here.
        result = subprocess.run([candidate, "--version"], **CAPTURED)
        if result.stdout.startswith(f"Python {version}."):
            return candidate
    return None


def lock(framework: str, task: str) -> Path:
    return ROOT / "templates" / "locks" / f"{framework}-{task}.lock"


def reachable_lock(framework: str, folder: Path) -> Path:
    """Return a lock without the builds whose own page cannot be reached from here.

    pip does without such a page when it has the file from elsewhere; uv does not.
    """
    text = lock(framework, "fraud").read_text("utf-8")
    for line, page, name in re.findall(r"^(--find-links (\S+/([\w-]+)/)\n)", text, re.MULTILINE):
        if not answers(page):
            build = rf"^{name}==\S+\+.*\n(?: .*\n)+"
            text = re.sub(build, "", text.replace(line, ""), flags=re.MULTILINE)
    file = folder / "requirements.lock"
    file.write_text(text, "utf-8")
    return file


@cache
def answers(page: str) -> bool:
    try:
        socket.create_connection((urlsplit(page).hostname, 443), timeout=30).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_it_installs_with_its_hashes_checked(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    check(subprocess.run([python, "-m", "venv", tmp_path / "venv"], **CAPTURED))
    own = tmp_path / "venv" / "bin" / "python"
    # `make demo` installs with pip; uv, which checks the hashes too, does it in seconds.
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", own]
    locked = "--require-hashes", "-r", lock("numpy", "fraud")
    check(subprocess.run([*install, *locked], **CAPTURED))
    check(subprocess.run([UV, "pip", "check", "--python", own], **CAPTURED))
    check(subprocess.run([own, "-c", "import fedn.cli, numpy, polars"], **CAPTURED))
    # The server of compose.yaml runs on it too, with the library's wheel beside it.
    (wheel,) = (ROOT / "{{cookiecutter.__slug}}" / "vendor").glob("*.whl")
    code = "import fednkit.network.server as s; s.serve(None, s.Setup(settings='nowhere.yaml'))"
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    command: list[str | Path] = [own, "-c", code]
    server = subprocess.run(command, env=environment, **CAPTURED)
    assert "nowhere.yaml: No such file" in server.stderr.splitlines()[-1], server.stderr
    command = [own, "-m", "fednkit", "move", tmp_path, "fedn.yaml"]
    move = subprocess.run(command, env=environment, **CAPTURED)
    assert "expected a store with" in move.stderr


@pytest.mark.parametrize("framework", SLOW_BUT_NUMPY)
def test_what_is_set_up_here_is_what_is_locked(installed: Install, framework: str) -> None:
    # What a marker leaves out for this platform is not installed.
    code = (
        "import re\n"
        "from importlib.metadata import version\n"
        "from pip._vendor.packaging.requirements import Requirement\n"
        "text = open('requirements.lock').read()\n"
        "lines = re.findall(r'(?m)^([\\w.-]+(?:\\[\\w+\\])?==[^\\\\\\n]+)', text)\n"
        "needs = [Requirement(line) for line in lines]\n"
        "needs = [need for need in needs if need.marker is None or need.marker.evaluate()]\n"
        "assert len(needs) > 30\n"
        "print({n.name: version(n.name) for n in needs if str(n.specifier) != "
        "'==' + version(n.name)})\n"
    )
    assert installed("fraud", framework).run_code(code) == "{}\n"


# The locks of the task fraud hold all that those of the other task hold.
@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_platform_has_wheels_of_all_of_it(
    framework: str, version: str, tmp_path: Path
) -> None:
    command: list[str | Path] = [UV, "pip", "install", "--dry-run", "--quiet", "--require-hashes"]
    command += ["--only-binary", ":all:", "--target", tmp_path / "nowhere"]
    command += ["--python-version", version, "-r", reachable_lock(framework, tmp_path)]
    # PyTorch's build for a Mac is for macOS 14 and later.
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    for platform in PLATFORMS:
        of_it = [*command, "--python-platform", platform]
        check(subprocess.run(of_it, env=environment, **CAPTURED))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_hashes_are_those_that_the_index_states(framework: str, tmp_path: Path) -> None:
    """A dry run does not compare them, and a real install on three Pythons takes long."""
    text = reachable_lock(framework, tmp_path).read_text("utf-8")
    pins = tmp_path / "requirements.in"
    pins.write_text("\n".join(re.findall(r"^(\S+==.*?) \\$", text, re.MULTILINE)), "utf-8")
    options = ["--quiet", "--universal", "--generate-hashes", "--no-deps"]
    command: list[str | Path] = [UV, "pip", "compile", *options]
    command += ["--no-header", "--no-annotate", "--python-version", PYTHONS[0], pins]
    command += ["--torch-backend", "cpu"] if "+cpu" in text else []
    locked, stated = hashes(text), hashes(check(subprocess.run(command, **CAPTURED)))
    assert set(locked) == set(stated)
    # A release can get more files after it was locked.
    assert {pin: found - stated[pin] for pin, found in locked.items() if found - stated[pin]} == {}


def hashes(text: str) -> dict[str, set[str]]:
    """Return the hashes of every version in a lock."""
    entries = re.findall(r"^(\S+==\S+)(.*(?:\n +--hash=.*)+)", text, re.MULTILINE)
    return {pin: set(re.findall(r"sha256:[0-9a-f]{64}", rest)) for pin, rest in entries}
