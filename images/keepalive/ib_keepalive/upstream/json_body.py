"""IBKR's JSON, however odd: what a strict reader would refuse becomes what it stands for.

Bytes that are no UTF-8 and lone surrogates become the replacement character; NaN, Infinity and numbers beyond a double
become null.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Cheap signs that something may be odd; without them the content is what it was.
_ODD = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]|[0-9][eE]\+?[0-9]{3}|[0-9]{300}")
_SURROGATES = re.compile(
    r"(\\[^u])|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_REPLACEMENT = r"\ufffd"


def read_body(content: bytes) -> tuple[Any, bytes]:
    """The decoded JSON and the same as JSON that every reader takes. ValueError when it is none."""
    is_utf8 = _is_utf8(content)
    try:
        if is_utf8 and _ODD.search(content) is None:
            return json.loads(content), content
        text = _SURROGATES.sub(_mend, content.decode("utf-8", "replace"))
        body = json.loads(text, parse_constant=_null, parse_float=_finite)
        return body, json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("too deep") from None


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _mend(match: re.Match[str]) -> str:
    return _REPLACEMENT if match[3] else match[0]


def _null(_: str) -> None:
    return None


def _finite(text: str) -> float | None:
    value = float(text)
    return value if abs(value) != float("inf") else None
