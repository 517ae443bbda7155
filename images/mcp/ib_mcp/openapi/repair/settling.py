"""What can be said of a schema only when all of them are repaired: its default, and what it requires."""

from __future__ import annotations

from typing import Any

from ib_mcp.openapi.repair import values
from ib_mcp.openapi.repair.context import MISSING, Context

_MOST_PARTS = 500


def required(schemas: dict[str, Any], context: Context) -> None:
    """Take names off ``required`` that no part of a schema describes."""
    for schema, at in context.required:
        known = _described(schema, schemas)
        kept = [name for name in schema["required"] if known is None or name in known]
        for name in schema["required"]:
            if name not in kept:
                context.note("required-unknown", (*at, "required"), name)
        if kept:
            schema["required"] = kept
        else:
            del schema["required"]


def _described(schema: dict[str, Any], schemas: dict[str, Any]) -> set[str] | None:
    """The names of the properties in ``schema`` and everything that it is composed of; None for too many parts."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict) or id(part) in seen:
            continue
        if len(seen) == _MOST_PARTS:
            return None
        seen.add(id(part))
        found |= part.get("properties", {}).keys()
        waiting += [one for key in ("allOf", "anyOf", "oneOf") for one in part.get(key, ())]
        if "$ref" in part:
            waiting.append(schemas.get(part["$ref"].rpartition("/")[2]))
    return found


def defaults(schemas: dict[str, Any], context: Context) -> None:
    """Take away the defaults that their schemas forbid, unless they say the same in another type."""
    fits = values.Fit(schemas)
    for schema, at in context.defaults:
        value = schema["default"]
        if fits(value, schema):
            continue
        context.note("default-invalid", (*at, "default"), repr(value)[:60])
        del schema["default"]
        read = values.read_as(value, values.types_of(schema))
        if read is not MISSING and fits(read, schema):
            schema["default"] = read
