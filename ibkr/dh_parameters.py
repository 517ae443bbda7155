"""Diffie-Hellman parameters in a PEM file (PKCS #3), as ``openssl dhparam`` writes them and IBKR wants them."""

from __future__ import annotations

import base64
import binascii
import re

BITS = 2048
GENERATOR = 2
_PEM = re.compile(r"-----BEGIN DH PARAMETERS-----(.+?)-----END DH PARAMETERS-----", re.DOTALL)
_SEQUENCE, _INTEGER = 0x30, 0x02

# The group ffdhe2048 of RFC 7919: a safe prime whose generator is 2, which everybody can check.
RFC7919 = """-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


def read_prime(pem: str) -> int:
    """The prime; ValueError says what is wrong. IBKR wants 2048 bits and the generator 2."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("has no DH PARAMETERS in PEM form")
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True)
        sequence, end = _take(content, 0, _SEQUENCE)
        prime, at = _take(sequence, 0, _INTEGER)
        generator, _ = _take(sequence, at, _INTEGER)
    except (binascii.Error, IndexError):
        raise ValueError("holds DH parameters that are cut short or damaged") from None
    if end != len(content):
        raise ValueError("holds more than DH parameters")
    number = int.from_bytes(prime, "big", signed=True)
    if number <= 0:
        raise ValueError("holds a prime that reads as a negative number; make the parameters again")
    if number.bit_length() != BITS:
        raise ValueError(f"holds a prime of {number.bit_length()} bits; IBKR wants {BITS}")
    if int.from_bytes(generator, "big", signed=True) != GENERATOR:
        raise ValueError(f"has another generator than {GENERATOR}")
    if any(pow(base, number - 1, number) != 1 for base in (2, 3, 5)):
        raise ValueError("holds a number that is no prime")
    return number


def _take(content: bytes, at: int, kind: int) -> tuple[bytes, int]:
    """The content of the element at ``at`` and where the next begins."""
    if content[at] != kind:
        raise IndexError
    length, start = content[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(content[at + 2 : start], "big")
    if not length or start + length > len(content):
        raise IndexError
    return content[start : start + length], start + length
