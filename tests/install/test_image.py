"""The image of the data providers: what is in it, how it runs, and that it trains."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import containers
import pytest
from baking import CONTEXT, FRAMEWORKS
from containers import BASE, PYTHON, Containers, as_user, read_only
from installing import CAPTURED, Install, Installed, RecordFigure, check

WHY_NOT = containers.missing()
pytestmark = [
    pytest.mark.install,
    # The images lie in one store, which each test module cleans.
    pytest.mark.xdist_group("image"),
    pytest.mark.slow,
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]

PLANTED = "TOKEN=0123456789-this-must-not-get-into-the-image"


@dataclass
class Image:
    """A project's image, and a container of it."""

    project: Installed
    name: str
    said: dict[str, Any]
    root: Path
    folder: Path

    def command(self, *command: str) -> list[str]:
        """Return what runs a command in the container, under a root that is read-only."""
        (self.folder / "config").mkdir(exist_ok=True)
        data = self.project.folder / "data" / "site-2"
        mounts = {"/config": self.folder / "config", "/data": data}
        return read_only(self.root, self.said["config"], mounts, *command)

    def run(self, *command: str) -> str:
        """Run a command in the container; it must succeed."""
        return check(subprocess.run(self.command(*command), **CAPTURED))


@pytest.fixture(scope="module")
def buildah() -> Iterator[Containers]:
    """Buildah, with the base image; what the tests make is removed."""
    made = Containers()
    made.clean()
    yield made
    made.clean()


# Those that leave something out, in which it could be missed, and one that does not.
BUILT = ["numpy", *(name for name in FRAMEWORKS if CONTEXT["_frameworks"][name]["build_only"])]
# NumPy's with every layer kept, as Docker builds. Layers take their time: the others go without.
LAYERS = {"numpy": ["--layers"]}
TRIED = [pytest.param((name, *LAYERS.get(name, [])), id=name) for name in BUILT]
NUMPY = TRIED[0]


@pytest.fixture(scope="module", params=TRIED)
def image(
    request: pytest.FixtureRequest,
    installed: Install,
    buildah: Containers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Image]:
    """An image as `make image` builds it, from a project that holds data and secrets."""
    framework, *options = request.param
    project = installed("fraud", framework)
    dockerfile = project.folder / "Dockerfile"
    dockerfile.write_text(
        dockerfile.read_text().replace(
            f"python:{CONTEXT['_python_versions'][0]}", f"python:{PYTHON}"
        )
    )
    project.fednkit("sites", "--examples", "4000")
    project.make("seed")
    # As `invite` writes it for a site, with its token.
    (project.folder / "invitations" / "bank-a").mkdir(parents=True)
    for name in (".env", "client/.env", "invitations/bank-a/client.yaml", "server.key"):
        (project.folder / name).write_text(PLANTED)
    # The package refuses secrets; this one is there for the image.
    (project.folder / "client" / ".fednignore").write_text(".fednignore\n.env\n__pycache__\n")
    folder = tmp_path_factory.mktemp("image")
    project.make("image", f"DOCKER={buildah.docker(folder, *options)}")
    name = f"localhost/{project.folder.name}"
    with buildah.files(name) as root:
        yield Image(project, name, buildah.inspect(name), root, folder)


