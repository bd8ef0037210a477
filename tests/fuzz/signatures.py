"""The signature of a package that a site is handed: the kind `signature`."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fednkit.joining._signed_package import check_signature, read_state, write_state
from fednkit.joining.signature import SignatureError, decode
from fuzz.kinds import Target, WrongError
from fuzz.mutation import ODD_JSON, ODD_VALUES, as_text, broken, mangled, utf8

PACKAGE, OLDER = b"a package" * 50, b"an older package" * 40
VERSION = "20261124T205013Z"


class Signer:
    """A pair of keys, and all that it has signed."""

    def __init__(self, seed: int) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        point = self.private.public_key().public_bytes_raw()
        self.number = bytes([seed]) * 8
        self.raw = b"Ed" + self.number + point
        self.key = base64.b64encode(self.raw).decode()
        self.signed: set[tuple[bytes, str]] = set()

    def sign(self, content: bytes, comment: str) -> str:
        """Return the text of a .minisig file."""
        self.signed.add((content, comment))
        first = self.private.sign(hashlib.blake2b(content).digest())
        second = self.private.sign(first + utf8(comment))
        lines = base64.b64encode(b"ED" + self.number + first), base64.b64encode(second)
        return (
            f"untrusted comment: of a package\n{lines[0].decode()}\n"
            f"trusted comment: {comment}\n{lines[1].decode()}\n"
        )


def comment(content: bytes, version: str = VERSION, slug: str = "fraud") -> str:
    """Return what is signed with a package."""
    return f"slug={slug} version={version} sha256={hashlib.sha256(content).hexdigest()}"


# The package, what client.yaml says, and what was kept of the package before.
Offered = tuple[bytes, dict[str, Any], bytes | None]
OURS, OTHER = Signer(1), Signer(2)
SIGNERS = {signer.raw: signer for signer in (OURS, OTHER)}


def comments(content: bytes) -> list[str]:
    """Return what may be signed with a package, the one that should be first."""
    return [
        comment(content),
        comment(content, "20250101T000000Z"),
        comment(content, slug="mnist"),
        comment(content, "٢٠٢٦١١٢٤T205013Z"),
        comment(content, "\x1b[2J"),
        comment(b"x"),
        "",
        "version",
        "=" * 9000,
        "slug=\x1b[2J",
        "slug=\ud800",
        "slug=" + "x" * 9000,
    ]


SIGNATURES = {
    (signer.key, content): [signer.sign(content, text) for text in comments(content)]
    for signer in (OURS, OTHER)
    for content in (PACKAGE, OLDER)
}
WHOLE = SIGNATURES[OURS.key, PACKAGE][0]
OTHERS = SIGNATURES[OTHER.key, PACKAGE][0]
GOOD = {"signing_key": OURS.key, "package_signature": WHOLE}
STATE = json.dumps({"key": OURS.key, "version": "20251124T205013Z"}).encode()
HUGE = 16**6000
ODD: list[Any] = [
    *ODD_VALUES,
    *(HUGE, b"bytes", [[]] * 9, {"a": {"b": 1}}, WHOLE.encode(), (OURS.key,)),
]


def check_accepted(case: Offered, found: dict[str, str]) -> None:
    """Raise `WrongError` unless a key has signed just this, which is no older than before."""
    content, settings, before = case
    known = json.loads(before) if before is not None else {}
    if not found:
        if settings.get("signing_key") or before is not None:
            raise WrongError("took a package without a signature")
        return
    # By another way than its own: which key it is, and what that key has signed.
    last = [line for line in settings["signing_key"].split("\n") if line.strip()][-1]
    signer = SIGNERS.get(base64.b64decode(last))
    said = settings["package_signature"].split("\n")[2].removeprefix("trusted comment: ")
    if signer is None or (content, said) not in signer.signed:
        raise WrongError("took what was not signed")
    if known and (known["key"] != signer.key or known["version"] > found["version"]):
        raise WrongError(f"took {found} after {known}")
    if said != comment(content, found["version"]) or found["key"] != signer.key:
        raise WrongError(f"took {found} for {said}")


def with_lines_of(random: Random, signature: str, more: str) -> str:
    """Return a signature with a line of another one."""
    lines = signature.split("\n")
    place = random.randrange(4)
    lines[place : place + 1] = more.split("\n")[place : place + 1]
    return "\n".join(lines)


def with_a_bit_flipped(random: Random, signature: str) -> str:
    """Return a signature that differs in a bit of what it signs with."""
    lines = signature.split("\n")
    place = random.choice([1, 3])
    if len(lines) > place:
        raw = bytearray(decode(lines[place]) or b"x")
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        lines[place] = base64.b64encode(raw).decode()
    return "\n".join(lines)


def generate(random: Random) -> Offered:
    signer, content = random.choice([OURS, OURS, OURS, OTHER]), random.choice([PACKAGE, OLDER])
    text = random.choice(SIGNATURES[signer.key, content][: random.choice([1, 1, 2, 12])])
    settings: dict[str, Any] = {"signing_key": signer.key, "package_signature": text}
    before = random.choice([None, STATE, STATE])
    for _ in range(random.choice([0, 1, 1, 2])):
        name, signature = random.choice(list(settings)), str(settings["package_signature"])
        match random.randrange(7):
            case 0:
                value = broken(random, utf8(str(settings[name])), 1)
                settings[name] = value.decode("utf-8", "replace")
            case 1:
                settings[name] = random.choice(ODD)
            case 2:
                more = random.choice(SIGNATURES[random.choice([OURS.key, OTHER.key]), PACKAGE])
                settings["package_signature"] = with_lines_of(random, signature, more)
            case 3:
                settings["package_signature"] = with_a_bit_flipped(random, signature)
            case 4:
                before = as_text(random, mangled(random, json.loads(STATE)))
            case 5:
                before = broken(random, STATE)
            case 6:
                content = broken(random, content, 1)
    return content, settings, before


def offers() -> Iterator[tuple[str, Offered]]:
    """Yield packages and what comes with them, by what is odd about them."""

    def signed(signature: str = WHOLE, key: str = OURS.key) -> dict[str, Any]:
        return {"signing_key": key, "package_signature": signature}

    def encoded(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    plain = encoded(b"Ed" + OURS.number + OURS.private.sign(PACKAGE))
    yield "good", (PACKAGE, GOOD, None)
    yield "good once more", (PACKAGE, GOOD, STATE)
    yield "nothing asked for", (PACKAGE, {}, None)
    yield "a signature alone", (PACKAGE, {"package_signature": WHOLE}, None)
    yield "a key alone", (PACKAGE, {"signing_key": OURS.key}, None)
    yield "no signature any more", (PACKAGE, {}, STATE)
    yield "of another key", (PACKAGE, signed(OTHERS), None)
    yield "another key", (PACKAGE, signed(OTHERS, OTHER.key), STATE)
    yield "another package", (OLDER, GOOD, None)
    yield "line ends of Windows", (PACKAGE, signed(WHOLE.replace("\n", "\r\n")), None)
    whole_key = f"untrusted comment: x\n{OURS.key}\n\n"
    yield "a key's whole file", (PACKAGE, signed(key=whole_key), None)
    yield "not prehashed", (PACKAGE, signed(WHOLE.replace(WHOLE.split("\n")[1], plain)), None)
    yield "the key's number alone", (PACKAGE, signed(key=encoded(OURS.raw[:10])), None)
    yield "a key of zeros", (PACKAGE, signed(key=encoded(OURS.raw[:10] + bytes(32))), None)
    for number, text in enumerate(SIGNATURES[OURS.key, PACKAGE]):
        for when, kept in (("", None), (" after one", STATE)):
            yield f"a comment{when}, of its key: {number}", (PACKAGE, signed(text), kept)
    for number, value in enumerate(ODD):
        for name in GOOD:
            yield f"{name}: {number}", (PACKAGE, {**GOOD, name: value}, None)
        # What JSON can hold.
        if not isinstance(value, bytes | tuple) and value is not HUGE:
            for name in ("key", "version"):
                before = json.dumps({**json.loads(STATE), name: value}).encode()
                yield f"{name} before: {number}", (PACKAGE, GOOD, before)
    for name, content in ODD_JSON.items():
        yield f"before: {name}", (PACKAGE, GOOD, content)


def signature(scratch: Path) -> Target:
    """Check a package's signature as a site does, and keep what it was."""
    file = scratch / "in" / "version.json"

    def judge(case: Offered) -> bool:
        content, settings, before = case
        file.parent.mkdir()
        if before is not None:
            file.write_bytes(before)
        try:
            found = check_signature(content, "fraud", settings, file)
        except SignatureError:
            if before is not None and file.read_bytes() != before:
                raise WrongError("changed what it keeps") from None
            raise
        check_accepted(case, found)
        if found:
            write_state(file, found)
            if read_state(file) != found:
                raise WrongError("keeps something else")
        return True

    good = ["good", "good once more", "a key's whole file"]
    return Target(dict(offers()), good, generate, judge, (SignatureError,))
