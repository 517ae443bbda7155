"""From bytes to a document: JSON or YAML, bounded in depth and number of values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

from ib_mcp.openapi import yaml_tree
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.fetch import fetch
from ib_mcp.openapi.mapping import merged
from ib_mcp.openapi.swagger import converted

DEEPEST = 100
MOST_VALUES = 1_000_000
_HALF = re.compile("[\ud800-\udfff]")
_MANY = f"The document holds more than {MOST_VALUES:,} values."
_DEEP = f"The document is nested deeper than {DEEPEST} levels."


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was written, in texts that can be written again.

    ``repeated`` names the keys that one object has twice, ``mended`` the texts that held half a character. What was
    written as Swagger 2.0 comes as OpenAPI 3.
    """

    root: dict[str, Any]
    repeated: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    was_swagger: bool = False


def load(spec: str) -> Document:
    """The document at a path or URL; DocumentUnreadable or DocumentUnreachable says why there is none."""
    return parse(fetch(spec))


def parse(content: bytes) -> Document:
    """The document in ``content``. DocumentUnreadable for what is none, or beyond the limits."""
    repeated: list[str] = []
    root = _values(content, repeated)
    if not isinstance(root, dict):
        raise DocumentUnreadable("The document is no object.")
    _check_size(root)
    if not {"openapi", "paths"} & root.keys():
        raise DocumentUnreadable("The document is no OpenAPI document: it has neither 'openapi' nor 'paths'.")
    mended: list[str] = []
    if not _can_be_written(root):
        root = _writable(root, repeated, mended)
    was_swagger = "swagger" in root and "openapi" not in root
    return Document(converted(root) if was_swagger else root, tuple(repeated), tuple(mended), was_swagger)


def _values(content: bytes, repeated: list[str]) -> Any:
    # Counted before anything is made of them: fifty megabytes of brackets would take gigabytes.
    if content.count(b",") + content.count(b"[") + content.count(b"{") > 2 * MOST_VALUES:
        raise DocumentUnreadable(_MANY)
    try:
        return json.loads(
            content,
            object_pairs_hook=lambda pairs: merged(pairs, repeated),
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise DocumentUnreadable(_DEEP) from None
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(f"The document is no text: byte {error.start + 1} is not {error.encoding}.") from None
    except ValueError:
        repeated.clear()
        return yaml_tree.parse(content, repeated, deepest=DEEPEST, most_values=MOST_VALUES)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise DocumentUnreadable(f"The document holds the number {text[:20]}, which is too large.")
    return number


def _check_size(root: dict[str, Any]) -> None:
    level: list[Any] = [root]
    count = 0
    for _ in range(DEEPEST):
        count += len(level)
        if count > MOST_VALUES:
            raise DocumentUnreadable(_MANY)
        parts = (
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, (dict, list))
        )
        level = list(islice((inner for part in parts for inner in part), MOST_VALUES + 1))
        if not level:
            return
    raise DocumentUnreadable(_DEEP)


def _can_be_written(root: dict[str, Any]) -> bool:
    """Whether no text holds half of a pair of surrogates, which JSON can escape and UTF-8 cannot hold."""
    try:
        json.dumps(root, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _writable(value: Any, repeated: list[str], mended: list[str]) -> Any:
    """``value`` with U+FFFD for each half of a character."""
    match value:
        case str():
            text = _HALF.sub("\ufffd", value)
            if text != value:
                mended.append(text)
            return text
        case list():
            return [_writable(one, repeated, mended) for one in value]
        case dict():
            pairs = [(_writable(key, repeated, mended), _writable(one, repeated, mended)) for key, one in value.items()]
            return merged(pairs, repeated)
    return value
