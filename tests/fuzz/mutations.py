"""What is done to bytes that somebody expects to be well-formed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

ODD_VALUES = (
    b"NaN", b"-Infinity", b"1e999", b"1e-400", b"9" * 400, b"0" * 5000, b"-0", b"-1", b"1.5", b"99999999999999",
    b"123456789012345678901234567890", b"null", b"[]", b"{}", b'""', b"true", b"[" * 900 + b"]" * 900,
    b'{"a":' * 300 + b"1" + b"}" * 300, b'"\\ud800"', '"²"'.encode(), b'"\xff\xfe"', b'"' + b"a" * 5000 + b'"',
    b'"12,345.67"', b'"-"', b'"<b>x</b>"',
)  # fmt: skip

Mutation = Callable[[random.Random, bytes], bytes]


def flip(chance: random.Random, content: bytes) -> bytes:
    if not content:
        return content
    at = chance.randrange(len(content))
    return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]


def insert(chance: random.Random, content: bytes) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + chance.randbytes(chance.randint(1, 20)) + content[at:]


def delete(chance: random.Random, content: bytes) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + content[at + chance.randint(1, 40) :]


def repeat(chance: random.Random, content: bytes) -> bytes:
    at = chance.randint(0, len(content))
    part = content[at : at + chance.randint(1, 60)]
    return content[:at] + part * chance.randint(2, 30) + content[at:]


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randint(0, len(content))]


def in_json(chance: random.Random, content: bytes) -> bytes:
    """One value of a JSON text, wherever it is, replaced by an odd one."""
    try:
        value = json.loads(content)
    except ValueError:
        return flip(chance, content)
    places = list(_places(value))
    if not places:
        return chance.choice(ODD_VALUES)
    holder, key = chance.choice(places)
    holder[key] = _MARK
    return json.dumps(value).encode().replace(json.dumps(_MARK).encode(), chance.choice(ODD_VALUES), 1)


_MARK = "here something odd is to stand"


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key, each in value.items():
            yield value, key
            yield from _places(each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield value, number
            yield from _places(each)


BYTES: tuple[Mutation, ...] = (flip, insert, delete, repeat, cut)


def packed(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """``content`` packed, perhaps wrongly, and what its Content-Encoding says."""
    match chance.randrange(4):
        case 0:
            return gzip.compress(content), "gzip"
        case 1:
            return gzip.compress(content)[: chance.randint(0, 60)], "gzip"
        case 2:
            return gzip.compress(bytes(20 << 20)), "deflate"
    return content, chance.choice(["gzip", "deflate", "br", "zstd", "nonsense", "gzip, gzip"])
