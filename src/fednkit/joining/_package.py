"""Verify a compute package before unpacking it at a site.

Its checksum must be the one in the invitation. If the initiator signs packages, the signature must
be valid and the version must not be older than the last one that ran here.
"""

import gzip
import hashlib
import io
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from ._signed_package import check_signature, state_file, write_state
from .signature import SignatureError

# A package contains source files of up to 10 MB each.
MAX_UNPACKED_BYTES = 1 << 27
MAX_ARCHIVE_MEMBERS = 10_000
REQUEST_TIMEOUT_SECONDS = 10
POLL_INTERVAL_SECONDS = 3


def prepare(archive: Path, settings: dict[str, Any], folder: Path) -> None:
    """Unpack an archive for `fedn client start --local-package`, to be run in `folder`.

    Exits with one line if the package must not run here or differs from the controller's.
    """
    digest, signed = unpack(archive, settings, folder / "client")
    if signed:
        write_state(state_file(archive.stem, settings), signed)
    check_served_package(settings, digest)


def unpack(archive: Path, settings: dict[str, Any], folder: Path) -> tuple[str, dict[str, str]]:
    """Unpack an archive, or exit with the reason why it must not run here.

    Args:
        archive: The archive; its file name without suffix is the project's slug.
        settings: The content of client.yaml; empty if the file is missing.
        folder: The target folder.

    Returns:
        The archive's SHA-256 in hex, and the key and version for `write_state`.
    """
    # Use only these bytes from here on: the file could change after it was verified.
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if settings.get("package_checksum") not in (None, digest):
        sys.exit(
            f"error: {archive}: expected SHA-256 {settings['package_checksum']}, found {digest}; "
            "ask the initiator for an image or a package of this invitation"
        )
    try:
        state = state_file(archive.stem, settings)
        signed = check_signature(content, archive.stem, settings, state)
    except SignatureError as error:
        sys.exit(f"error: {archive}: {error}; nothing of it was unpacked")
    extract(archive, content, folder)
    return digest, signed


def extract(archive: Path, content: bytes, folder: Path) -> None:
    """Extract an archive's regular files below a folder, or exit with one line if it is invalid.

    Links, devices and paths outside the folder are rejected, and so are archives that unpack to
    more than `MAX_UNPACKED_BYTES`, which is also the limit of the memory used.

    Args:
        archive: The archive's path, for messages.
        content: The archive's bytes, a gzipped tar.
        folder: The target folder.
    """
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            unpacked = stream.read(MAX_UNPACKED_BYTES + 1)
        if len(unpacked) > MAX_UNPACKED_BYTES:
            sys.exit(
                f"error: {archive}: expected up to {MAX_UNPACKED_BYTES:,} bytes in it, found more"
            )
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as members:
            files = {}
            for number, member in enumerate(members):
                if number == MAX_ARCHIVE_MEMBERS:
                    raise ValueError(f"more than {MAX_ARCHIVE_MEMBERS:,} files")
                if is_plain_file(member):
                    files[member.name] = member
            # Duplicate names are extracted once, so that no more is written than was read. Files
            # are opened one by one, because each open one holds a buffer.
            for name, member in files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                file = members.extractfile(member)
                target.write_bytes(file.read() if file else b"")
    # On malformed input, gzip and tarfile raise undocumented exceptions.
    except Exception as error:
        words = ascii(" ".join(str(error).split()))[1:-1]
        sys.exit(f"error: {archive}: expected a compute package, found: {words}")


def is_plain_file(member: tarfile.TarInfo) -> bool:
    """Return whether a member of an archive is a file to extract; folders are not.

    Raises:
        ValueError: It is neither a folder nor a regular file below the package's folder.
    """
    if member.isdir():
        return False
    odd = {"", ".."} & set(member.name.split("/")) or set("\\:\0") & set(member.name)
    if odd or not member.isfile() or member.issparse():
        raise ValueError(f"{member.name!r}, which is not a regular file in the package's folder")
    return True


def check_served_package(settings: dict[str, Any], digest: str) -> None:
    """Exit if the controller serves another package; wait while it has none yet.

    FEDn's client handles and logs any other response of the controller.

    Args:
        settings: The content of client.yaml.
        digest: The SHA-256 in hex of the package that runs here.
    """
    import requests

    url = _checksum_url(settings)
    scheme = os.environ.get("FEDN_AUTH_SCHEME", "Bearer")
    reported = False
    while True:
        try:
            answer = requests.get(
                url,
                headers={"Authorization": f"{scheme} {settings.get('token')}"},
                verify=os.environ.get("FEDN_CONNECT_API_SECURE", "true").lower() == "true",
                timeout=REQUEST_TIMEOUT_SECONDS,
            )
            served = answer.json()["checksum"]
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return
        if answer.ok and served != digest:
            sys.exit(
                f"error: {settings['api_url']} serves another package than the one that you were "
                f"invited to run (SHA-256 {digest}); nothing of it was run; tell the initiator"
            )
        if answer.status_code != 404:
            return
        if not reported:
            print(f"{settings['api_url']} has no package yet; waiting for it", flush=True)
            reported = True
        time.sleep(POLL_INTERVAL_SECONDS)


def _checksum_url(settings: dict[str, Any]) -> str:
    """Return the URL of the package's checksum, built as FEDn builds its URLs."""
    url = str(settings["api_url"])
    if "://" not in url:
        url = f"http{'' if 'localhost' in url or '127.0.0.1' in url else 's'}://{url}"
    url += f":{settings['api_port']}" if settings.get("api_port") else ""
    prefix = os.environ.get("FEDN_CUSTOM_URL_PREFIX", "")
    return "/".join(filter(None, (url, prefix, "api/v1/packages/checksum")))
