"""Files a little or much unlike those that were written: bytes changed anywhere, and values changed in what is JSON or
YAML, so that readers get past the first line."""

import json
import re
from itertools import pairwise
from random import Random
from typing import Any

from movinet.reading import parse_json, parse_yaml

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 255, 10**9, -(10**9), 2**31, 2**53, 2**63, 10**30, 0.5, -0.5, 1e-300, 1e300),
    *(float("nan"), float("inf"), -float("inf"), "", "x", "nan", "1e999", "1/3", "1e-999999999", "../../etc/passwd"),
    *("a\0b", "\ud800", "\udc80", "\x1b[2J", "x" * 5000, "é", [], {}, [[]], [1, 2, 3], {"a": 1}, [None], "2001-13-01"),
    *([0] * 1000, {"kind": []}, "!!int x"),
    *("BOOL", "U8", "F8_E4M3", "F16", "BF16", "F64", "C64", "I64", "F4"),
)


_WRITTEN = (  # what only a text can say
    *("NaN", "-Infinity", "1e999", ".nan", ".inf", "9" * 5000, "0x" + "f" * 5000, "1:2:3", "2001-13-01", "!!int x"),
    *("!!int ''", "!!bool x", "!!timestamp x", "!!binary x", "!!set {a, b}", "!!float x", "!!python/name:os.system x"),
    *(
        "*a",
        "&a x",
        "&a [*a]",
        "[" * 200,
        "{a: " * 70,
        '"\\ud800"',
        '"\\U99999999"',
        "'",
        '"',
        "? [a]",
        "<<: x",
        "null",
    ),
    "&a [x, x, x, x, x, x, x, x]"
    + "".join(f", &{b} [{', '.join([f'*{a}'] * 8)}]" for a, b in pairwise("abcdefghijkl")),
)


def mutated(data: bytes, random: Random, tokens: tuple[bytes, ...] = (), others: tuple[bytes, ...] = ()) -> bytes:
    """A neighbor of `data`.

    Args:
        data: of a file.
        random: decides everything.
        tokens: what files of the kind have in them.
        others: further files of the kind, to take parts of.
    """
    if data.startswith(b"@") and random.random() < 0.95:  # the line that says which file it is
        way, line, rest = data.partition(b"\n")
        return way + line + mutated(rest, random, tokens, others)
    if random.random() < 0.5:
        changed = _changed_value(data, random)
        if changed is not None:
            return changed
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        data = _changed_bytes(data, random, tokens, others)
    return data


def _changed_bytes(data: bytes, random: Random, tokens: tuple[bytes, ...], others: tuple[bytes, ...]) -> bytes:
    begin = random.randrange(len(data) + 1)
    end = min(len(data), begin + random.choice((0, 1, 2, 4, 8, 64)))
    what = random.randrange(8)
    if what == 0 and data:
        place = random.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    if what == 1:
        size = random.choice((1, 2, 4, 8))
        number = (random.choice(_NUMBERS) % 256**size).to_bytes(size, random.choice(("little", "big")))
        return data[:begin] + number + data[begin + size :]
    if what == 2:
        return data[:begin] + data[end:]
    if what == 3:
        return data[:end] + data[begin:end] * random.choice((1, 2, 100)) + data[end:]
    if what == 4 and tokens:
        return data[:begin] + random.choice(tokens) + data[end:]
    if what == 5:
        return data[:begin]
    if what == 6 and others:
        other = random.choice(others)
        return data[:begin] + other[random.randrange(len(other) + 1) :]
    return data[:begin] + random.randbytes(random.choice((1, 4, 16))) + data[end:]


def _changed_value(data: bytes, random: Random) -> bytes | None:
    """Another value somewhere in JSON or YAML; None where it is neither. The answer is JSON, which YAML is too."""
    try:
        text = data.decode()
        value = parse_json(text, finite=False) if text[:1] in "{[" else parse_yaml(text)
    except ValueError:
        return None
    if not isinstance(value, dict | list):
        return None
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        boxes = _boxes(value)
        box = random.choice(boxes)
        keys = list(box) if isinstance(box, dict) else list(range(len(box)))
        if not keys:
            continue
        key, what = random.choice(keys), random.randrange(8)
        if what == 0:
            del box[key]
        elif what == 1 and isinstance(box, dict):
            box[random.choice(("x", "", "kind", 1))] = box.pop(key)
        elif what == 2:
            inside = box[key]
            many = [] if isinstance(inside, dict | list) else [inside] * 50  # 50 times 50 times 50 would have no end
            box[key] = random.choice(([inside], {"a": inside}, many))
        elif what == 3:
            source = random.choice(boxes)
            box[key] = json.loads(json.dumps(source, default=str))
        else:
            written = random.random() < 0.3
            box[key] = f"\1{random.randrange(len(_WRITTEN))}\2" if written else random.choice(_VALUES)
    try:
        text = json.dumps(value, default=str)
    except (TypeError, ValueError):
        return None
    return re.sub(r'"\\u0001(\d+)\\u0002"', lambda found: _WRITTEN[int(found[1])], text).encode()


def _boxes(value: Any) -> list[Any]:
    found, waiting = [], [value]
    while waiting:
        box = waiting.pop()
        if isinstance(box, dict | list):
            found.append(box)
            waiting += box.values() if isinstance(box, dict) else box
    return found
