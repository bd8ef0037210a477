"""Verification of minisign signatures.

The format is minisign's (https://jedisct1.github.io/minisign/, "Signature format"), so that
anybody can check a package with another tool: minisign -Vm FILE -P KEY. A signature is one of
Ed25519 (RFC 8032) on the file's BLAKE2b-512, and a second one on the first and the trusted comment,
which names the project of the package and its version: slug=NAME version=TIME sha256=SUM.
"""

import base64
import binascii
import hashlib
import re

__all__ = [
    "KEY_ALGORITHM",
    "PREHASHED",
    "TRUSTED",
    "VERSION",
    "SignatureError",
    "decode",
    "name_of",
    "public_key",
    "verify",
]

# Ed25519 on the file's hash. The older "Ed", on the file itself, is not accepted.
PREHASHED = b"ED"
# What a public key begins with.
KEY_ALGORITHM = b"Ed"
TRUSTED = "trusted comment: "
# The time of signing, in UTC: later ones sort after earlier ones.
VERSION = re.compile("[0-9]{8}T[0-9]{6}Z")
# Of the text of a public key or a signature.
MAX_TEXT_CHARACTERS = 10_000
MAX_MESSAGE_CHARACTERS = 2000


class SignatureError(Exception):
    """A signature that is not valid; the message is one line without the file's name."""

    def __init__(self, message: str) -> None:
        # It may quote a stranger's text: print nothing that moves a terminal's cursor.
        super().__init__(
            "".join(
                c if c.isprintable() else ascii(c)[1:-1] for c in message[:MAX_MESSAGE_CHARACTERS]
            )
        )


def public_key(text: str) -> tuple[bytes, bytes]:
    """Return the number, 8 bytes, and the point, 32 bytes, of a public key as minisign writes it.

    Args:
        text: The key itself, or the content of the file with it.

    Raises:
        SignatureError: The text holds no public key.
    """
    lines = text.split("\n") if len(text) < MAX_TEXT_CHARACTERS else []
    raw = decode(next((line for line in reversed(lines) if line.strip()), ""))
    if len(raw) != 42 or raw[:2] != KEY_ALGORITHM:
        raise SignatureError("expected a public key as minisign writes it, RW..., found none")
    return raw[2:10], raw[10:]


def verify(content: bytes, signature: str, key: str) -> dict[str, str]:
    """Verify a signature; return the names and values in its trusted comment.

    Args:
        content: The content of the signed file.
        signature: The text of the .minisig file.
        key: The public key.

    Raises:
        SignatureError: The signature is not one of this content by this key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    number, point = public_key(key)
    lines = signature.split("\n") if len(signature) < MAX_TEXT_CHARACTERS else []
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
    """Return a key's number as minisign prints it: 16 hexadecimal digits."""
    return number[::-1].hex().upper()


def decode(text: str) -> bytes:
    """Return the bytes of a line of base64; no bytes if it is not base64."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
