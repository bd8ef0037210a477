"""The lock of every generated project: complete, for every platform, and without a place."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from baking import COMBINATIONS, ROOT, Project

LOCKS = ROOT / "templates" / "locks"


def test_there_is_a_lock_for_each_combination_and_no_other() -> None:
    names = sorted(path.name for path in LOCKS.iterdir())
    assert names == sorted(f"{framework}-{task}.lock" for task, framework in COMBINATIONS)


LOCK_CHECKS = "every_requirement_is_locked or not_locked_for_it or at_one_version_by_hashes"


def own_checks(folder: Path) -> str:
    """Run the checks of the lock in a project's own conformance suite; return what they say."""
    code = (
        "import pytest\n"
        "from fednkit.testing import Check, package_checks, parametrize_with_checks\n"
        "@parametrize_with_checks(package_checks())\n"
        "def test_package(check: Check) -> None:\n"
        "    check()\n"
    )
    (folder / "test_lock.py").write_text(code, "utf-8")
    command = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "test_lock.py"]
    command += ["-k", LOCK_CHECKS]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_the_projects_own_checks_find_every_requirement_locked(baked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(baked, copy)
    assert "3 passed" in own_checks(copy)


def test_the_projects_own_checks_find_what_is_not_locked(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project("fraud", "numpy"), copy)
    needs = copy / "requirements.txt"
    needs.write_text(needs.read_text("utf-8").replace("numpy==2.2.6", "numpy==2.2.5"))
    found = own_checks(copy)
    assert "requirements.txt: numpy==2.2.5: requirements.lock has ==2.2.6" in found
    assert "1 failed, 2 passed" in found


def test_every_requirement_that_a_lock_was_made_for_is_still_required(baked: Path) -> None:
    entries = re.split(r"^(?=\w)", (baked / "requirements.lock").read_text("utf-8"), flags=re.M)
    for name in ("requirements.txt", "requirements-fedn.txt"):
        needs = (baked / name).read_text("utf-8").splitlines()
        required = {re.split(r"[=\[]", line)[0].lower() for line in needs if re.match(r"\w", line)}
        made_for = {entry.split("==")[0] for entry in entries if f"-r {name}" in entry}
        assert required == made_for


def test_a_lock_says_what_it_is_and_names_no_place_it_came_from(baked: Path) -> None:
    text = (baked / "requirements.lock").read_text("utf-8")
    assert text.startswith("# All that requirements.txt and requirements-fedn.txt bring in")
    assert "# Written by `make lock`; do not edit.\n" in text
    # But for builds that no package index has: pip must be told where they are.
    built = re.findall(r"^([\w-]+)==\S+\+cpu ", text, re.MULTILINE)
    pages = [f"--find-links https://download.pytorch.org/whl/cpu/{name}/" for name in built]
    assert re.findall(r"^--.*", text, re.MULTILINE) == pages
    text = re.sub(r"(?m)^--.*", "", text)
    assert not re.search(r"https?:|file:|index|find-links|\.(org|com|io|net)\b", text)


def test_tensorflow_is_the_processors_build_on_linux_x86_64_alone(project: Project) -> None:
    lock = (project("fraud", "keras") / "requirements.lock").read_text("utf-8")
    entries = re.findall(r"^(tensorflow(?:-\w+)?==\S+ ; .*) \\$", lock, re.MULTILINE)
    assert entries == [
        "tensorflow==2.20.0 ; (platform_machine != 'x86_64' or sys_platform != 'linux')",
        "tensorflow-cpu==2.20.0 ; platform_machine == 'x86_64' and sys_platform == 'linux'",
    ]


def test_pytorch_is_the_build_without_cuda_wherever_there_is_another(project: Project) -> None:
    lock = (project("fraud", "pytorch") / "requirements.lock").read_text("utf-8")
    entries = re.findall(r"^(torch==\S+ ; .*) \\$", lock, re.MULTILINE)
    assert entries == [
        "torch==2.13.0 ; sys_platform == 'darwin'",
        "torch==2.13.0+cpu ; sys_platform != 'darwin'",
    ]
    assert not re.search(r"^(nvidia|cuda|triton)", lock, re.MULTILINE)


def test_a_lock_holds_nothing_for_another_task(project: Project) -> None:
    def names(task: str, framework: str) -> set[str]:
        lock = (project(task, framework) / "requirements.lock").read_text("utf-8")
        return set(re.findall(r"^([\w-]+)==", lock, re.MULTILINE))

    fraud, mnist = names("fraud", "numpy"), names("mnist", "numpy")
    assert fraud - mnist == {"polars", "polars-runtime-32"}
    assert mnist - fraud == set()
