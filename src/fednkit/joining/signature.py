"""Verify minisign signatures.

The format is minisign's (https://jedisct1.github.io/minisign/, "Signature format"), so that
`minisign -Vm FILE -P KEY` can check a package too. It holds two Ed25519 signatures (RFC 8032): one
of the file's BLAKE2b-512 hash, and one of the first signature and the trusted comment, which names
the package's project and version: slug=NAME version=TIME sha256=SUM.
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

# Ed25519 over the file's hash. The legacy "Ed", over the file itself, is not accepted.
PREHASHED = b"ED"
# The first bytes of a public key.
KEY_ALGORITHM = b"Ed"
TRUSTED = "trusted comment: "
# The time of signing in UTC, which sorts by time.
VERSION = re.compile("[0-9]{8}T[0-9]{6}Z")
# Limit for the text of a public key or a signature.
MAX_TEXT_CHARACTERS = 10_000
MAX_MESSAGE_CHARACTERS = 2000


class SignatureError(Exception):
    """The signature is invalid; the message is one line without the file's name."""

    def __init__(self, message: str) -> None:
        # It may quote untrusted text, so escape terminal control characters.
        super().__init__(
            "".join(
                c if c.isprintable() else ascii(c)[1:-1] for c in message[:MAX_MESSAGE_CHARACTERS]
            )
        )


def public_key(text: str) -> tuple[bytes, bytes]:
    """Parse a minisign public key.

    Args:
        text: The key, or the content of its file.

    Returns:
        The key's number (8 bytes) and its Ed25519 point (32 bytes).

    Raises:
        SignatureError: The text holds no public key.
    """
    lines = text.split("\n") if len(text) < MAX_TEXT_CHARACTERS else []
    raw = decode(next((line for line in reversed(lines) if line.strip()), ""))
    if len(raw) != 42 or raw[:2] != KEY_ALGORITHM:
        raise SignatureError("expected a minisign public key, RW..., found none")
    return raw[2:10], raw[10:]


def verify(content: bytes, signature: str, key: str) -> dict[str, str]:
    """Verify a signature; return the names and values in its trusted comment.

    Args:
        content: The signed file's bytes.
        signature: The text of the .minisig file.
        key: The public key.

    Raises:
        SignatureError: The signature does not match the content or the key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    number, point = public_key(key)
    lines = signature.split("\n") if len(signature) < MAX_TEXT_CHARACTERS else []
    if len(lines) < 4 or not lines[2].startswith(TRUSTED):
        raise SignatureError("expected a minisign signature of four lines, found none")
    first, second = decode(lines[1]), decode(lines[3])
    if len(first) != 74 or first[:2] != PREHASHED or len(second) != 64:
        raise SignatureError("expected a prehashed minisign signature, found another kind")
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
            f"the signature does not match this content or the key {name_of(number)}"
        ) from None
    return dict(word.split("=", 1) for word in comment.split() if "=" in word)


def name_of(number: bytes) -> str:
    """Return a key's number as minisign prints it, 16 hexadecimal digits."""
    return number[::-1].hex().upper()


def decode(text: str) -> bytes:
    """Decode a line of base64; return b"" if it is not base64."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
