"""Care of the template and of the projects: workflows, hooks, what git and Docker take."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import CONTEXT, ROOT, bake, tree
from installing import CAPTURED, check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(params=["template", "project"])
def cared_for(request: pytest.FixtureRequest, project: Any) -> Path:
    """The template's folder, and a generated project's."""
    return ROOT if request.param == "template" else project("fraud", "numpy")


def workflows(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted((folder / ".github" / "workflows").iterdir())
    return {path.name: yaml.safe_load(path.read_text("utf-8")) for path in files}


def steps(folder: Path) -> list[dict[str, Any]]:
    jobs = [job for flow in workflows(folder).values() for job in flow["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


def verbs(folder: Path) -> set[str]:
    makefile = (folder / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))


def test_the_workflows_are_what_github_takes(cared_for: Path) -> None:
    validate: list[str | Path] = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    flows = sorted((cared_for / ".github" / "workflows").iterdir())
    check(subprocess.run([*validate, "vendor.github-workflows", *flows], **CAPTURED))
    dependabot = cared_for / ".github" / "dependabot.yml"
    check(subprocess.run([*validate, "vendor.dependabot", dependabot], **CAPTURED))


def test_the_workflows_pass_an_audit_of_their_security(cared_for: Path) -> None:
    """Least rights, actions by commit, no answer of a stranger in a shell; without a network."""
    audit = str(Path(sys.executable).with_name("zizmor"))
    options = "--offline", "--persona", "pedantic"
    check(subprocess.run([audit, *options, cared_for / ".github"], **CAPTURED))


def test_every_action_has_one_commit_and_says_its_version(project: Any) -> None:
    found: dict[str, set[str]] = {}
    for folder in (ROOT, project("fraud", "numpy")):
        for path in (folder / ".github" / "workflows").iterdir():
            for line in path.read_text("utf-8").splitlines():
                if "uses:" in line:
                    used = re.fullmatch(r" +- uses: (\S+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
                    assert used, line
                    found.setdefault(used[1], set()).add(used[2])
    assert sorted(found) == ["actions/checkout", "actions/setup-python"]
    assert all(len(commits) == 1 for commits in found.values()), found


def test_the_projects_workflow_runs_verbs_of_its_makefile_and_nothing_else(project: Any) -> None:
    folder = project("fraud", "numpy")
    commands = [step["run"] for step in steps(folder) if "run" in step]
    assert commands == [
        *("make setup", "make lint", "make test", "make leaks", "make audit"),
        "make reproduce",
    ]
    assert {command.removeprefix("make ") for command in commands} <= verbs(folder)


def test_every_verb_and_file_that_a_workflow_or_a_hook_names_is_there(cared_for: Path) -> None:
    hooks = yaml.safe_load((cared_for / ".pre-commit-config.yaml").read_text("utf-8"))
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    entries += [step["run"] for step in steps(cared_for) if "run" in step]
    named = r"(?<=-r )[^\"\s]+|(?<=-r \")[^\"]+|(?:\btests|\btools|\.ci)/\S+"
    for path in {path for entry in entries for path in re.findall(named, entry)}:
        assert (cared_for / path).exists(), path
    called = {verb for entry in entries for verb in re.findall(r"make ([a-z-]+)", entry)}
    assert called
    assert called <= verbs(cared_for)


def test_the_hooks_name_no_version_of_a_tool(cared_for: Path) -> None:
    """They run what requirements-dev.txt pins, so that there is no second pin to drift."""
    config = cared_for / ".pre-commit-config.yaml"
    command: list[str | Path] = [sys.executable, "-m", "pre_commit", "validate-config", config]
    check(subprocess.run(command, **CAPTURED))
    for repo in yaml.safe_load(config.read_text("utf-8"))["repos"]:
        assert repo["repo"] == "local"
        assert all(hook["language"] == "system" for hook in repo["hooks"])


def test_the_supported_pythons_are_the_same_everywhere(project: Any) -> None:
    folder = project("fraud", "numpy")
    pythons = CONTEXT["_python_versions"]
    for place in (ROOT, folder):
        for name, flow in workflows(place).items():
            for job in flow["jobs"].values():
                matrix = job.get("strategy", {}).get("matrix", {})
                assert matrix.get("python", pythons[::-1]) == pythons[::-1], name
    reproduced = workflows(folder)["ci.yml"]["jobs"]["archive"]["steps"][1]["with"]
    assert reproduced["python-version"].split() == pythons[::-1]
    makefile = (folder / "Makefile").read_text("utf-8")
    assert f"VERSIONS := {' '.join(pythons)}\n" in makefile
    settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["tool"]
    assert settings["mypy"]["python_version"] == pythons[-1]
    assert settings["ruff"]["target-version"] == f"py{pythons[-1].replace('.', '')}"
    newest = [int(part) for part in pythons[0].split(".")]
    beyond = f"{newest[0]}.{newest[1] + 1}"
    assert settings["uv"]["environments"] == [f"python_version < '{beyond}'"]
    suite = ROOT / "src" / "fednkit" / "testing" / "_project.py"
    assert f"PYTHONS = {', '.join(map(json.dumps, pythons[::-1]))}\n" in suite.read_text("utf-8")


KEPT_OUT = """
data/site-1/transactions.csv runs/one/model.npz invitations/bank-a/client.yaml patients.csv
client/patients.parquet seed.npz client/model.npz fraud-detection.tar.gz .env .env.local server.pem
client/server.key client.p12 client.pfx .venv/bin/python client/__pycache__/x.pyc .mypy_cache/x
""".split()


@pytest.mark.parametrize("task", CONTEXT["task"])
def test_git_takes_all_that_was_generated_and_neither_data_nor_secrets(
    project: Any, tmp_path: Path, task: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project(task, "numpy"), copy)
    generated = set(tree(copy)) - {"fraud-detection.tar.gz"}
    for name in KEPT_OUT:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"secret")
    check(subprocess.run(["git", "init", "--quiet"], cwd=copy, **CAPTURED))
    check(subprocess.run(["git", "add", "--all"], cwd=copy, **CAPTURED))
    added = check(subprocess.run(["git", "ls-files"], cwd=copy, **CAPTURED)).splitlines()
    assert set(added) == generated


def test_the_image_gets_nothing_but_what_the_dockerfile_copies(baked: Path) -> None:
    lines = (baked / ".dockerignore").read_text("utf-8").splitlines()
    nothing, *allowed = [line for line in lines if not line.startswith("#")]
    assert nothing == "*"
    dockerfile = (baked / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^(?:COPY|ADD) (?!--from)(.*) \S+$", dockerfile, re.MULTILINE)
    assert sorted(allowed) == sorted(f"!{name}" for names in copied for name in names.split())


def test_editors_break_lines_where_the_linter_does(project: Any) -> None:
    rules = (ROOT / ".editorconfig").read_text("utf-8")
    for folder in (ROOT, project("fraud", "numpy")):
        settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]
        assert f"max_line_length = {settings['line-length']}\n" in rules


def test_every_file_has_the_same_line_ends_and_no_blanks_at_them(baked: Path) -> None:
    for name, content in tree(baked).items():
        if name.endswith((".whl", ".tar.gz")):
            continue
        text = content.decode("utf-8")
        assert name.endswith(".md") or not re.search(r"[ \t]$", text, re.MULTILINE), name
        assert name == "Makefile" or "\t" not in text, name
        assert "\r" not in text, name


@pytest.mark.parametrize("line_ends", ["true", "input", "false"])
def test_a_checkout_has_the_same_bytes_whatever_git_does_with_line_ends(
    project: Any, tmp_path: Path, line_ends: str
) -> None:
    original = project("mnist", "numpy")
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    git = ["git", "-c", f"core.autocrlf={line_ends}", "-c", "core.eol=crlf"]
    git += ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for command in ("init --quiet", "add --all", "commit --quiet --message All"):
        check(subprocess.run([*git, *command.split()], cwd=copy, **CAPTURED))
    clone = tmp_path / "clone"
    check(subprocess.run([*git, "clone", "--quiet", copy, clone], **CAPTURED))
    expected = tree(original)
    del expected["fraud-detection.tar.gz"]
    assert {
        name: content for name, content in tree(clone).items() if not name.startswith(".git/")
    } == expected


needs_make = pytest.mark.skipif(
    shutil.which("make") is None, reason="there is no make on this machine"
)


def reproduced(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-s", "-C", str(folder), "reproduce", f"PYTHON={sys.executable}"]
    return subprocess.run(command, env=os.environ | environment, **CAPTURED)


@needs_make
def test_the_archive_is_the_same_from_every_python_here(tmp_path: Path) -> None:
    printed = check(reproduced(bake(tmp_path / "my projects")))
    checksums = [line.split()[0] for line in printed.splitlines()]
    assert re.fullmatch(r"[0-9a-f]{64}", checksums[0])
    assert len(checksums) >= 2
    assert len(set(checksums)) == 1


@needs_make
def test_an_archive_that_is_another_elsewhere_is_told(tmp_path: Path) -> None:
    project = bake(tmp_path / "out")
    odd = tmp_path / "python3.12"
    odd.write_text(f'#!/bin/sh\n"{sys.executable}" "$@" | sed "s/SHA-256 ./SHA-256 x/"\n')
    odd.chmod(0o755)
    result = reproduced(project, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert "error: expected one checksum from all, found two, see above\n" in result.stderr
    assert result.returncode != 0


@needs_make
def test_a_package_that_must_not_ship_is_not_reproduced_either(tmp_path: Path) -> None:
    project = bake(tmp_path / "out")
    (project / "client" / "server.pem").touch()
    result = reproduced(project)
    assert "error: refused to package: client/server.pem looks like a secret" in result.stderr
    assert (result.returncode, result.stdout) == (2, "")


def test_the_guide_to_a_new_task_names_what_every_task_has() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Add a task")[1]
    rows = re.findall(r"^ +\| (`.+`) \| (.*) \|$", guide, re.MULTILINE)
    told = {name: words for names, words in rows for name in re.findall(r"`(.+?)`", names)}
    for task in CONTEXT["task"]:
        folder = ROOT / "templates" / "tasks" / task
        assert sorted(told) == sorted(path.name for path in folder.iterdir()), task
        for name in ("data.py", "metrics.py"):
            source = (folder / name).read_text("utf-8")
            for function, arguments in re.findall(r"`(\w+)\((.*?)\)`", told[name]):
                defined = re.search(rf"^def {function}\((.*?)\) ->", source, re.MULTILINE)
                assert defined, (task, name, function)
                assert defined[1].count(":") == len(arguments.split()), (task, name, function)
            for constant in re.findall(r"`([A-Z_]+)`", told[name]):
                assert re.search(rf"^{constant}(:.*)? = ", source, re.MULTILINE), constant


@pytest.mark.xdist_group("together")
def test_groups_of_tests_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """Some versions of pytest and xdist split them, and say nothing."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@together")
