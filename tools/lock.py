"""Update the lock files of the generated projects, like `make lock` in each of them.

    .venv/bin/python tools/lock.py [--upgrade]

Versions change only if the requirements exclude them; --upgrade selects the newest allowed ones.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import COMBINATIONS, ROOT, bake


def renew(task: str, framework: str, upgrade: str) -> None:
    """Generate a project, update its lock file, and copy that to templates/locks/."""
    lock = ROOT / "templates" / "locks" / f"{framework}-{task}.lock"
    # A project cannot be generated without a lock file, which a new combination lacks.
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
