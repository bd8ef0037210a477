"""What the READMEs say is what happens: their commands, their worked examples, their picture."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from baking import ROOT
from installing import CAPTURED, PAIRS, Install, check
from picture import WIDTH, text_of

pytestmark = pytest.mark.install

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(readme: Path, language: str = "") -> list[str]:
    """Return the fenced blocks of a language, in order; without one, those of commands and text."""
    found = BLOCK.findall(readme.read_text("utf-8"))
    return [text for name, text in found if name == language]


def commands(readme: Path) -> list[str]:
    """Return the commands of all blocks, without what is explained after a #."""
    lines = [line for block in blocks(readme) for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("  #")[0].split("&&")]
    return [part for part in parts if re.match(r"(make|fednkit) [\w-]", part)]


def words_of(command: str) -> set[str]:
    """Return the verbs that a make command asks for; none for other commands."""
    words = command.split()
    return {word for word in words[1:] if "=" not in word} if words[0] == "make" else set()


def make_verbs(folder: Path) -> set[str]:
    text = (folder / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("task", "framework"),
    [pytest.param(*one, marks=[] if one[1] == "numpy" else pytest.mark.slow) for one in PAIRS],
)
def test_the_worked_examples_apply_and_leave_a_project_that_passes(
    installed: Install, task: str, framework: str
) -> None:
    project = installed(task, framework)
    changes = blocks(project.folder / "README.md", "diff")
    # A network, a metric, and a feature.
    assert len(changes) == 3
    for change in changes:
        command = ["git", "apply", "-"]
        check(subprocess.run(command, cwd=project.folder, input=change, **CAPTURED))
    project.make("seed", "lint")
    # The checks of a package run in test_projects.py; the examples change a classifier.
    options = "" if framework == "numpy" else "-k 'not test_package'"
    assert " passed" in project.shell(f"'{project.python}' -m pytest {options}")


def test_a_real_table_is_trained_over_the_network_by_the_readmes_commands(
    installed: Install, tmp_path: Path
) -> None:
    """Wolberg's breast cancer data (Wisconsin, diagnostic), which scikit-learn brings along."""
    project = installed("fraud", "numpy")
    table = tmp_path / "breast_cancer.csv"
    code = (
        "import csv, sys; from sklearn.datasets import load_breast_cancer; "
        "cancer = load_breast_cancer(); out = csv.writer(open(sys.argv[1], 'w', newline='')); "
        "out.writerow([*cancer.feature_names, 'diagnosis']); "
        "rows = zip(cancer.data, cancer.target_names[cancer.target]); "
        "out.writerows([*numbers, name] for numbers, name in rows)"
    )
    # With the Python of these tests, because the project has no scikit-learn.
    command: list[str | Path] = [sys.executable, "-c", code, table]
    check(subprocess.run(command, **CAPTURED))
    own = (project.folder / "README.md").read_text("utf-8").split("### Your ")[1]
    steps = [line for line in own.splitlines() if line.startswith(("fednkit ", "make "))]
    assert len(steps) == 3
    for step in steps:
        project.shell(
            step.replace("fednkit", f"'{project.venv}/bin/fednkit'", 1)
            .replace("patients.csv", f"'{table}'")
            .replace("--label ill", "--label diagnosis")
            .replace("make", f"make VENV='{project.venv}'")
        )
    record = json.loads((project.run_folder() / "metrics.json").read_text("utf-8"))
    last = record["rounds"][-1]
    assert (last["number"], last["updates"]) == (3, 3)
    # 0.37 by chance: the share of malignant tumours.
    assert all(site["average_precision"] > 0.9 for site in last["sites"].values())


def test_every_command_of_the_readmes_and_the_guide_is_one_that_there_is(
    installed: Install,
) -> None:
    project = installed("fraud", "numpy")
    pages = sorted((ROOT / "src" / "fednkit" / "docs").glob("*.md"))
    assert len(pages) > 5
    own = commands(ROOT / "README.md")
    generated = [
        command for page in (project.folder / "README.md", *pages) for command in commands(page)
    ]
    assert len(generated) > 25
    verbs = {"own": make_verbs(ROOT), "generated": make_verbs(project.folder)}
    for command in generated:
        assert words_of(command) <= verbs["generated"], command
    for command in own:
        assert words_of(command) <= verbs["own"] or words_of(command) <= verbs["generated"], command
    # Parsed by the very options that the command declares; nothing runs.
    code = (
        "import shlex, sys; from fednkit.cli._app import build\n"
        "app = build()\n"
        "for line in sys.argv[1:]:\n"
        "    app.parse_args(shlex.split(line)[1:], exit_on_error=False)\n"
    )
    lines = [line for line in generated + own if line.startswith("fednkit ")]
    assert len(lines) > 15
    project.run_code(code, *lines)


def test_the_picture_shows_what_is_printed(
    installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    lines = text_of((ROOT / "docs" / "first-day.svg").read_text("utf-8"))
    shown = lines[lines.index("$ make setup network") :]
    assert shown.pop(1).startswith("installing into .venv")
    project = installed("fraud", "numpy")
    printed = project.shell(f"make --no-print-directory VENV='{project.venv}' network")
    printed = printed.replace(str(project.venv), ".venv")
    assert [masked(line) for line in shown[1:]] == [masked(line) for line in printed.splitlines()]


def masked(line: str) -> str:
    """Return a line with the figures that differ between runs and machines put out."""
    line = re.sub(r"SHA-256 [0-9a-f]{64}", "SHA-256", line)
    return re.sub(r"[ \u2500-\u257f]+", " ", re.sub(r"\d[\d,.]*", "0", line)).strip()
