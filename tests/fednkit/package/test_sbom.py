"""The bill of materials: valid CycloneDX, complete, and the same bytes for the same content."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from library import write_project

from fednkit.package import archive, licenses, sbom
from fednkit.project.errors import ProjectError

NUMPY = metadata.version("numpy")
LOCK = f"""\
--find-links https://example.org/wheels
Numpy=={NUMPY} \\
    --hash=sha256:{"b" * 64} \\
    --hash=sha256:{"a" * 64}
torch[cpu]==2.13.0+cpu ; sys_platform != 'darwin' \\
    --hash=sha256:{"c" * 64}
    # via example
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = write_project(tmp_path / "project", author="Zoë")
    (root / "client").mkdir()
    (root / "client" / "fedn.yaml").write_text("entry_points: {}\n")
    (root / "requirements.txt").write_text("# Not: torch==2.13.0\nNumPy==1 # direct\n")
    (root / "requirements.lock").write_text(LOCK)
    (root / "Dockerfile").write_text("FROM example.org/base/python:3.12-slim AS build\n")
    monkeypatch.chdir(root)
    archive.build(root / "fraud-detection.tar.gz")
    return root


def bill(root: Path) -> dict[str, Any]:
    sbom.run(sbom.Options())
    text = (root / "fraud-detection.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_bytes_depend_on_the_content_alone(root: Path) -> None:
    texts = []
    for seed in ("0", "1"):
        subprocess.run(
            [sys.executable, "-m", "fednkit", "sbom", "--out", seed],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        texts.append((root / seed).read_bytes())
    assert texts[0] == texts[1]
    before = bill(root)
    assert "timestamp" not in before["metadata"]
    (root / "requirements.lock").write_text(LOCK.replace("2.13.0", "2.13.1"))
    assert bill(root)["serialNumber"] != before["serialNumber"]


def test_the_image_holds_the_archive_the_base_and_what_is_locked(root: Path) -> None:
    made = bill(root)
    package, base, numpy, torch = made["components"]
    assert made["metadata"]["component"]["authors"] == [{"name": "Zoë"}]
    assert base["purl"] == "pkg:docker/example.org/base/python@3.12-slim"
    assert {"fedn.yaml", "fednsite/step.py"} < {one["name"] for one in package["components"]}
    assert [one["content"] for one in numpy["externalReferences"][0]["hashes"]] == [
        "a" * 64,
        "b" * 64,
    ]
    assert (torch["version"], torch["purl"]) == ("2.13.0+cpu", "pkg:pypi/torch@2.13.0%2Bcpu")
    assert torch["properties"] == [{"name": "marker", "value": 'sys_platform != "darwin"'}]
    needs = {one["ref"]: one.get("dependsOn", []) for one in made["dependencies"]}
    refs = [one["bom-ref"] for one in made["components"]]
    assert needs.pop("image") == refs
    assert needs.pop("archive") == [numpy["bom-ref"]]
    assert not any(needs.values())


@pytest.mark.parametrize(
    ("license_name", "expected"),
    [
        (None, None),
        ("mit", {"license": {"id": "MIT"}}),
        ("BSD License", {"license": {"name": "BSD License"}}),
        ("MIT AND (ISC OR 0BSD)", {"expression": "MIT AND (ISC OR 0BSD)"}),
        ("MIT OR Own", {"license": {"name": "MIT OR Own"}}),
    ],
)
def test_a_license_is_an_id_an_expression_or_else_a_name(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    license_name: str | None,
    expected: dict[str, Any] | None,
) -> None:
    monkeypatch.setattr(licenses, "license_of", lambda *_: license_name)
    assert bill(root)["components"][-1].get("licenses") == (expected and [expected])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("numpy>=1", "requirements.lock: expected one version, found numpy>=1; run: make lock"),
        ("numpy", "requirements.lock: expected one version, found numpy; run: make lock"),
        ("./numpy.whl", "requirements.lock: expected NAME==VERSION, found ./numpy.whl"),
    ],
)
def test_a_lock_line_without_one_version_is_reported(root: Path, line: str, message: str) -> None:
    (root / "requirements.lock").write_text(f"{line}\n")
    with pytest.raises(ProjectError) as error:
        sbom.run(sbom.Options())
    assert str(error.value) == message


@pytest.mark.parametrize("line", ["FROM python", "FROM //:3.12", "# FROM python:3.12"])
def test_a_dockerfile_without_an_image_and_its_tag_is_reported(root: Path, line: str) -> None:
    (root / "Dockerfile").write_text(f"{line}\n")
    with pytest.raises(ProjectError, match=r"^Dockerfile: expected a line FROM NAME:TAG"):
        sbom.run(sbom.Options())
