"""Images built and run for real, with neither a Docker daemon nor an image registry.

Buildah builds the project's Dockerfile on a base image that is made here from Debian's packages,
and FEDn's client runs from the image as Docker would run it with `--read-only`.
"""

import ast
import configparser
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baking import ROOT
from installing import CAPTURED, check

# What the project's Dockerfile starts from when its answer is 3.11, the Python of this Debian.
PYTHON, DEBIAN = "3.11", "bookworm"
BASE = f"docker.io/library/python:{PYTHON}-slim"
# Holds nothing but the base between two runs of the tests.
STORAGE = ROOT / "build" / "containers"


def missing() -> str | None:
    """Return why no image can be built here, or None."""
    if os.geteuid() != 0:
        return "images are built as root"
    absent = [
        tool for tool in ("buildah", "debootstrap", "unshare", "nsenter") if not shutil.which(tool)
    ]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return None if debian_mirror() else f"apt knows no mirror of Debian {DEBIAN}"


def debian_mirror() -> str | None:
    """Return the address that this machine's apt takes Debian's packages from."""
    if not shutil.which("apt-get"):
        return None
    wanted = "$(SITE) $(CODENAME) $(COMPONENT)"
    listed = check(subprocess.run(["apt-get", "indextargets", "--format", wanted], **CAPTURED))
    lines = [line.split() for line in listed.splitlines()]
    return next((line[0] for line in lines if line[1:] == [DEBIAN, "main"]), None)


class Containers:
    """Images and containers of the tests, in a storage of their own."""

    def __init__(self) -> None:
        self.command = ["buildah", "--root", f"{STORAGE}/root", "--runroot", f"{STORAGE}/run"]
        overlay = [*self.command, "--storage-driver", "overlay", "info"]
        works = subprocess.run(overlay, **CAPTURED).returncode == 0
        self.command += ["--storage-driver", "overlay" if works else "vfs"]
        if BASE not in self("images", "--format", "{{.Name}}:{{.Tag}}"):
            self.make_base()

    def __call__(self, *arguments: Any) -> str:
        """Run buildah, which must succeed, and return what it printed."""
        return check(subprocess.run([*self.command, *map(str, arguments)], **CAPTURED)).strip()

    def make_base(self) -> None:
        """Make what stands in for python:slim: Debian, a Python, and a pip that can be removed."""
        STORAGE.mkdir(parents=True, exist_ok=True)
        root = STORAGE / "debian"
        packages = "--include=python3,python3-venv,ca-certificates"
        mirror = debian_mirror()
        assert mirror
        options = ["--variant=minbase", packages, DEBIAN, str(root), mirror]
        try:
            check(subprocess.run(["debootstrap", *options], **CAPTURED))
            check(subprocess.run(["chroot", root, "env", "-i", "sh", "-ec", LIKE_SLIM], **CAPTURED))
            container = self("from", "scratch")
            self("add", container, root, "/")
            self("commit", "--rm", container, BASE)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def docker(self, folder: Path, *options: str) -> Path:
        """Write a `docker` that builds with buildah, and reaches the package index as pip here."""
        settings, mounts = pip_settings()
        configuration = folder / "pip.conf"
        configuration.write_text(settings)
        volumes = [f"{configuration}:/etc/pip.conf:ro", *(f"{path}:{path}:ro" for path in mounts)]
        build = [*self.command, "build", "--isolation", "chroot", "--format", "docker"]
        build += ["--pull-never", *options, *(f"--volume={volume}" for volume in volumes)]
        program = folder / "docker"
        program.write_text(f'#!/bin/sh\nshift\nexec {shlex.join(build)} "$@"\n')
        program.chmod(0o755)
        return program

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what an image says of itself, as Docker stores it."""
        said: dict[str, Any] = json.loads(self("inspect", "--type", "image", image))["Docker"]
        return said

    @contextmanager
    def files(self, image: str) -> Iterator[Path]:
        """Give the file system of a fresh container."""
        container = self("from", "--pull-never", image)
        try:
            yield Path(self("mount", container))
        finally:
            self("rm", container)

    def clean(self) -> None:
        """Remove all but the base."""
        self("rm", "--all")
        base = self("images", "--quiet", "--no-trunc", BASE)
        others = set(self("images", "--all", "--quiet", "--no-trunc").split()) - set(base.split())
        if others:
            self("rmi", "--force", *others)


LIKE_SLIM = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
export PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl)
python3 -m pip install --quiet --root-user-action ignore --no-index \\
    --find-links /usr/share/python-wheels pip setuptools
ln -s python3 /usr/bin/python
find /usr -name '*.pyc' -delete
rm -rf /usr/share/python-wheels /var/cache/apt/* /var/lib/apt/lists/*
"""


def read_only(
    root: Path, said: dict[str, Any], folders: dict[str, Path], *command: str
) -> list[str]:
    """Return what runs a command in a container's files as `docker run --read-only` does.

    As process 1, as the image's user and without any capability; only /work and /tmp can be
    written, and are in memory. It shares the network of this machine.

    root: the container's file system. said: what the image says of itself. folders: what is
    mounted, read-only, by the folder in the container.
    """
    lines = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
    lines += [f"mount -t tmpfs -o mode=1777 tmpfs {root}/{name}" for name in ("work", "tmp")]
    for target, source in folders.items():
        lines.append(f"mount --bind {shlex.quote(str(source))} {root}{target}")
        lines.append(f"mount -o remount,bind,ro {root}{target}")
    lines += [f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc"]
    lines.append(f'exec chroot {root} {shlex.join(as_user(root, said))} "$@"')
    return [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-ec",
        "\n".join(lines),
        "sh",
        *command,
    ]


def as_user(root: Path, said: dict[str, Any]) -> list[str]:
    """Return the command that makes the next one run as the image says."""
    users = (line.split(":") for line in (root / "etc" / "passwd").read_text("utf-8").splitlines())
    user, group, home = next((u[2], u[3], u[5]) for u in users if u[0] == said["User"])
    identity = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
    privileges = ["--bounding-set=-all", "--inh-caps=-all"]
    environment = [f"--chdir={said['WorkingDir']}", f"HOME={home}", *said["Env"]]
    return ["setpriv", *identity, *privileges, "env", "-i", *environment]


def pip_settings() -> tuple[str, list[Path]]:
    """Return the settings of this machine's pip as one file, and the paths that they name."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = check(subprocess.run(command, **CAPTURED))
    settings: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        # The environment's (":env:.cert") come first, and win over the files' ("global.cert").
        section = "global" if section == ":env:" else section
        settings.setdefault(section, {}).setdefault(key, ast.literal_eval(value))
    file = configparser.RawConfigParser()
    file.read_dict(settings)
    text = io.StringIO()
    file.write(text)
    words = [
        word for keys in settings.values() for value in keys.values() for word in value.split()
    ]
    # An index of files links to what lies beside it.
    named = {Path(word.removeprefix("file://")).parent for word in words if "file:///" in word}
    named |= {Path(word) for word in words}
    return text.getvalue(), sorted(path for path in named if path.is_absolute() and path.exists())
