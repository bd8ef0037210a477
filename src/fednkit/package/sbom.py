"""Write a software bill of materials of the package and the image: fednkit sbom.

The format is CycloneDX 1.6 (ECMA-424, https://cyclonedx.org/docs/1.6/json). The file lists the
archive with its files, the packages in requirements.lock, and the image's Python base. The same
sources and environment give the same bytes: the file contains no time, and its serial number is
derived from its content.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from cyclonedx import model
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalContact
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from fednsite.files import write_atomically

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown
from ..project.requirements import read_requirements
from . import archive, licenses

__all__ = ["Options", "archive_component", "base_component", "bill", "library_component", "run"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit sbom`.

    Attributes:
        out: The file to write (default: the archive's name with .cdx.json).
    """

    out: Path | None = None


def run(options: Options) -> None:
    """Write the bill of materials, and print a summary."""
    archive.check_fresh()
    libraries = licenses.locked()
    file = options.out or current().root / f"{current().slug}.cdx.json"
    write_atomically(file, bill(libraries).encode())
    print(f"{shown(file)}: the archive, {len(libraries)} libraries, the image's Python")


def bill(libraries: list[licenses.Locked]) -> str:
    """Return the bill of materials of the image and of the archive in it, as JSON."""
    image = Component(
        type=ComponentType.CONTAINER,
        bom_ref="image",
        name=current().slug,
        version=current().release,
        description=current().description,
        authors=[OrganizationalContact(name=current().author)],
    )
    package, locked = archive_component(), list(map(library_component, libraries))
    direct = {need.name for need, _ in read_requirements(current().root / "requirements.txt")}
    bom = Bom(components=[package, base_component(), *locked], serial_number=uuid.UUID(int=0))
    bom.metadata.component = image
    bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.register_dependency(image, bom.components)
    bom.register_dependency(package, [one for one in locked if one.name in direct])
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, JsonV1Dot6(bom).output_as_string())
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def archive_component() -> Component:
    """Return the compute package as a component with its files as components."""
    members = archive.package_files(current().client)
    return Component(
        type=ComponentType.APPLICATION,
        bom_ref="archive",
        name=current().archive.name,
        version=current().release,
        hashes=[_sha256(hashlib.sha256(current().archive.read_bytes()).hexdigest())],
        components=[
            Component(
                type=ComponentType.FILE,
                bom_ref=f"archive/{name}",
                name=name,
                hashes=[_sha256(hashlib.sha256(content).hexdigest())],
            )
            for name, content in members.items()
        ],
    )


def base_component() -> Component:
    """Return the Dockerfile's base image. Raises `ProjectError`."""
    dockerfile = current().root / "Dockerfile"
    found = re.findall(r"(?m)^FROM (\w[\w./:-]*?):([\w.-]+)", dockerfile.read_text("utf-8"))
    if not found:
        raise ProjectError(f"{shown(dockerfile)}: expected a line FROM NAME:TAG, found none")
    name, tag = found[-1]
    purl = PackageURL.from_string(f"pkg:docker/{name}@{tag}")
    return Component(
        type=ComponentType.CONTAINER, bom_ref="base", name=name, version=tag, purl=purl
    )


def library_component(one: licenses.Locked) -> Component:
    """Return a package of the lock file as a component."""
    purl = PackageURL("pypi", name=one.name, version=one.version)
    # A machine installs only one of these files.
    files = model.ExternalReference(
        type=model.ExternalReferenceType.DISTRIBUTION,
        url=model.XsUri(str(purl)),
        hashes=map(_sha256, one.hashes),
    )
    license_name = licenses.license_of(one.name, one.version)
    return Component(
        bom_ref=str(purl),
        name=one.name,
        version=one.version,
        purl=purl,
        licenses=[LicenseFactory().make_from_string(license_name)] if license_name else None,
        external_references=[files],
        properties=[model.Property(name="marker", value=one.marker)] if one.marker else None,
    )


def _sha256(digest: str) -> model.HashType:
    return model.HashType(alg=model.HashAlgorithm.SHA_256, content=digest)