def files(root: Path) -> dict[str, tuple[int, int]]:
    """Return the size and the time of every file of a file system, by its path."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            found[path.relative_to(root).as_posix()] = status.st_size, int(status.st_mtime)
    return found


def test_it_says_what_it_is_and_how_to_run_it(image: Image) -> None:
    config = image.said["config"]
    labels = {name: text for name, text in config["Labels"].items() if "buildah" not in name}
    archive = image.project.folder / "fraud-detection.tar.gz"
    checksum = check(subprocess.run(["sha256sum", archive], **CAPTURED)).split()[0]
    assert labels == {
        "org.opencontainers.image.title": "fraud-detection",
        "org.opencontainers.image.version": "0.1.0",
        "fedn.package.sha256": checksum,
    }
    assert (config["User"], config["WorkingDir"]) == ("fedn", "/work")
    assert config["Entrypoint"] == ["python", "/opt/joining/join.py"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "/opt/joining/join.py", "health"]
    assert {"FEDN_DATA_PATH=/data", "FEDN_CLIENT_CONFIG=/config/client.yaml"} < set(config["Env"])
    assert "PRIVACY_LEDGER=/state/privacy.json" in config["Env"]


def test_nothing_comes_on_top_of_python_but_the_environment_the_package_and_join(
    image: Image, buildah: Containers
) -> None:
    with buildah.files(BASE) as base:
        before = files(base)
    after = files(image.root)
    changed = {name for name in after if after[name] != before.get(name)}
    environment = {name for name in changed if name.startswith("opt/venv/")}
    byte_code = {name for name in changed if name.startswith("usr/lib/") and name.endswith(".pyc")}
    accounts = {f"etc/{name}" for name in "passwd group shadow gshadow subuid subgid".split()}
    accounts |= {f"{name}-" for name in accounts}
    # Where the settings of pip were mounted: empty files.
    mounted = {name for name in changed if name.startswith("etc/") and after[name][0] == 0}
    rest = changed - environment - byte_code - accounts - mounted
    parts = ("__init__", "_client", "_commands", "_package", "_settings", "_signed_package")
    assert rest == {
        "opt/joining/join.py",
        *(f"opt/joining/joining/{name}.py" for name in (*parts, "signature")),
        "opt/joining/fraud-detection.tgz",
    }
    for name in rest | (accounts & changed):
        assert PLANTED.encode() not in (image.root / name).read_bytes()


def test_neither_pip_nor_a_compiler_nor_a_cache_is_in_it(image: Image) -> None:
    names = {Path(name).name for name in files(image.root)}
    assert names & {"pip", "pip3", "gcc", "cc", "c++", "make", "ld"} == set()
    for python in ("/opt/venv/bin/python", "/usr/bin/python"):
        code = "import importlib.util; print(importlib.util.find_spec('pip'))"
        assert image.run(python, "-c", code) == "None\n"
    for cache in ("root/.cache", "var/cache/apt", "var/lib/apt/lists", "tmp", "work"):
        assert not list(image.root.glob(f"{cache}/*")), cache


def test_it_is_hardly_larger_than_its_wheels(
    image: Image, buildah: Containers, record_figure: RecordFigure
) -> None:
    wheels = 0
    for record in image.root.glob("opt/venv/lib/python*/site-packages/*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as file:
            wheels += sum(int(size or 0) for _, _, size in csv.reader(file))
    with buildah.files(BASE) as base:
        before = files(base)
    after = files(image.root)
    on_top = sum(status[0] for name, status in after.items() if status != before.get(name))
    figures = {"megabytes": wheels / 1e6}, {"megabytes": on_top / 1e6}
    record_figure(f"wheels, image: {image.project.venv.name}", *figures)
    # The rest is byte code, and halves the time in which an entry point starts.
    assert on_top < 1.3 * wheels


def test_it_runs_as_nobody_special_and_writes_only_where_it_may(image: Image) -> None:
    assert image.run("id", "-u").strip() == "10001"
    for folder in ("/", "/opt/venv", "/opt/joining", "/config", "/data", "/etc", "/usr"):
        refused = subprocess.run(image.command("touch", f"{folder}/x"), **CAPTURED)
        assert "Read-only file system" in refused.stderr
    image.run("touch", "/work/x", "/tmp/x")
    # Where a volume is mounted, which takes its owner and mode from here.
    assert image.run("stat", "-c", "%a", "/state") == "1777\n"
    status = image.run("cat", "/proc/self/status")
    powers = {line.split()[0]: line.split()[1] for line in status.splitlines() if "Cap" in line}
    assert set(powers.values()) == {"0" * 16}


def test_it_checks_the_sites_data(image: Image) -> None:
    printed = image.run(*image.said["config"]["Entrypoint"], "check")
    assert printed.startswith("/data: ok, ")


@contextmanager
def serving(project: Installed) -> Iterator[str]:
    """Give the address of a controller that has the package and the seed model."""
    server = project.start("serve", "--port", "0", "--combiner-port", "0")
    assert server.stdout
    try:
        url = next(line.split()[1] for line in server.stdout if line.startswith("controller: "))
        project.fednkit("upload", "--api-url", url)
        yield url
    finally:
        server.terminate()
        server.communicate(timeout=30)


@contextmanager
def joined(image: Image, url: str) -> Iterator[int]:
    """Give the process of a client in the container, with what `invite` wrote for it."""
    image.project.fednkit("invite", "--site", "bank", "--api-url", url)
    settings = image.project.folder / "invitations" / "bank" / "client.yaml"
    shutil.copy(settings, image.folder / "config")
    command = image.command(*image.said["config"]["Entrypoint"])
    log = image.folder / "client.log"
    with log.open("w") as file:
        container = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
        while not children.read_text().strip():
            assert container.poll() is None, log.read_text()
            time.sleep(0.05)
        client = int(children.read_text())
        yield client
        # As `docker stop` does.
        os.kill(client, signal.SIGTERM)
        assert container.wait(timeout=30) == 0
        assert log.read_text().endswith("left the federation\n")
    finally:
        container.kill()
        container.wait()


def test_a_client_in_it_trains_together_with_an_ordinary_one(image: Image, tmp_path: Path) -> None:
    project, config = image.project, image.said["config"]
    with serving(project) as url, joined(image, url) as client:
        host, port = url.rsplit(":", 1)
        data = project.folder / "data" / "site-1"
        ordinary = project.join(tmp_path / "ordinary", data, "--api-url", host, "--api-port", port)
        try:
            printed = project.rounds_with(2, "--api-url", url, "--rounds", "2")
            enter = ["nsenter", f"--target={client}", "--mount", "--pid", "--root", "--wd"]
            health = [*enter, *as_user(image.root, config), *config["Healthcheck"]["Test"][1:]]
            check(subprocess.run(health, **CAPTURED))
            assert Path(f"/proc/{client}").stat().st_uid == 10001
        finally:
            ordinary.kill()
            ordinary.wait()
    assert "sites online: bank, ordinary\n" in printed
    record = json.loads((project.run_folder() / "metrics.json").read_text("utf-8"))
    for result in record["rounds"]:
        assert (result["finished"], result["updates"]) == (True, 2)
        assert sorted(result["sites"]) == ["bank", "ordinary"]
    assert len(record["rounds"]) == 2
    assert project.processes() == {}


def test_it_is_not_well_when_no_client_is_connected(image: Image) -> None:
    test = image.command(*image.said["config"]["Healthcheck"]["Test"][1:])
    result = subprocess.run(test, **CAPTURED)
    assert (result.returncode, result.stderr) == (1, "error: FEDn's client does not run\n")


@pytest.mark.parametrize("image", [NUMPY], indirect=True)
def test_a_change_of_code_installs_nothing_again(
    image: Image, buildah: Containers, tmp_path: Path
) -> None:
    before = image.said["rootfs"]["diff_ids"]
    # A copy: the image must stay that of the project, in whichever order the tests run.
    folder = tmp_path / image.project.folder.name
    project = Installed(shutil.copytree(image.project.folder, folder), "numpy")
    settings = project.folder / "client" / "model" / "settings.py"
    settings.write_text(settings.read_text("utf-8") + "# changed\n")
    project.make("image", f"DOCKER={image.folder / 'docker'}")
    after = buildah.inspect(image.name)["rootfs"]["diff_ids"]
    # The base, the user, the environment, join.py; then the package.
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]
    assert len(after) == 5


@pytest.mark.parametrize("image", [NUMPY], indirect=True)
def test_a_wheel_with_another_hash_is_not_copied_into_an_image(
    image: Image, tmp_path: Path
) -> None:
    folder = shutil.copytree(image.project.folder, tmp_path / image.project.folder.name)
    [wheel] = folder.glob("vendor/*.whl")
    # It still unpacks: nothing but the hash shows it.
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    build: list[str | Path] = [image.folder / "docker", "build", "--tag", "changed-wheel", folder]
    result = subprocess.run(build, **CAPTURED)
    assert result.returncode != 0
    assert f"./{wheel.name}: FAILED" in result.stdout
