"""Renew the lock files of the generated projects, as `make lock` in each of them would.

    .venv/bin/python tools/lock.py [--upgrade]

Versions stay what they are as long as they fit; with --upgrade, the newest that fit are taken.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import COMBINATIONS, ROOT, bake


def renew(task: str, framework: str, upgrade: str) -> None:
    """Generate a project, renew its lock, and keep it under templates/locks/."""
    lock = ROOT / "templates" / "locks" / f"{framework}-{task}.lock"
    # A new combination has none, and without one nothing can be generated.
    lock.touch()
    with tempfile.TemporaryDirectory() as folder:
        project = bake(Path(folder) / "out", hooks=False, task=task, framework=framework)
        command = ["make", "--silent", "-C", str(project), "lock", f"UPGRADE={upgrade}"]
        subprocess.run([*command, f"VENV={Path(sys.prefix).resolve()}"], check=True)
        shutil.copyfile(project / "requirements.lock", lock)
    print(lock.relative_to(ROOT))


if __name__ == "__main__":
    for combination in COMBINATIONS:
        renew(*combination, upgrade=" ".join(sys.argv[1:]))
