"""What is known of what a project ships: the bill of materials, licenses, vulnerabilities."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from baking import ROOT
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from installing import CAPTURED, Install, Installed
from vulnerabilities import Database, database

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    return installed("fraud", "numpy")


@pytest.fixture(scope="module")
def bill(project: Installed) -> dict[str, Any]:
    printed = project.fednkit("sbom")
    assert re.fullmatch(
        r"fraud-detection\.cdx\.json: the archive, \d+ libraries, the image's Python\n", printed
    )
    said: dict[str, Any] = json.loads(
        (project.folder / "fraud-detection.cdx.json").read_text("utf-8")
    )
    return said


def test_it_is_what_cyclonedx_takes_and_the_same_every_time(
    project: Installed, bill: dict[str, Any]
) -> None:
    file = project.folder / "fraud-detection.cdx.json"
    text = file.read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    project.fednkit("sbom", "--out", "again.json")
    assert (project.folder / "again.json").read_text("utf-8") == text
    refs = [one["bom-ref"] for one in bill["components"]]
    assert len(set(refs)) == len(refs)
    # The schema does not say so: what depends on something must name it.
    needs = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    assert needs.keys() == {*refs, bill["metadata"]["component"]["bom-ref"]}
    assert {ref for found in needs.values() for ref in found} == {*refs}
    assert needs["archive"] == ["pkg:pypi/numpy@2.2.6", "pkg:pypi/polars@1.44.2"]


def test_it_names_the_archive_the_python_and_every_locked_package_with_its_hashes(
    project: Installed, bill: dict[str, Any]
) -> None:
    archive, base, *libraries = bill["components"]
    content = (project.folder / "fraud-detection.tar.gz").read_bytes()
    assert archive["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
    names = [file["name"] for file in archive["components"]]
    assert {"train.py", "model/classifier.py", "fedn.yaml", "fednsite/step.py"} < set(names)
    assert base["purl"] == "pkg:docker/python@3.12-slim"
    lock = (project.folder / "requirements.lock").read_text("utf-8")
    pins = re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==([\w.+]+)", lock)
    assert sorted((one["name"], one["version"]) for one in libraries) == sorted(pins)
    hashes = [
        one["content"]
        for library in libraries
        for one in library["externalReferences"][0]["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:(\w+)", lock))
    (numpy,) = [one for one in libraries if one["name"] == "numpy"]
    assert numpy["licenses"] == [{"license": {"name": "BSD License"}}]
    (cryptography,) = [one for one in libraries if one["name"] == "cryptography"]
    assert cryptography["licenses"] == [{"expression": "Apache-2.0 OR BSD-3-Clause"}]


def test_an_archive_that_is_not_of_its_sources_gets_no_bill(project: Installed) -> None:
    archive = project.folder / "fraud-detection.tar.gz"
    before = archive.read_bytes()
    archive.write_bytes(before + b"\0")
    try:
        refused = project.attempt("sbom", "--out", "never.json")
    finally:
        archive.write_bytes(before)
    assert refused.stderr == (
        "error: fraud-detection.tar.gz is older than its sources; run: make package\n"
    )
    assert not (project.folder / "never.json").exists()


def test_every_locked_package_is_listed_with_its_license_or_named_as_unknown(
    project: Installed,
) -> None:
    *rows, last = project.fednkit("licenses").splitlines()
    table = {tuple(row.split(None, 2)[:2]): row.split(None, 2)[2] for row in rows}
    lock = (project.folder / "requirements.lock").read_text("utf-8")
    assert set(table) == set(re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==([\w.+]+)", lock))
    assert table["fedn", "0.33.0"] == "Apache-2.0"
    assert table["requests", "2.34.2"] == "Apache-2.0"
    assert last.startswith("unknown: colorama, ")
    unknown = {name for (name, _), found in table.items() if found == "unknown"}
    assert set(last.removeprefix("unknown: ").partition(";")[0].split(", ")) == unknown


@pytest.fixture
def known() -> Iterator[Database]:
    with database() as served:
        yield served


def audit(folder: Path, known: Database, *options: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = ["make", "-C", folder, "audit", known.audit, *options]
    return subprocess.run(command, env=os.environ | {"NO_PROXY": "127.0.0.1"}, **CAPTURED)


def test_the_audit_asks_for_what_is_locked_and_fails_on_what_is_vulnerable(
    project: Installed, known: Database
) -> None:
    # PyTorch's version as no database has it, which no project of another framework locks.
    lock = project.folder / "requirements.lock"
    text = lock.read_text("utf-8")
    options = f"VENV={project.venv}", f"--old-file={project.venv}/.ready"
    lock.write_text(text + f"torch==2.13.0+cpu \\\n    --hash=sha256:{'0' * 64}\n")
    try:
        passed = audit(project.folder, known, *options)
    finally:
        lock.write_text(text)
    assert passed.returncode == 0, passed.stderr
    assert "No known vulnerabilities found" in passed.stderr
    assert {("fedn", "0.33.0"), ("numpy", "2.2.6"), ("torch", "2.13.0")} < known.asked
    known.vulnerable.add("idna")
    failed = audit(project.folder, known, *options)
    assert failed.returncode != 0
    assert re.search(r"idna +\S+ +OSV-1 +999", failed.stdout)


def test_the_template_audits_the_locks_of_all_projects(
    known: Database,
) -> None:
    known.vulnerable.add("torch")
    failed = audit(ROOT, known)
    assert failed.returncode != 0
    # It is in the alphabet's last locks but two: those before are through.
    assert re.search(r"torch +2\.13\.0 +OSV-1", failed.stdout)
    assert {name for name, _ in known.asked} > {"keras", "tensorflow-cpu", "polars", "torch"}
