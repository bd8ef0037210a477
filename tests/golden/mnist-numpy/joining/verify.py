"""Which package may run here: checked before anything of it is unpacked.

Its checksum is the invitation's, and where the initiator signs, so is its signature; its version
is none that is older than what ran here before.

A signature has minisign's format (https://jedisct1.github.io/minisign/, "Signature format"), so
that everybody can check it with another tool: minisign -Vm FILE -P KEY. It is one of Ed25519
(RFC 8032) on the file's BLAKE2b-512, and another on the first one and the trusted comment, which
says of what project the package is, and its version: slug=NAME version=TIME sha256=SUM.
"""

import base64
import binascii
import gzip
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# Ed25519 on the file's hash; the older "Ed", on the file itself, is taken from nobody.
PREHASHED = b"ED"
KEY = b"Ed"
TRUSTED = "trusted comment: "
# The time of signing, in UTC: later ones sort after earlier ones.
VERSION = re.compile("[0-9]{8}T[0-9]{6}Z")
MAX_SIZE = 10_000
# Characters of a message.
LONGEST = 2000
# Bytes that a package may unpack to: it holds sources, of up to 10 MB each.
LARGEST = 1 << 27
MOST_FILES = 10_000
# Files of root certificates that a site may name in its environment.
ROOTS = "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


class SignatureError(Exception):
    """A signature that does not hold; the message is one line without the file's name."""

    def __init__(self, message: str) -> None:
        # What it quotes may be a stranger's: nothing that moves a terminal's cursor.
        super().__init__(
            "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message[:LONGEST])
        )


def public_key(text: str) -> tuple[bytes, bytes]:
    """Return the number, 8 bytes, and the key, 32 bytes, of a public key as minisign writes it.

    text: the key itself, or the file with it. Raises `SignatureError` when it is none.
    """
    lines = text.split("\n") if len(text) < MAX_SIZE else []
    raw = decode(next((line for line in reversed(lines) if line.strip()), ""))
    if len(raw) != 42 or raw[:2] != KEY:
        raise SignatureError("expected a public key as minisign writes it, RW..., found none")
    return raw[2:10], raw[10:]


def verify(content: bytes, signature: str, key: str) -> dict[str, str]:
    """Return what the trusted comment says, by name, if the signature is of this content.

    content: the signed file. signature: the text of the .minisig file. key: the public key.
    Raises `SignatureError` that says what does not hold.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    number, point = public_key(key)
    lines = signature.split("\n") if len(signature) < MAX_SIZE else []
    if len(lines) < 4 or not lines[2].startswith(TRUSTED):
        raise SignatureError("expected a signature as minisign writes it, four lines, found none")
    first, second = decode(lines[1]), decode(lines[3])
    if len(first) != 74 or first[:2] != PREHASHED or len(second) != 64:
        raise SignatureError("expected a prehashed signature as minisign writes it, found another")
    if first[2:10] != number:
        raise SignatureError(
            f"expected the signature of the key {name_of(number)}, found that of "
            f"{name_of(first[2:10])}"
        )
    comment = lines[2].removeprefix(TRUSTED)
    try:
        verifier = Ed25519PublicKey.from_public_bytes(point)
        verifier.verify(first[10:], hashlib.blake2b(content).digest())
        verifier.verify(second, first[10:] + comment.encode("utf-8", "surrogatepass"))
    except (InvalidSignature, ValueError):
        raise SignatureError(
            f"the signature is not of this content, or not made with the key {name_of(number)}"
        ) from None
    return dict(word.split("=", 1) for word in comment.split() if "=" in word)


def name_of(number: bytes) -> str:
    """Return a key's number as minisign shows it: 16 hexadecimal digits."""
    return number[::-1].hex().upper()


def check(content: bytes, slug: str, settings: dict[str, Any], state: Path) -> dict[str, str]:
    """Return the key and the version of a package that may run here; nothing if none is asked for.

    content: the archive. slug: the project that it must be of. settings: what client.yaml says,
    with `signing_key` and `package_signature`. state: the file of `remember`. The key that was
    good once is the only one that is good from then on, and no version may follow a later one.
    Raises `SignatureError` with the reason why it must not run.
    """
    before = recall(state)
    key, signature = settings.get("signing_key"), settings.get("package_signature")
    if not key and not before:
        return {}
    if not (key and isinstance(key, str) and signature and isinstance(signature, str)):
        raise SignatureError(
            "expected signing_key and package_signature in client.yaml, found one of them or none"
        )
    key = base64.b64encode(KEY + b"".join(public_key(key))).decode()
    if before.get("key", key) != key:
        raise SignatureError(
            f"expected the key {before['key']}, which signed what ran here before, found {key}; if "
            f"the initiator confirms the new key, not by the same way, remove {state}"
        )
    said = verify(content, signature, key)
    if said.get("sha256") != hashlib.sha256(content).hexdigest():
        raise SignatureError("expected the comment to name the package's SHA-256, found another")
    if said.get("slug") != slug:
        raise SignatureError(f"expected a package of {slug}, found one of {said.get('slug')}")
    version = said.get("version", "")
    if not VERSION.fullmatch(version):
        raise SignatureError(f"expected a version such as 20261124T205013Z, found '{version}'")
    if version < before.get("version", ""):
        raise SignatureError(
            f"expected version {before['version']}, which ran here, or a later one, found "
            f"{version}; ask the initiator for the newest invitation"
        )
    return {"key": key, "version": version}


