"""One reader of JSON that others wrote, within bounds: nothing of it can surprise whoever works with the value.

What comes out has no number that is none (NaN, Infinity, 1e999), no integer that a float cannot come near, no half of a
character, and is nested at most ``DEEPEST`` levels. The usual text is looked through as a whole, not value by value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

DEEPEST = 64
# IBKR's largest ids have 19 digits.
_LONGEST_INTEGER = 30
_BRACKETS = b"[]{}"
_NO_BRACKET = bytes(set(range(256)) - set(_BRACKETS))
# All digits are alike, and both ways of writing an exponent.
_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_SUSPECT = (b"NaN", b"Infinity", b"0e000", b"0e+000", b"0" * _LONGEST_INTEGER)
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKEN = re.compile(_STRING + rb"|-?Infinity|NaN|-?[0-9][0-9.eE+-]*+", re.DOTALL)
# An escaped character as it was written; two that are the halves of one belong together.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)


def load(content: bytes) -> Any:
    """The value. ValueError for whatever is no JSON, or JSON that ``clean`` would have to change."""
    if clean(content) != content:
        raise ValueError("holds a number or a character that is none")
    return _parse(content)


def load_cleaned(content: bytes, parse_float: Callable[[str], Any] | None = None) -> Any:
    """The value with null for figures that are no numbers and U+FFFD for characters that are none.

    ValueError for whatever else is no JSON, or nested too deeply.
    """
    return _parse(clean(content), parse_float)


def load_and_clean(content: bytes) -> tuple[Any, bytes]:
    """As ``load_cleaned``, and the text that it was read from."""
    cleaned = clean(content)
    return _parse(cleaned), cleaned


def clean(content: bytes) -> bytes:
    """``content`` with ``null`` for figures that are no numbers, and characters that are none replaced.

    All other figures keep the digits they came with. What is no JSON otherwise stays none.
    """
    return _TOKEN.sub(_clean_token, _as_utf8(content)) if _is_odd(content) else content


def _parse(content: bytes, parse_float: Callable[[str], Any] | None = None) -> Any:
    if _is_deep(content):
        raise ValueError("nested too deeply")
    try:
        return json.loads(content, parse_float=parse_float)
    except RecursionError as error:  # brackets without an end
        raise ValueError("nested too deeply") from error


def _is_odd(content: bytes) -> bool:
    """Whether ``clean`` may have something to do; never False where it has."""
    if not content.isascii():
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return True
    if b"\\u" in content and re.search(rb"\\u[dD][89a-fA-F]", content):
        return True
    alike = content.translate(_ALIKE)
    return any(suspect in alike for suspect in _SUSPECT)


def _as_utf8(content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode()


def _clean_token(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token.startswith(b'"'):
        return _ESCAPE.sub(_clean_escape, token) if b"\\u" in token else token
    if token.endswith((b"N", b"y")):
        return b"null"
    try:
        value = float(token)
    except ValueError:  # the parser says what is wrong with it
        return token
    is_long = len(token) > _LONGEST_INTEGER and token.lstrip(b"-").isdigit()
    return b"null" if is_long or not math.isfinite(value) else token


def _clean_escape(found: re.Match[bytes]) -> bytes:
    escape = found[0]
    return rb"\ufffd" if len(escape) == 6 and escape[2:3] in b"dD" else escape


def _is_deep(content: bytes) -> bool:
    """Whether brackets are nested more than ``DEEPEST`` levels, or have no partner."""
    if content.count(b"[") + content.count(b"{") <= DEEPEST:
        return False
    # Brackets in texts are rare, and looking for them costs more than all the rest.
    return not (_closes(content) or _closes(_STRINGS.sub(b"", content)))


def _closes(content: bytes) -> bool:
    left = content.translate(None, _NO_BRACKET)
    for _ in range(DEEPEST):
        if not left:
            return True
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    return not left
