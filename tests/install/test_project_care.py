"""The workflow and the hooks of a generated project, run as GitHub and git would run them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from installing import CAPTURED, Install, Installed, check
from vulnerabilities import database

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    return installed("fraud", "numpy")


@pytest.fixture(scope="module")
def environment(project: Installed) -> Iterator[dict[str, str]]:
    with database() as known:
        yield surroundings(project) | dict([known.audit.split("=", 1)])


def surroundings(project: Installed) -> dict[str, str]:
    return os.environ | {
        "VENV": str(project.venv),
        "PYTHON": sys.executable,
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_NAME": "Somebody" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
    }


def test_every_step_of_the_workflow_passes_as_generated(
    project: Installed, environment: dict[str, str]
) -> None:
    flow = yaml.safe_load((project.folder / ".github/workflows/ci.yml").read_text("utf-8"))
    commands = [step["run"] for job in flow["jobs"].values() for step in job["steps"][2:]]
    assert len(commands) == 6
    # What `make leaks` looks at.
    check(subprocess.run(["git", "init", "--quiet"], cwd=project.folder, **CAPTURED))
    check(subprocess.run(["git", "add", "--all"], cwd=project.folder, **CAPTURED))
    for command in commands:
        # The shell that GitHub takes for `run`.
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
        check(subprocess.run(shell, cwd=project.folder, env=environment, **CAPTURED))


def test_a_commit_is_checked_as_ci_checks_it_and_takes_no_secret(
    project: Installed, environment: dict[str, str]
) -> None:
    def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=project.folder, env=environment, **CAPTURED)

    check(run("git", "init", "--quiet"))
    check(run(project.python.with_name("pre-commit"), "install"))
    check(run("git", "add", "--all"))
    passed = run("git", "commit", "--message", "As generated")
    assert "style and types" in passed.stderr + passed.stdout
    assert passed.returncode == 0, passed.stderr

    (project.folder / "client" / "server.pem").touch()
    check(run("git", "add", "--force", "client/server.pem"))
    refused = run("git", "commit", "--message", "A key")
    assert refused.returncode != 0
    assert "client/server.pem looks like a secret by its name" in refused.stderr + refused.stdout
    (project.folder / "client" / "server.pem").unlink()
    check(run("git", "rm", "--quiet", "--cached", "client/server.pem"))

    (project.folder / "client" / "odd.py").write_text("import os\n")
    check(run("git", "add", "--all"))
    refused = run("git", "commit", "--message", "Without a docstring")
    assert refused.returncode != 0
    assert "F401" in refused.stderr + refused.stdout
    (project.folder / "client" / "odd.py").unlink()

    # A token outside of the package, too, in any file. It is made up.
    token = "gh" + "p_" + "0123456789abcdefghijABCDEFGHIJ012345"
    (project.folder / "notes.md").write_text(f"{token}\n")
    check(run("git", "add", "--all"))
    refused = run("git", "commit", "--message", "A token")
    assert refused.returncode != 0
    assert "GitHub Token" in refused.stderr + refused.stdout
