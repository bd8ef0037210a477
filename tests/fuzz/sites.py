"""What a site has in its folder: the kinds `client.yaml` and `ledger`."""

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import yaml

from fednkit.joining._settings import TEXT_SETTINGS, read_settings
from fednkit.joining._signed_package import state_file
from fednsite.errors import PackageError
from fednsite.privacy.ledger import Ledger
from fednsite.privacy.mechanism import Terms
from fuzz.kinds import Target, WrongError
from fuzz.mutation import (
    NUMBERS_OF_JSON,
    ODD_JSON,
    ODD_VALUES,
    TEXTS,
    as_text,
    broken,
    hostile,
    mangled,
    utf8,
)
from fuzz.signatures import OURS

CLIENT = {
    "api_url": "https://fedn.example.org",
    "name": "north",
    "client_id": "6d0bd6a9",
    "package_checksum": "0" * 64,
    "token": "abc",
    "signing_key": OURS.key,
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


LINES = [f"{name}: {json.dumps(value)}" for name, value in CLIENT.items()]


def without(name: str) -> str:
    """Return the lines of a good file without one."""
    return "\n".join(line for line in LINES if not line.startswith(f"{name}:"))


def odd_client_yaml(random: Random) -> bytes:
    made = list(LINES)
    for _ in range(random.choice([0, 1, 1, 2])):
        place = random.randrange(len(made))
        name = made[place].partition(":")[0]
        match random.randrange(6):
            case 0:
                made[place] = f"{name}: {random.choice(YAML)}"
            case 1:
                made.insert(place, random.choice([*YAML, *TEXTS]))
            case 2:
                made[place] = f"{name}: {json.dumps(hostile(random))}"
            case 3:
                del made[place]
            case 4:
                made[place] = f"{random.choice(YAML)}: {random.choice(YAML)}"
    content = utf8("\n".join(made))
    return broken(random, content) if random.random() < 0.3 else content


def client_yamls() -> dict[str, bytes]:
    whole = "\n".join(LINES).encode()
    tried = ODD_JSON | {
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
        tried[f"alone: {number}"] = utf8(text)
        for name in TEXT_SETTINGS:
            tried[f"{name}: {number}"] = utf8(f"{without(name)}\n{name}: {text}")
    for number, value in enumerate(ODD_VALUES):
        for name in ("name", "api_url", "signing_key"):
            line = f"{name}: {json.dumps(value)}"
            tried[f"{name} in JSON: {number}"] = f"{without(name)}\n{line}".encode()
    return tried


def client_yaml(scratch: Path) -> Target:
    """Read client.yaml as join.py does."""
    file = scratch / "in.yaml"
    os.environ["FEDN_CLIENT_CONFIG"] = str(file)

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        try:
            found = read_settings()
        except SystemExit as error:
            text = str(error.code)
            if not text.startswith("error: ") or not text.isprintable() or len(text) > 4100:
                raise WrongError(f"says {text[:200]!r}") from None
            return False
        if found != (plain := yaml.safe_load(case)) and "nan" not in str(plain):
            raise WrongError("took something else than is there")
        for name in set(TEXT_SETTINGS) & found.keys():
            if type(found[name]) not in (str, int, type(None)):
                raise WrongError(f"took {name}: {found[name]!r:.100}")
        if not found["api_url"] or not found["name"]:
            raise WrongError("took it without a name")
        # What is made of them has a name of a file, and fits a line.
        state_file("fraud", found).relative_to(Path.home())
        return True

    return Target(client_yamls(), ["good"], odd_client_yaml, judge)


LEDGER: dict[str, Any] = {"updates": {"1.0": 1, "2.5": 3}, "epsilon": 5.0, "delta": 1e-5}


def odd_ledger(random: Random) -> bytes:
    value: Any = {**LEDGER, "updates": dict(LEDGER["updates"])}
    if random.random() < 0.3:
        numbers = [1, 2, 2**53 - 1, *NUMBERS_OF_JSON]
        noise = random.choice([*TEXTS, "1", "0.1", "1e300", "5e-324", *map(str, (1e-9, 7))])
        value["updates"][noise] = random.choice(numbers)
    elif random.random() < 0.7:
        value = mangled(random, value)
    content = as_text(random, value)
    return broken(random, content) if random.random() < 0.2 else content


def ledgers() -> dict[str, bytes]:
    whole = json.dumps(LEDGER).encode()
    many = {repr(1 + n / 7): 1 for n in range(10_000)}
    tried = ODD_JSON | {
        "good": whole,
        "nothing yet": b'{"updates": {}}',
        "cut short": whole[:20],
        "equal multipliers": b'{"updates": {"1": 1, "1.0": 1, "1e0": 1}}',
        "as many as there can be": b'{"updates": {"1e300": 9007199254740991}}',
        "as many at little noise": b'{"updates": {"5e-324": 9007199254740991}}',
        "ten thousand multipliers": json.dumps({"updates": many}).encode(),
    }
    for number, value in enumerate(ODD_VALUES):
        tried[f"updates: {number}"] = json.dumps({**LEDGER, "updates": value}).encode()
        tried[f"a count: {number}"] = json.dumps({"updates": {"1.0": value}}).encode()
        tried[f"a multiplier: {number}"] = json.dumps({"updates": {str(value): 1}}).encode()
    return tried


def counted(content: bytes) -> dict[float, int]:
    """Return the updates that a ledger holds."""
    found: dict[float, int] = {}
    for text, count in json.loads(content)["updates"].items():
        found[float(text)] = found.get(float(text), 0) + count
    return found


def ledger(scratch: Path) -> Target:
    """Read a site's ledger and count an update; a corrupt one is refused, and stays as it is."""
    terms = Terms(noise=1.0, clip=1.0, budget=8.0, delta=1e-5)
    file = scratch / "in.json"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        kept = Ledger(file)
        try:
            told = kept.charge(terms)
        except PackageError:
            if file.read_bytes() != case:
                raise WrongError("changed a ledger that it refused") from None
            raise
        finally:
            for lock in scratch.glob(".*lock"):
                lock.unlink()
        before, after = counted(case), counted(file.read_bytes())
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

    return Target(ledgers(), ["good"], odd_ledger, judge, (PackageError,))
