"""Break bytes, texts and JSON in the ways that break readers."""

import json
from random import Random
from typing import Any

NUMBERS = [0, 1, -1, 127, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1]
TEXTS = [
    *("", " ", "\0", "\n", "a\nerror: b", "\x1b[2J", "\x9b2J", "\r", "\u2028", "\u202e", "\ufeff"),
    *("\ud800", "\udfff", "<script>alert(1)</script>", "<!--<script>", "</script>", "]]>", "&amp;"),
    *("<img src=x onerror=alert(1)>", "[red]x[/blue]", "{{ 7*7 }}", "%s%n", "../../x", "/etc/x"),
    *("{{ plotly }}", "{% endif %}{#", "javascript:alert(1)", '" onload="x', "'", "\\"),
    "C:\\x",
    *("NaN", "inf", "-inf", "1e999", "1e-999", "-0", "0x10", "1_000", "٣", "１", "½", "--5", "+5"),
    *("x" * 5000, "é" * 300, "9" * 400, "0", "1", "true", "True", "null", "None", "__proto__"),
]
NUMBERS_OF_JSON = [
    *(0, 1, -1, 2**31 - 1, 2**31, 2**53, 2**63, 10**30, 10**400, -(10**400), 0.5, -0.0, 1e308),
    *(-1e308, 5e-324, float("nan"), float("inf"), float("-inf"), True, False),
]


# Every one of them, to stand in anything's place.
ODD_VALUES: list[Any] = [*NUMBERS_OF_JSON, *TEXTS, None, [], {}]


def broken(random: Random, data: bytes, most: int = 4) -> bytes:
    """Return bytes with a few of them changed, cut out, doubled or put in."""
    made = bytearray(data)
    for _ in range(random.randint(1, most)):
        if not made:
            return bytes(made)
        start = random.randrange(len(made))
        end = min(len(made), start + random.choice([1, 2, 4, 8, 16, 64, 256]))
        match random.randrange(8):
            case 0:
                made[start] ^= 1 << random.randrange(8)
            case 1:
                made[start] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)])
            case 2:
                size = random.choice([2, 4, 8])
                number = random.choice(NUMBERS) % (1 << 8 * size)
                made[start : start + size] = number.to_bytes(size, "little")
            case 3:
                del made[start:end]
            case 4:
                made[start:start] = made[start:end]
            case 5:
                made[start:start] = random.randbytes(end - start)
            case 6:
                del made[start:]
            case 7:
                other = random.randrange(len(made))
                made[start:end] = made[other : other + end - start]
    return bytes(made)


def hostile(random: Random, depth: int = 3) -> Any:
    """Return some JSON value that nobody expects."""
    match random.randrange(7 if depth else 4):
        case 0 | 1:
            return random.choice(NUMBERS_OF_JSON)
        case 2:
            return random.choice(TEXTS)
        case 3:
            return random.choice([None, [], {}, "", 0])
        case 4:
            return [hostile(random, depth - 1) for _ in range(random.randrange(4))]
        case 5:
            names = [*TEXTS, "name", "type", "enum"]
            return {random.choice(names): hostile(random, depth - 1) for _ in range(3)}
        case _:
            return [hostile(random, 0)] * random.choice([1, 100, 3000])


def mangled(random: Random, value: Any) -> Any:
    """Return a copy of a JSON value in which something, somewhere, is another."""
    if random.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return hostile(random)
    if isinstance(value, list):
        copy = list(value)
        place = random.randrange(len(copy))
        match random.randrange(5):
            case 0:
                del copy[place]
            case 1:
                copy.insert(place, copy[place])
            case _:
                copy[place] = mangled(random, copy[place])
        return copy
    kept = dict(value)
    name = random.choice(list(kept))
    match random.randrange(6):
        case 0:
            del kept[name]
        case 1:
            kept[random.choice(TEXTS)] = hostile(random)
        case 2:
            kept[random.choice(TEXTS)] = kept.pop(name)
        case _:
            kept[name] = mangled(random, kept[name])
    return kept


def as_text(random: Random, value: Any) -> bytes:
    """Return a value as JSON, now and then in a way that JSON should not be written."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.7)
    match random.randrange(14):
        case 0:
            return b"\xef\xbb\xbf" + utf8(text)
        case 1:
            return text.encode("utf-16", "surrogatepass")
        case 2:
            depth = random.choice([5, 500, 5000, 100_000])
            return (b"[" * depth) + (b"]" * random.choice([0, depth]))
        case 3:
            depth = random.choice([5, 900, 990, 5000])
            return b'{"epochs":' * depth + b"1" + b"}" * depth
        case 4:
            return broken(random, utf8(text))
        case 5:
            # The first key once more.
            return utf8(text.replace("{", '{"epochs": 2, "epochs": 3, ', 1))
        case 6:
            number = random.choice(["1e999", "9" * 5000, "NaN", "-Infinity"])
            return utf8(text.replace("1", number))
    return utf8(text)


def odd_text(random: Random, value: Any) -> str:
    """Return a value as JSON, as `as_text` does."""
    return as_text(random, value).decode("utf-8", "replace")


def utf8(text: str) -> bytes:
    """Return a text in UTF-8, half a character too."""
    return text.encode("utf-8", "surrogatepass")


ODD_JSON: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"epochs": "\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"epochs": 1}',
    "UTF-16": '{"epochs": 1}'.encode("utf-16"),
    "lists nested a hundred thousand times": b"[" * 100_000,
    "objects nested nearly too deeply": b'{"epochs":' * 990 + b"1" + b"}" * 990,
    "a list nested nearly too deeply": b'{"epochs":' + b"[" * 985 + b"]" * 985 + b"}",
    "an infinite number": b'{"learning_rate": 1e999}',
    "an infinite number by name": b'{"learning_rate": Infinity}',
    "not a number": b'{"learning_rate": NaN}',
    "a number of 400 digits": b'{"learning_rate": ' + b"9" * 400 + b"}",
    "a number of 5,000 digits": b'{"epochs": ' + b"9" * 5000 + b"}",
    "a key twice": b'{"epochs": 1, "epochs": 2}',
    "half a character": b'{"\\ud800": "\\udfff"}',
    "a key that is another line": b'{"x\\nerror: y": 1}',
    "a key that clears the terminal": b'{"\\u001b[2J": 1}',
    "a list": b"[1]",
    "a null": b"null",
    "a number alone": b"7",
    "2 MB": b'{"epochs": "' + b"x" * (2 << 20) + b'"}',
    "a megabyte of brackets": b'{"epochs": [' + b"[]," * 300_000 + b"[]]}",
    "half a megabyte of keys": b"{" + b",".join(b'"%d":1' % n for n in range(60_000)) + b"}",
}
ODD_TEXTS = {name: content.decode("utf-8", "replace") for name, content in ODD_JSON.items()}
