"""Write what is in package and image, for tools to read: fednkit sbom.

A software bill of materials in CycloneDX 1.6 (ECMA-424, https://cyclonedx.org/docs/1.6/json): the
archive with each file in it, what requirements.lock installs, and the Python that the image starts
from. The same sources and the same environment give the same bytes: it holds no time, and its
number is made from its content.
"""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fednsite.files import write_atomically

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown
from . import archive, licenses

__all__ = ["Options", "archive_component", "base_component", "bill", "library_component", "run"]

ARCHIVE_REF, BASE_REF, IMAGE_REF = "archive", "base", "image"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit sbom`.

    Attributes:
        out: The file to write (default: the archive's name with .cdx.json).
    """

    out: Path | None = None


def run(options: Options) -> None:
    """Write the file, and say what is in it."""
    archive.check_fresh()
    libraries = licenses.locked()
    text = json.dumps(bill(libraries), indent=2, ensure_ascii=False) + "\n"
    file = options.out or current().root / f"{current().slug}.cdx.json"
    write_atomically(file, text.encode())
    print(f"{shown(file)}: the archive, {len(libraries)} libraries, the image's Python")


def bill(libraries: list[licenses.Locked]) -> dict[str, Any]:
    """Return the bill of materials of the image and of the archive in it."""
    components = [archive_component(), base_component(), *map(library_component, libraries)]
    text = (current().root / "requirements.txt").read_text("utf-8")
    direct = {match[1].lower() for match in map(licenses.PIN.match, text.splitlines()) if match}
    wanted = [one["bom-ref"] for one in components[2:] if one["name"] in direct]
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": IMAGE_REF,
                "name": current().slug,
                "version": current().release,
                "description": current().description,
                "authors": [{"name": current().author}],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": IMAGE_REF, "dependsOn": sorted(one["bom-ref"] for one in components)},
            {"ref": ARCHIVE_REF, "dependsOn": sorted(wanted)},
        ],
    }
    number = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(made, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": number.urn, **made}


def archive_component() -> dict[str, Any]:
    """Return the compute package as a component, with the files in it."""
    files = [
        {"type": "file", "name": name, "hashes": _hashes(content)}
        for name, content in archive.package_files(current().client).items()
    ]
    return {
        "type": "application",
        "bom-ref": ARCHIVE_REF,
        "name": current().archive.name,
        "version": current().release,
        "hashes": _hashes(current().archive.read_bytes()),
        "components": files,
    }


def base_component() -> dict[str, Any]:
    """Return what the image starts from, as the Dockerfile names it."""
    dockerfile = current().root / "Dockerfile"
    found = re.findall(r"(?m)^FROM ([\w./:-]+?):([\w.-]+)", dockerfile.read_text("utf-8"))
    if not found:
        raise ProjectError(f"{shown(dockerfile)}: expected a line FROM NAME:TAG, found none")
    name, tag = found[-1]
    return {
        "type": "container",
        "bom-ref": BASE_REF,
        "name": name,
        "version": tag,
        "purl": f"pkg:docker/{name}@{tag}",
    }


def library_component(one: licenses.Locked) -> dict[str, Any]:
    """Return a package of the lock file as a component."""
    # Of several files, of which a machine installs the one that is made for it.
    address = f"pkg:pypi/{one.name}@{one.version.replace('+', '%2B')}"
    hashes = [{"alg": "SHA-256", "content": digest} for digest in one.hashes]
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": one.name,
        "version": one.version,
        "purl": address,
        "externalReferences": [{"type": "distribution", "url": address, "hashes": hashes}],
    }
    if found := licenses.license_of(one.name, one.version):
        if found in licenses.IDS.values():
            made["licenses"] = [{"license": {"id": found}}]
        elif re.fullmatch(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)+", found):
            made["licenses"] = [{"expression": found}]
        else:
            made["licenses"] = [{"license": {"name": found}}]
    if one.marker:
        made["properties"] = [{"name": "marker", "value": one.marker}]
    return made


def _hashes(content: bytes) -> list[dict[str, str]]:
    """Return the hashes of a component that is one file."""
    return [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
