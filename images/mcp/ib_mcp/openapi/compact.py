"""Schemas cut to what an agent needs to write an argument: kinds, choices and names, without references."""

from __future__ import annotations

import re
from typing import Any

from ib_mcp.openapi.parts import properties, resolved
from ib_mcp.openapi.repair.values import types_of

_DEEPEST = 3
_MOST_CHOICES = 16
_MOST_PROPERTIES = 40
_LONGEST = 70


def compact(schema: Any, document: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """``schema`` of the repaired ``document`` written out; below a few levels anything is allowed."""
    target = resolved(schema, document)
    if not isinstance(target, dict):
        return {}
    made: dict[str, Any] = {}
    named, required = properties(target, document)
    types = [name for name in types_of(_typed(target, document)) if name != "null"]
    if named:
        made["type"] = "object"
        if depth < _DEEPEST and len(named) <= _MOST_PROPERTIES:
            made["properties"] = {name: compact(part, document, depth + 1) for name, part in named.items()}
            if required:
                made["required"] = sorted(required)
    elif len(types) == 1:
        made["type"] = types[0]
        if (
            types[0] == "array"
            and depth < _DEEPEST
            and (items := compact(target.get("items", {}), document, depth + 1))
        ):
            made["items"] = items
    choices = [value for value in target.get("enum", ()) if value is not None]
    if choices and len(choices) <= _MOST_CHOICES:
        made["enum"] = choices
    if isinstance(target.get("default"), (str, int, float, bool)):
        made["default"] = target["default"]
    return made


def sentence(text: Any, besides: str = "") -> str:
    """The first sentence of a description, short, or nothing where it says no more than the name ``besides``."""
    if not isinstance(text, str):
        return ""
    first = re.split(r"(?<=[^.A-Z])\.(?:\s|$)|[\n;]", re.sub(r"<[^>]+>|[`*]", "", text).strip(), maxsplit=1)[0].strip()
    words = re.findall(r"[a-z]+", first.lower())
    if not words or "".join(words) in (besides.lower(), besides.lower() + "s"):
        return ""
    return first if len(first) <= _LONGEST else first[: _LONGEST - 3].rsplit(" ", 1)[0] + "..."


def _typed(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """``schema``, or the only part of its composition that is of a type."""
    if "type" in schema:
        return schema
    parts = [resolved(part, document) for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]
    typed = [part for part in parts if isinstance(part, dict) and types_of(part) not in ([], ["null"])]
    return typed[0] if len(typed) == 1 else schema
