"""Sign packages, so that sites run only those of the initiator: fednkit key.

Keys and signatures have minisign's format: `minisign -Vm FILE -p signing.pub` verifies a signature,
and `minisign -S` creates one. Sites verify it with `fednkit.joining`.
"""

import base64
import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import blake2b, sha256
from pathlib import Path

from ..joining import signature as minisign
from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = [
    "Options",
    "comment",
    "comment_of",
    "encoded",
    "number_and_point",
    "public_file",
    "run",
    "secret_file",
    "sign_archive",
    "signature",
    "signature_file",
    "signed",
    "write",
]

# The algorithms Ed25519, no encryption, BLAKE2b checksum; then unused parameters for a password.
PLAIN = b"Ed" + b"\0\0" + b"B2" + bytes(32 + 8 + 8)
TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit key`.

    Attributes:
        out: The file for the secret key (default: a new file below ~/.config).
    """

    out: Path | None = None


def run(options: Options) -> None:
    """Create a pair of keys, and print their paths."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if public_file().exists():
        raise ProjectError(
            f"{shown(public_file())} already exists, and sites accept only packages signed with "
            "its key; for a new key, remove this file and inform every site"
        )
    private, number = Ed25519PrivateKey.generate(), secrets.token_bytes(8)
    seed, point = private.private_bytes_raw(), private.public_key().public_bytes_raw()
    name = number[::-1].hex().upper()
    file = (options.out or secret_file(name)).absolute()
    if file.exists():
        raise ProjectError(f"{file} already exists; name another file with --out")
    if current().root in file.resolve().parents:
        raise ProjectError(f"{file}: expected a file outside the project, which you share")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    raw = PLAIN + number + seed + point + bytes(32)
    write(file, f"untrusted comment: minisign secret key {name}\n{encoded(raw)}\n")
    public = f"untrusted comment: minisign public key {name}\n{encoded(b'Ed' + number + point)}\n"
    write(public_file(), public, mode=0o644)
    print(f"public key: {shown(public_file())}, {public.splitlines()[1]}")
    print(f"secret key: {file}; keep a copy in a place that only you can access")
    print("from now on, make package signs, and sites run only signed packages and no older ones")


def sign_archive(key: Path | None = None) -> Path | None:
    """Sign the archive if the project has a key; return the signature's path.

    A valid signature is kept, so that the same package keeps its version. An invalid one is
    deleted, even if the secret key is missing.

    Args:
        key: The file of the secret key. Default: the one from `fednkit key`.

    Returns:
        The path; None if the project has no key, or if the secret key is missing.

    Raises:
        ProjectError: `key` is given without a public key in the project, or a key is invalid.
    """
    file = signature_file()
    if not public_file().exists():
        if key:
            raise ProjectError(f"--key: there is no {shown(public_file())}; run: fednkit key")
        return None
    public = public_file().read_text("utf-8")
    content = current().archive.read_bytes()
    before: dict[str, str] = {}
    if file.exists():
        before = comment_of(file.read_text("utf-8"))
        try:
            minisign.verify(content, file.read_text("utf-8"), public)
        except minisign.SignatureError:
            file.unlink()
        else:
            return file
    number, point = number_and_point(public)
    secret = key or secret_file(minisign.name_of(number))
    if not secret.exists():
        print(f"not signed: the secret key is not in {secret}; use another file: --key FILE")
        return None
    write(file, signature(content, secret, point, before.get("version", "")), mode=0o644)
    return file


def signature(content: bytes, secret: Path, point: bytes, before: str = "") -> str:
    """Return the text of a .minisig file for an archive.

    Args:
        content: The archive's bytes.
        secret: The file of the secret key.
        point: The public key that the secret key must match, 32 bytes.
        before: The previous version; the new one is later.

    Raises:
        ProjectError: The secret key is invalid, needs a password, or does not match.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = minisign.decode(secret.read_text("utf-8").partition("\n")[2].partition("\n")[0])
    if len(raw) != 158 or not raw.startswith(b"Ed"):
        raise ProjectError(f"{secret}: expected a secret key of minisign, found something else")
    if not raw.startswith(PLAIN[:4]):
        raise ProjectError(
            f"{secret}: it needs a password; sign by hand: minisign -S -s {secret} -m "
            f"{current().archive.name} -t '{comment(content, before)}'"
        )
    number, seed, own = raw[54:62], raw[62:94], raw[94:126]
    if own != point:
        raise ProjectError(f"{secret}: it is not the secret key of {shown(public_file())}")
    private = Ed25519PrivateKey.from_private_bytes(seed)
    first = private.sign(blake2b(content).digest())
    trusted = comment(content, before)
    second = private.sign(first + trusted.encode())
    return (
        f"untrusted comment: signature of {current().archive.name}\n"
        f"{encoded(minisign.PREHASHED + number + first)}\n"
        f"{minisign.TRUSTED}{trusted}\n{encoded(second)}\n"
    )


def comment(content: bytes, before: str) -> str:
    """Return the comment signed with an archive: the project, the version and the SHA-256.

    The version is the time in UTC, and always later than the previous one.

    Args:
        content: The archive's bytes.
        before: The previous version; empty if there is none.
    """
    now = datetime.now(timezone.utc).strftime(TIME)
    if before >= now:
        now = (datetime.strptime(before, TIME) + timedelta(seconds=1)).strftime(TIME)
    return f"slug={current().slug} version={now} sha256={sha256(content).hexdigest()}"


def comment_of(signature: str) -> dict[str, str]:
    """Return the entries of an unverified signature's comment; empty if it has no valid version."""
    line = (f"{signature}\n\n\n").split("\n")[2].removeprefix(minisign.TRUSTED)
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    return words if minisign.VERSION.fullmatch(words.get("version", "")) else {}


def signed() -> tuple[str, str] | None:
    """Return the public key and the archive's signature; None if the project has no key.

    Raises `ProjectError` if the project has a key but the archive no valid signature.
    """
    if not public_file().exists():
        return None
    file, public = signature_file(), public_file().read_text("utf-8")
    number, point = number_and_point(public)
    if not file.exists():
        raise ProjectError(
            f"{shown(current().archive)} is not signed, as {shown(public_file())} requires; run: "
            "make package, on the machine with the secret key"
        )
    text = file.read_text("utf-8")
    try:
        said = minisign.verify(current().archive.read_bytes(), text, public)
    except minisign.SignatureError as error:
        raise ProjectError(f"{shown(file)}: {error}; run: make package") from None
    if (said.get("slug"), bool(said.get("version"))) != (current().slug, True):
        expected = comment(current().archive.read_bytes(), "")
        raise ProjectError(
            f"{shown(file)}: expected the comment '{expected}', found another; remove it, and run: "
            "make package"
        )
    return encoded(b"Ed" + number + point), text


def number_and_point(public: str) -> tuple[bytes, bytes]:
    """Return a public key's number and its curve point, 8 and 32 bytes. Raises `ProjectError`."""
    try:
        return minisign.public_key(public)
    except minisign.SignatureError as error:
        raise ProjectError(f"{shown(public_file())}: {error}") from None


def public_file() -> Path:
    """Return the path of the public key, which belongs into git."""
    return current().root / "signing.pub"


def signature_file() -> Path:
    """Return the path of the archive's signature, where the minisign tool expects it."""
    return current().archive.with_name(f"{current().archive.name}.minisig")


def secret_file(name: str) -> Path:
    """Return the default path of a secret key, outside the project."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / current().slug / f"{name}.key"


def encoded(content: bytes) -> str:
    """Return bytes as a line of base64."""
    return base64.b64encode(content).decode()


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file atomically; it never has a more permissive mode than `mode`."""
    # mkstemp creates the file with mode 0600.
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
