"""Update tests/golden/ after a change to the generated projects.

.venv/bin/python tools/golden.py
"""

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import COMBINATIONS, bake
from goldens import FOLDER, goldens

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # Generate everything before replacing anything.
        fresh: dict[str, bytes] = {}
        for task, framework in COMBINATIONS:
            output = Path(folder) / f"{task}-{framework}"
            project = bake(output, hooks=False, task=task, framework=framework)
            fresh |= goldens(task, framework, project)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, content in fresh.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{len(fresh)} files in tests/golden/; see what changed with: git diff tests/golden")
