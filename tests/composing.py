"""Resolve compose files as Compose does: anchors, .env, what must be set. Nothing is started."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml


def resolve(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Let podman-compose resolve the compose file in a folder, with these variables set."""
    return subprocess.run(
        # It asks podman for its version before it reads anything; an echo will do.
        [sys.executable, "-B", "-m", "podman_compose", "--podman-path", "/bin/echo", "config"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def services(folder: Path, **variables: str) -> dict[str, dict[str, Any]]:
    """Return what the compose file in a folder comes to, by service."""
    resolved = resolve(folder, **variables)
    assert resolved.returncode == 0, resolved.stderr
    found: dict[str, dict[str, Any]] = yaml.safe_load(resolved.stdout)["services"]
    return found


def fednkit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project, from its wheel."""
    (wheel,) = (folder / "vendor").glob("*.whl")
    code = f"import sys, runpy; sys.path.insert(0, {str(wheel)!r}); "
    code += "runpy.run_module('fednkit', run_name='__main__')"
    command = [sys.executable, "-I", "-B", "-c", code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def make_secrets(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Make the passwords that compose.yaml asks for."""
    return fednkit(folder, "secrets", *options)


def secrets_of(folder: Path) -> dict[str, str]:
    """Return what .env sets."""
    lines = (folder / ".env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def started(service: dict[str, Any], folder: Path, wrote: str) -> tuple[list[str], Any]:
    """Run how a container starts, without what it starts: return that, and the file it wrote."""
    for name in ("python", "fedn"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (folder / name).chmod(0o755)
    script = [part.replace("/tmp", str(folder)) for part in service["command"]]
    assert script != service["command"]
    printed = subprocess.run(
        [*service["entrypoint"], *script],
        env={**service["environment"], "PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return printed.split(), yaml.safe_load((folder / wrote).read_text("utf-8"))
