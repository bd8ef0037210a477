"""What is generated, as it lies in tests/golden/ for people to read.

    golden/manifests/TASK-FRAMEWORK.sha256      every file of a combination, with its hash
    golden/TASK-FRAMEWORK/...                   one combination as it is generated

A change of the template that changes a project shows there, in review, as the project's owner
will see it. Tools leave these files alone: they are checked where they are generated.
"""

import hashlib
from pathlib import Path

from baking import ROOT, tree

FOLDER = ROOT / "tests" / "golden"
WHOLE = ["fraud-numpy"]
# A manifest says enough of these: nobody reads them, or they lie elsewhere (templates/locks/).
BY_HASH_ONLY = (".tar.gz", ".lock")
# They follow every change of src/, and a test of their own holds them to it.
OF_THE_LIBRARY = ("vendor/", "fraud-detection.tar.gz")


def goldens(task: str, framework: str, project: Path) -> dict[str, bytes]:
    """Return what lies in golden/ for a generated project: names there, and contents."""
    files = {n: c for n, c in tree(project).items() if not n.startswith(OF_THE_LIBRARY)}
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    kept = {f"manifests/{task}-{framework}.sha256": "".join(lines).encode()}
    if f"{task}-{framework}" in WHOLE:
        for name, content in files.items():
            if not name.endswith(BY_HASH_ONLY):
                kept[f"{task}-{framework}/{name}"] = content
    return kept
