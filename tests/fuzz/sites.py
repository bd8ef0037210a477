"""What a site is handed, and what it keeps: the kinds `signature`, `client.yaml`, and `ledger`."""

import base64
import hashlib
import importlib
import json
import os
import shutil
import sys
from pathlib import Path
from random import Random
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fuzz.kinds import Judged, WrongError
from fuzz.mutation import (
    NUMBERS_OF_JSON,
    ODD_JSON,
    ODD_VALUES,
    TEXTS,
    as_text,
    broken,
    hostile,
    mangled,
)

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
        second = self.private.sign(first + comment.encode("utf-8", "surrogatepass"))
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


def signature(project: Path, scratch: Path) -> Judged:
    """Check a package's signature as a site does, and keep what it was."""
    sys.path.insert(0, str(project / "joining"))
    verify: Any = importlib.import_module("verify")
    ours, other = Signer(1), Signer(2)
    signers = {signer.raw: signer for signer in (ours, other)}
    file = scratch / "in" / "version.json"

    def judge(case: Offered) -> bool:
        content, settings, before = case
        file.parent.mkdir()
        if before is not None:
            file.write_bytes(before)
        try:
            found = verify.check(content, "fraud", settings, file)
        except verify.SignatureError:
            if before is not None and file.read_bytes() != before:
                raise WrongError("changed what it keeps") from None
            raise
        known = json.loads(before) if before is not None else {}
        if not found:
            if settings.get("signing_key") or before is not None:
                raise WrongError("took a package without a signature")
            return True
        # By another way than its own: which key it is, and what that key has signed.
        last = [line for line in settings["signing_key"].split("\n") if line.strip()][-1]
        signer = signers.get(base64.b64decode(last))
        said = settings["package_signature"].split("\n")[2].removeprefix("trusted comment: ")
        if signer is None or (content, said) not in signer.signed:
            raise WrongError("took what was not signed")
        if known and (known["key"] != signer.key or known["version"] > found["version"]):
            raise WrongError(f"took {found} after {known}")
        if said != comment(content, found["version"]) or found["key"] != signer.key:
            raise WrongError(f"took {found} for {said}")
        verify.remember(file, found)
        if verify.recall(file) != found:
            raise WrongError("keeps something else")
        return True

    comments = {
        content: [
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
        for content in (PACKAGE, OLDER)
    }
    texts = {
        (signer.key, content): [signer.sign(content, text) for text in said]
        for signer in (ours, other)
        for content, said in comments.items()
    }
    whole = texts[ours.key, PACKAGE][0]
    good = {"signing_key": ours.key, "package_signature": whole}
    state = json.dumps({"key": ours.key, "version": "20251124T205013Z"}).encode()
    odd: list[Any] = [
        *ODD_VALUES,
        16**6000,
        b"bytes",
        [[]] * 9,
        {"a": {"b": 1}},
        whole.encode(),
        (ours.key,),
    ]

    def generate(random: Random) -> Offered:
        signer, content = random.choice([ours, ours, ours, other]), random.choice([PACKAGE, OLDER])
        text = random.choice(texts[signer.key, content][: random.choice([1, 1, 2, 12])])
        settings: dict[str, Any] = {"signing_key": signer.key, "package_signature": text}
        before = random.choice([None, state, state])
        for _ in range(random.choice([0, 1, 1, 2])):
            match random.randrange(7):
                case 0:
                    name = random.choice(list(settings))
                    value = str(settings[name]).encode("utf-8", "surrogatepass")
                    settings[name] = broken(random, value, 1).decode("utf-8", "replace")
                case 1:
                    settings[random.choice(list(settings))] = random.choice(odd)
                case 2:
                    # Of two signatures, each some lines.
                    lines = str(settings["package_signature"]).split("\n")
                    more = random.choice(texts[random.choice([ours.key, other.key]), PACKAGE])
                    place = random.randrange(4)
                    lines[place : place + 1] = more.split("\n")[place : place + 1]
                    settings["package_signature"] = "\n".join(lines)
                case 3:
                    lines = str(settings["package_signature"]).split("\n")
                    place = random.choice([1, 3])
                    if len(lines) > place:
                        raw = bytearray(verify.decode(lines[place]) or b"x")
                        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
                        lines[place] = base64.b64encode(raw).decode()
                        settings["package_signature"] = "\n".join(lines)
                case 4:
                    before = as_text(random, mangled(random, json.loads(state)))
                case 5:
                    before = broken(random, state)
                case 6:
                    content = broken(random, content, 1)
        return content, settings, before

    tried: dict[str, Offered] = {
        "good": (PACKAGE, good, None),
        "good once more": (PACKAGE, good, state),
        "nothing asked for": (PACKAGE, {}, None),
        "a signature alone": (PACKAGE, {"package_signature": whole}, None),
        "a key alone": (PACKAGE, {"signing_key": ours.key}, None),
        "no signature any more": (PACKAGE, {}, state),
        "of another key": (
            PACKAGE,
            {**good, "package_signature": texts[other.key, PACKAGE][0]},
            None,
        ),
        "another key": (
            PACKAGE,
            {"signing_key": other.key, "package_signature": texts[other.key, PACKAGE][0]},
            state,
        ),
        "another package": (OLDER, good, None),
        "line ends of Windows": (
            PACKAGE,
            {**good, "package_signature": whole.replace("\n", "\r\n")},
            None,
        ),
        "a key's whole file": (
            PACKAGE,
            {**good, "signing_key": f"untrusted comment: x\n{ours.key}\n\n"},
            None,
        ),
        "not prehashed": (
            PACKAGE,
            {
                **good,
                "package_signature": whole.replace(
                    whole.split("\n")[1],
                    base64.b64encode(b"Ed" + ours.number + ours.private.sign(PACKAGE)).decode(),
                ),
            },
            None,
        ),
        "the key's number alone": (
            PACKAGE,
            {**good, "signing_key": base64.b64encode(ours.raw[:10]).decode()},
            None,
        ),
        "a key of zeros": (
            PACKAGE,
            {**good, "signing_key": base64.b64encode(ours.raw[:10] + bytes(32)).decode()},
            None,
        ),
    }
    for number, text in enumerate(texts[ours.key, PACKAGE]):
        for when, kept in (("", None), (" after one", state)):
            name = f"a comment{when}, of its key: {number}"
            tried[name] = (PACKAGE, {**good, "package_signature": text}, kept)
    for number, value in enumerate(odd):
        for name in good:
            tried[f"{name}: {number}"] = (PACKAGE, {**good, name: value}, None)
        if not isinstance(value, bytes | tuple) and value is not odd[len(ODD_VALUES)]:
            for name in ("key", "version"):
                before = {**json.loads(state), name: value}
                tried[f"{name} before: {number}"] = (PACKAGE, good, json.dumps(before).encode())
    for name, content in ODD_JSON.items():
        tried[f"before: {name}"] = (PACKAGE, good, content)

    def clean() -> None:
        shutil.rmtree(file.parent, ignore_errors=True)

    for name in ("good", "good once more", "a key's whole file"):
        judge(tried[name])
        clean()
    return Judged(tried, generate, judge, (verify.SignatureError,), clean)


CLIENT = {
    "api_url": "https://fedn.example.org",
    "name": "north",
    "client_id": "6d0bd6a9",
    "package_checksum": "0" * 64,
    "token": "abc",
    "signing_key": Signer(1).key,
    "package_signature": "untrusted comment: x\nRUQ\ntrusted comment: y\nz\n",
}
YAML = [
    *("!!int ''", "!!float ''", "!!bool x", "!!timestamp x", "!!binary x", "!!set [1]", "!!omap x"),
    *("!!python/object/apply:os.system ['id']", "!!python/name:os.system", "!x y", "2020-99-99"),
    *("0x" + "f" * 6000, "0b" + "1" * 30000, "1:" * 400 + "1", "1:" * 400 + "1.5", "9" * 5000),
    *("[", "]", "{", "}", "&a [*a]", "*a", "&a x", "[" * 3000, "{a: " * 300, "? [a]\n: b", "- -"),
    *("|\n x", ">\n x", '"\\ud800"', '"\\x1b[2J"', '"\\u0000"', "\t", "%YAML 9.9", "---", "..."),
    *("!!null ''", "!!str 7", "<<: 1", "1e999", ".inf", ".nan", "~", "yes", "2020-01-01", "0o7"),
    *("2001-12-14t21:59:43.10-99:00", "!!timestamp '9999-12-31 23:59:59 -23:59'", "!!pairs [1]"),
    *("!!merge x", "=", "!!value x", "'", '"', "#", "@x", "`x", "a: b: c", "0x", "0b", "-", "+"),
]


def bomb(merged: bool) -> bytes:
    """Return a few lines of YAML that unfold to gigabytes."""
    lines = ["a0: &a0 {x: y}"]
    for number in range(1, 12):
        inner = ", ".join([f"*a{number - 1}"] * 9)
        whole = f"{{<<: [{inner}]}}" if merged else f"[{inner}]"
        lines.append(f"a{number}: &a{number} {whole}")
    return "\n".join([*lines, "name: *a11", "api_url: x"]).encode()


def client_yaml(project: Path, scratch: Path) -> Judged:
    """Read client.yaml as join.py does."""
    sys.path.insert(0, str(project / "joining"))
    join: Any = importlib.import_module("join")
    file = scratch / "in.yaml"
    os.environ["FEDN_CLIENT_CONFIG"] = str(file)

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        try:
            found = join.read_settings()
        except SystemExit as error:
            text = str(error.code)
            if not text.startswith("error: ") or not text.isprintable() or len(text) > 4100:
                raise WrongError(f"says {text[:200]!r}") from None
            return False
        if found != (plain := yaml.safe_load(case)) and "nan" not in str(plain):
            raise WrongError("took something else than is there")
        for name in join.READ:
            if name in found and type(found[name]) not in (str, int, type(None)):
                raise WrongError(f"took {name}: {found[name]!r:.100}")
            if not found["api_url"] or not found["name"]:
                raise WrongError("took it without a name")
            # What is made of them has a name of a file, and fits a line.
            join.verify.state_file("fraud", found).relative_to(Path.home())
        return True

    lines = [f"{name}: {json.dumps(value)}" for name, value in CLIENT.items()]

    def generate(random: Random) -> bytes:
        made = list(lines)
        for _ in range(random.choice([0, 1, 1, 2])):
            place = random.randrange(len(made))
            match random.randrange(6):
                case 0:
                    made[place] = f"{made[place].partition(':')[0]}: {random.choice(YAML)}"
                case 1:
                    made.insert(place, random.choice([*YAML, *TEXTS]))
                case 2:
                    value = json.dumps(hostile(random))
                    made[place] = f"{made[place].partition(':')[0]}: {value}"
                case 3:
                    del made[place]
                case 4:
                    made[place] = f"{random.choice(YAML)}: {random.choice(YAML)}"
        content = "\n".join(made).encode("utf-8", "surrogatepass")
        return broken(random, content) if random.random() < 0.3 else content

    whole = "\n".join(lines).encode()
    tried = dict(ODD_JSON) | {
        "good": whole,
        "a bomb of lists": bomb(merged=False),
        "a bomb of merged objects": bomb(merged=True),
        "a name that is a list of itself": b"api_url: x\nname: &a [*a]",
        "60,000 brackets": b"[" * 60_000,
        "60,000 questions": b"? " * 30_000,
        "60,000 dashes": b"- " * 30_000,
        "a thousand documents": b"---\na\n" * 1000,
        "megabytes": whole + b"\n#" + b"x" * (4 << 20),
        "a line of 5,000 keys": b"{" + b"a, " * 5000 + b"}",
    }
    for number, text in enumerate(YAML):
        content = text.encode("utf-8", "surrogatepass")
        tried[f"alone: {number}"] = content
        for name in join.READ:
            rest = "\n".join(line for line in lines if not line.startswith(f"{name}:"))
            tried[f"{name}: {number}"] = rest.encode() + f"\n{name}: ".encode() + content
    for number, value in enumerate(ODD_VALUES):
        for name in ("name", "api_url", "signing_key"):
            rest = "\n".join(line for line in lines if not line.startswith(f"{name}:"))
            tried[f"{name} in JSON: {number}"] = f"{rest}\n{name}: {json.dumps(value)}".encode()
    if not judge(whole):
        raise WrongError("refused what is good")
    return Judged(tried, generate, judge, ())


def ledger(project: Path, scratch: Path) -> Judged:
    """Read a site's ledger and count an update; a corrupt one is refused, and stays as it is."""
    module: Any = importlib.import_module("model.ledger")
    terms: Any = importlib.import_module("model.privacy").Terms(1.0, 1.0, 8.0, 1e-5)
    errors: Any = importlib.import_module("model.errors")
    file = scratch / "in.json"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        kept = module.Ledger(file)
        try:
            told = kept.charge(terms)
        except errors.PackageError:
            if file.read_bytes() != case:
                raise WrongError("changed a ledger that it refused") from None
            raise
        finally:
            for lock in scratch.glob(".*lock"):
                lock.unlink()
        before = counted(case)
        after = counted(file.read_bytes())
        if told["exhausted"]:
            if after != before:
                raise WrongError("counted an update that was not sent")
        else:
            before[1.0] = before.get(1.0, 0) + 1
            if after != before or kept.read() != before:
                raise WrongError(f"counted {after}, expected {before}")
            if told["epsilon"] > terms.budget:
                raise WrongError(f"sent beyond the budget: {told}")
        if told["updates"] != sum(after.values()):
            raise WrongError(f"tells {told}")
        return True

    good = {"updates": {"1.0": 1, "2.5": 3}, "epsilon": 5.0, "delta": 1e-5}

    def generate(random: Random) -> bytes:
        value: Any = {**good, "updates": dict(good["updates"])}  # type: ignore[call-overload]
        if random.random() < 0.3:
            numbers = [1, 2, 2**53 - 1, *NUMBERS_OF_JSON]
            noise = random.choice([*TEXTS, "1", "0.1", "1e300", "5e-324", *map(str, (1e-9, 7))])
            value["updates"][noise] = random.choice(numbers)
        elif random.random() < 0.7:
            value = mangled(random, value)
        content = as_text(random, value)
        return broken(random, content) if random.random() < 0.2 else content

    whole = json.dumps(good).encode()
    tried = dict(ODD_JSON) | {
        "good": whole,
        "nothing yet": b'{"updates": {}}',
        "cut short": whole[:20],
        "equal multipliers": b'{"updates": {"1": 1, "1.0": 1, "1e0": 1}}',
        "as many as there can be": b'{"updates": {"1e300": 9007199254740991}}',
        "as many at little noise": b'{"updates": {"5e-324": 9007199254740991}}',
        "ten thousand multipliers": json.dumps(
            {"updates": {repr(1 + n / 7): 1 for n in range(10_000)}}
        ).encode(),
    }
    for number, value in enumerate(ODD_VALUES):
        tried[f"updates: {number}"] = json.dumps({**good, "updates": value}).encode()
        tried[f"a count: {number}"] = json.dumps({"updates": {"1.0": value}}).encode()
        tried[f"a multiplier: {number}"] = json.dumps({"updates": {str(value): 1}}).encode()
    judge(whole)
    return Judged(tried, generate, judge, (errors.PackageError,))


def counted(content: bytes) -> dict[float, int]:
    """Return the updates that a ledger holds."""
    found: dict[float, int] = {}
    for text, count in json.loads(content)["updates"].items():
        found[float(text)] = found.get(float(text), 0) + count
    return found
