"""From bytes to a document: JSON or YAML, bounded in depth and number of values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

from ib_mcp.openapi import yaml_tree
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.fetch import fetch
from ib_mcp.openapi.mapping import merged

DEEPEST = 100
MOST_VALUES = 1_000_000
_MANY = f"The document holds more than {MOST_VALUES:,} values."
_DEEP = f"The document is nested deeper than {DEEPEST} levels."


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was written; ``repeated`` names the keys that one object has twice."""

    root: dict[str, Any]
    repeated: tuple[str, ...] = ()


def load(spec: str) -> Document:
    """The document at a path or URL; DocumentUnreadable or DocumentUnreachable says why there is none."""
    return parse(fetch(spec))


def parse(content: bytes) -> Document:
    """The document in ``content``. DocumentUnreadable for what is no OpenAPI 3, or beyond the limits."""
    repeated: list[str] = []
    root = _values(content, repeated)
    if not isinstance(root, dict):
        raise DocumentUnreadable("The document is no object.")
    _check_size(root)
    if "swagger" in root and "openapi" not in root:
        raise DocumentUnreadable(
            "The document is Swagger 2.0, which came before OpenAPI.", action="Convert it to OpenAPI 3 first."
        )
    if not {"openapi", "paths"} & root.keys():
        raise DocumentUnreadable("The document is no OpenAPI document: it has neither 'openapi' nor 'paths'.")
    return Document(root, tuple(repeated))


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