def recall(state: Path) -> dict[str, str]:
    """Return the key and the version that ran here last; nothing if none did."""
    try:
        before = json.loads(state.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError):
        before = None
    if not isinstance(before, dict) or not all(
        isinstance(before.get(name), str) for name in ("key", "version")
    ):
        # To go on as if nothing had run here would let an older version in.
        raise SignatureError(f"expected the last version in {state}, found something else")
    return before


def remember(state: Path, found: dict[str, str]) -> None:
    """Keep the key and the version of a package that runs here.

    Where that cannot be, say so: an older package will not be noticed.
    """
    temporary = None
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{state.name}.", dir=state.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(found, file)
        os.replace(temporary, state)
    except OSError as error:
        with suppress(OSError):
            Path(temporary or state.with_suffix(".none")).unlink()
        told = f"warning: {state}: {error.strerror}; an older package than this one will not be"
        print(f"{told} refused", file=sys.stderr)


def state_file(slug: str, settings: dict[str, Any]) -> Path:
    """Return where the version is kept that ran last, which outlasts an invitation."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = re.sub(r"[^\w.-]", "_", f"{slug}.{settings.get('name')}.json")
    return Path(os.environ.get("SITE_STATE") or Path(home, "fedn-sites"), name).absolute()


def unpack(archive: Path, settings: dict[str, Any], folder: Path) -> tuple[str, dict[str, str]]:
    """Unpack an archive that may run here, or exit with the reason why it must not.

    settings: what client.yaml says; empty where there is none. Returns the SHA-256, and the key and
    the version that `remember` keeps.
    """
    # The bytes and not the file, which somebody could change after it was verified.
    content = archive.read_bytes()
    own = hashlib.sha256(content).hexdigest()
    if settings.get("package_checksum") not in (None, own):
        sys.exit(
            f"error: {archive}: expected SHA-256 {settings['package_checksum']}, found {own}; "
            "ask the initiator for an image or a package of this invitation"
        )
    try:
        found = check(content, archive.stem, settings, state_file(archive.stem, settings))
    except SignatureError as error:
        sys.exit(f"error: {archive}: {error}; nothing of it was unpacked")
    unfold(archive, content, folder)
    return own, found


def unfold(package: Path, packed: bytes, folder: Path) -> None:
    """Unpack a package's plain files below a folder, or exit with why it is none.

    A link, a device or a path that leads elsewhere is refused, and so is what unfolds to more
    than `LARGEST` bytes; no more is ever held in memory.
    """
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            sys.exit(f"error: {package}: expected up to {LARGEST:,} bytes in it, found more")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as members:
            files = {}
            for number, member in enumerate(members):
                if number == MOST_FILES:
                    raise ValueError(f"more than {MOST_FILES:,} files")
                if may(member):
                    files[member.name] = member
            # Out of the archive's own bytes, each once, so that no more comes out than went in;
            # opened one by one, because each that is open holds a buffer.
            for name, member in files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                file = members.extractfile(member)
                target.write_bytes(file.read() if file else b"")
    # What gzip and tarfile raise at foreign bytes is more than their documentation tells.
    except Exception as error:
        words = ascii(" ".join(str(error).split()))[1:-1]
        sys.exit(f"error: {package}: expected a compute package, found: {words}")


def may(member: tarfile.TarInfo) -> bool:
    """Tell whether a member of an archive is a file that may be unpacked; a folder need not be."""
    if member.isdir():
        return False
    odd = {"", ".."} & set(member.name.split("/")) or set("\\:\0") & set(member.name)
    if odd or not member.isfile() or member.issparse():
        raise ValueError(f"{member.name!r}, which is no plain file below the package's folder")
    return True


def prepare(archive: Path, settings: dict[str, Any], folder: Path) -> None:
    """Unpack an archive to where `fedn client start --local-package`, run in `folder`, finds it.

    Exits with one line if it must not run here, or if the controller hands out another one.
    """
    own, found = unpack(archive, settings, folder / "client")
    if found:
        remember(state_file(archive.stem, settings), found)
    same_as_served(settings, own)


def same_as_served(settings: dict[str, Any], own: str) -> None:
    """Exit if the controller hands out another package; wait while it has none yet.

    own: the SHA-256 of what runs here. Whatever else the controller answers is left to FEDn's
    client, which tells it in its log.
    """
    import requests

    url = str(settings["api_url"])
    if "://" not in url:
        # As FEDn completes it.
        url = f"http{'' if 'localhost' in url or '127.0.0.1' in url else 's'}://{url}"
    url += f":{settings['api_port']}" if settings.get("api_port") else ""
    scheme = os.environ.get("FEDN_AUTH_SCHEME", "Bearer")
    places = url, os.environ.get("FEDN_CUSTOM_URL_PREFIX", ""), "api/v1/packages/checksum"
    told = False
    while True:
        try:
            answer = requests.get(
                "/".join(filter(None, places)),
                headers={"Authorization": f"{scheme} {settings.get('token')}"},
                verify=os.environ.get("FEDN_CONNECT_API_SECURE", "true").lower() == "true",
                timeout=10,
            )
            served = answer.json()["checksum"]
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return
        if answer.ok and served != own:
            sys.exit(
                f"error: {settings['api_url']} hands out another package than the one that you "
                f"were invited to run (SHA-256 {own}); nothing of it was run; tell the initiator"
            )
        if answer.status_code != 404:
            return
        if not told:
            print(f"{settings['api_url']} has no package yet; waiting for it", flush=True)
            told = True
        time.sleep(3)


def named_files() -> dict[str, str]:
    """Return what names a file from here, for a process that runs in another folder."""
    return {name: str(Path(os.environ[name]).resolve()) for name in ROOTS if os.environ.get(name)}


def decode(text: str) -> bytes:
    """Return the bytes of a line of base64; none if it is not."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
