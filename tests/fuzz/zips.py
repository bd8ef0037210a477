"""Zip files as nobody writes them."""

import io
import struct
import zipfile
import zlib
from random import Random

from fuzz.mutation import NUMBERS

# A member of a zip: its name, its content, and what its headers say instead of the truth.
Member = tuple[str, bytes, dict[str, int]]


def zipped(
    members: list[Member], *, comment: bytes = b"", said: dict[str, int] | None = None
) -> bytes:
    """Return a zip file whose headers may lie.

    Of a member: method, flags, crc, packed, size, offset, zip64. Of the whole, in `said`: count,
    length and start of the list.
    """
    out, listed = bytearray(), bytearray()
    for name, content, lies in members:
        method = lies.get("method", 0) & 0xFFFF
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = squeeze.compress(content) + squeeze.flush() if method == 8 else content
        raw = name.encode("utf-8", "surrogatepass")
        flags = lies.get("flags", 0 if raw.isascii() else 0x800) & 0xFFFF
        crc = lies.get("crc", zlib.crc32(content)) & 0xFFFFFFFF
        size, length = lies.get("size", len(content)), lies.get("packed", len(packed))
        extra = b""
        if lies.get("zip64"):
            extra = struct.pack("<HHQQ", 1, 16, size, length)
            size = length = 0xFFFFFFFF
        sizes = length & 0xFFFFFFFF, size & 0xFFFFFFFF, len(raw), len(extra)
        head = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0x21, crc, *sizes)
        offset = lies.get("offset", len(out)) & 0xFFFFFFFF
        out += b"PK\x03\x04" + head + raw + extra + packed
        listed += b"PK\x01\x02" + b"\x14\x03" + head + struct.pack("<HHHII", 0, 0, 0, 0, offset)
        listed += raw + extra
    said = said or {}
    count = said.get("count", len(members)) & 0xFFFF
    length = said.get("length", len(listed)) & 0xFFFFFFFF
    start = said.get("start", len(out)) & 0xFFFFFFFF
    end = struct.pack("<HHHHIIH", 0, 0, count, count, length, start, len(comment))
    return bytes(out + listed + b"PK\x05\x06" + end + comment)


def squeezed(content: bytes, method: int, name: str = "0.npy") -> bytes:
    """Return a zip with one member, packed in one of zipfile's own ways."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def random_lies(random: Random) -> dict[str, int]:
    """Return what a member's headers may say instead of the truth."""
    names = ["method", "flags", "crc", "packed", "size", "offset", "zip64"]
    return {
        name: random.choice([*NUMBERS, 8, 12, 14, 93]) % (1 << 63)
        for name in random.sample(names, 1)
    }
