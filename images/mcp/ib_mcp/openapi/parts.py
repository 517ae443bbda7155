"""Parts of a repaired document: where its references lead, and what a parameter or body asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MOST_PARTS = 64
_LONGEST_CHAIN = 64


def resolved(node: Any, document: dict[str, Any]) -> Any:
    """``node``, or what its reference leads to; an empty object when references lead in a circle, or on and on."""
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
            return node
        _, _, section, name = node["$ref"].split("/", 3)
        node = document.get("components", {}).get(section, {}).get(name, {})
    return {}


def body_schema(operation: dict[str, Any], document: dict[str, Any]) -> Any:
    """The schema of an operation's body, of JSON if it has several; None without a body."""
    body = resolved(operation.get("requestBody", {}), document)
    content = body.get("content", {})
    media = content.get("application/json") or next(iter(content.values()), None)
    return None if media is None else media.get("schema", {})


def properties(schema: Any, document: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The properties of an object's schema with those of all its parts, and the names of the required ones."""
    found: dict[str, Any] = {}
    required: set[str] = set()
    for part, is_certain in _parts(schema, document):
        found = {**part.get("properties", {}), **found}
        if is_certain:
            required |= set(part.get("required", ()))
    return found, required & found.keys()


def _parts(schema: Any, document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    waiting, count = [(schema, True)], 0
    while waiting and count < _MOST_PARTS:
        count += 1
        part, is_certain = waiting.pop()
        target = resolved(part, document)
        if not isinstance(target, dict):
            continue
        yield target, is_certain
        waiting += [(one, is_certain) for one in target.get("allOf", ())]
        waiting += [(one, False) for key in ("anyOf", "oneOf") for one in target.get(key, ())]
        if isinstance(part, dict) and part is not target and len(part) > 1:
            waiting.append(({key: value for key, value in part.items() if key != "$ref"}, is_certain))
