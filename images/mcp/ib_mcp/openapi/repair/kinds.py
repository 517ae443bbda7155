"""Values of one kind: texts, flags, numbers and objects, and the keys that an object may have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from ib_mcp.openapi.repair.context import Context
from ib_mcp.openapi.rules import Place

Kind = Literal["text", "flag", "any"]


def copied(
    node: dict[str, Any], at: Place, context: Context, keys: Mapping[str, Kind], others: Collection[str] = ()
) -> dict[str, Any]:
    """The ``keys`` of ``node`` that are of their kind, and its ``x-`` keys; ``others`` are left to the caller."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key in keys:
            kept = of_kind(value, keys[key], (*at, key), context)
            if kept is not None or keys[key] == "any":
                found[key] = kept
        elif key.startswith("x-"):
            found[key] = value
        elif key not in others:
            context.note("key-unknown", (*at, key))
    return found


def of_kind(value: Any, kind: Kind, at: Place, context: Context) -> Any:
    """``value`` if it is of ``kind`` or says so; else None."""
    if kind == "any":
        return value
    if kind == "text":
        if isinstance(value, str):
            return value
        if isinstance(value, (int, float)):
            context.note("text-expected", at, value)
            return str(value).lower() if isinstance(value, bool) else str(value)
    elif isinstance(value, bool):
        return value
    elif isinstance(value, str) and value.lower() in ("true", "false"):
        context.note("number-expected", at, value)
        return value.lower() == "true"
    context.note("kind-wrong", at, f"{said(value)} where a {kind} belongs")
    return None


def as_object(value: Any, at: Place, context: Context) -> dict[str, Any]:
    """``value`` if it is an object; else an empty one."""
    if isinstance(value, dict):
        return value
    context.note("kind-wrong", at, f"{said(value)} where an object belongs")
    return {}


def as_list(value: Any, at: Place, context: Context) -> list[Any]:
    """``value`` if it is a list; an object in place of a list of one is that one, anything else an empty list."""
    if isinstance(value, list):
        return value
    context.note("kind-wrong", at, f"{said(value)} where a list belongs")
    return [value] if isinstance(value, dict) and value else []


def said(value: Any) -> str:
    """What ``value`` is, for a person."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "a flag"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
    return "an object"
