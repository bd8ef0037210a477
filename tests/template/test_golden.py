"""What is generated is what lies in tests/golden/, so that every change of it is seen in review."""

import difflib
import subprocess

import pytest
from baking import COMBINATIONS, ROOT, Project, tree
from goldens import FOLDER, WHOLE, goldens


def difference(golden: dict[str, bytes], generated: dict[str, bytes]) -> str:
    """Return a unified diff from what lies in golden/ to what is generated; empty if equal."""
    lines: list[str] = []
    for name in sorted(golden | generated):
        before, after = (
            files.get(name, b"").decode("utf-8", "backslashreplace").splitlines(keepends=True)
            for files in (golden, generated)
        )
        was = f"tests/golden/{name}" if name in golden else "/dev/null"
        now = f"generated/{name}" if name in generated else "/dev/null"
        if (name in golden) != (name in generated) and before == after:
            lines += [f"--- {was}\n", f"+++ {now}\n"]
        lines += difflib.unified_diff(before, after, was, now)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def golden_files(combination: str) -> dict[str, bytes]:
    """Return what lies in golden/ for a combination."""
    manifest = f"manifests/{combination}.sha256"
    kept = {f"{combination}/{name}": text for name, text in tree(FOLDER / combination).items()}
    if (FOLDER / manifest).exists():
        kept[manifest] = (FOLDER / manifest).read_bytes()
    return kept


@pytest.mark.parametrize(("task", "framework"), COMBINATIONS)
def test_what_is_generated_lies_in_golden(project: Project, task: str, framework: str) -> None:
    generated = goldens(task, framework, project(task, framework))
    changed = difference(golden_files(f"{task}-{framework}"), generated)
    if changed:
        pytest.fail(f"{changed}\nIf that is meant, run: make golden", pytrace=False)


def test_golden_holds_these_combinations_and_no_other() -> None:
    combinations = ["-".join(combination) for combination in COMBINATIONS]
    manifests = [f"{combination}.sha256" for combination in combinations]
    assert sorted(path.name for path in (FOLDER / "manifests").iterdir()) == sorted(manifests)
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted([*WHOLE, "manifests"])
    assert set(WHOLE) <= set(combinations)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone of the repository")
def test_git_leaves_no_golden_file_out() -> None:
    # The projects' own .gitignore holds in there, too.
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", str(FOLDER)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == ""


def test_a_difference_reads_like_one_in_review() -> None:
    golden = {"same": b"1\n", "gone/": b"", "text": b"one\ntwo\n"}
    generated = {"same": b"1\n", "text": b"one\n2", "new": b"n\n"}
    assert difference(golden, generated).splitlines() == [
        "--- tests/golden/gone/",
        "+++ /dev/null",
        "--- /dev/null",
        "+++ generated/new",
        "@@ -0,0 +1 @@",
        "+n",
        "--- tests/golden/text",
        "+++ generated/text",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+2",
    ]
