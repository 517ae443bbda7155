"""Values inside schemas: whether one fits, and enums, defaults and numbers that do not."""

from __future__ import annotations

import json
from typing import Any

from ib_mcp.openapi.repair.context import MISSING, Context
from ib_mcp.openapi.rules import Place

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_MOST_STEPS = 200


def types_of(schema: Any) -> list[str]:
    """The types that a repaired schema names."""
    named = schema.get("type") if isinstance(schema, dict) else None
    return named if isinstance(named, list) else [named] if isinstance(named, str) else []


def is_type(value: Any, name: str) -> bool:
    """Whether a JSON value is of a JSON Schema type."""
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_as(value: Any, types: list[str]) -> Any:
    """``value`` as one of ``types``, if it says so in a text or is a number for a text; else MISSING."""
    if any(is_type(value, name) for name in types):
        return value
    if isinstance(value, str) and {"integer", "number", "boolean"} & set(types):
        try:
            read = json.loads(value.lower()) if len(value) < 40 else MISSING
        except (ValueError, RecursionError):
            return MISSING
        return read if any(is_type(read, name) for name in types) else MISSING
    if "string" in types and isinstance(value, (int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return MISSING


def enum(values: Any, schema: dict[str, Any], at: Place, context: Context) -> None:
    """Put ``values`` into ``schema`` as its enum, as far as they are one; its type goes where they contradict it."""
    if not isinstance(values, list) or not values:
        context.note("enum-invalid", at, "no list of values")
        return
    distinct = _distinct(values)
    if len(distinct) < len(values):
        context.note("enum-invalid", at, f"{len(values) - len(distinct)} repeated")
    types = types_of(schema)
    if types:
        read = [read_as(value, types) for value in distinct]
        if any(value is MISSING for value in read):
            context.note("type-of-enum", at, f"{' or '.join(types)} with {json.dumps(distinct)}")
            del schema["type"]
        elif read != distinct or any(type(a) is not type(b) for a, b in zip(read, distinct, strict=True)):
            context.note("type-of-enum", at, f"{' or '.join(types)} with {json.dumps(distinct)}")
            distinct = _distinct(read)
    schema["enum"] = distinct


def _distinct(values: list[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(_key(value), value)
    return list(found.values())


def _key(value: Any) -> str:
    """Equal for values that JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


class Fit:
    """Checks values against repaired schemas. What it cannot judge within bounds does not fit."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self._left = 0

    def __call__(self, value: Any, schema: Any) -> bool:
        """Whether ``value`` surely fits ``schema``."""
        self._left = _MOST_STEPS
        return self._fits(value, schema, 0)

    def _fits(self, value: Any, schema: Any, depth: int) -> bool:
        self._left -= 1
        if self._left < 0 or depth > 30:
            return False
        if isinstance(schema, bool):
            return schema
        if (
            "pattern" in schema
            or {
                "not",
                "if",
                "contains",
                "prefixItems",
                "propertyNames",
                "dependentSchemas",
                "patternProperties",
                "unevaluatedProperties",
                "unevaluatedItems",
            }
            & schema.keys()
        ):
            return False
        if "$ref" in schema and not self._fits(
            value, self._schemas.get(schema["$ref"].rpartition("/")[2], False), depth + 1
        ):
            return False
        types = types_of(schema)
        if types and not any(is_type(value, name) for name in types):
            return False
        if "enum" in schema and _key(value) not in map(_key, schema["enum"]):
            return False
        if "const" in schema and _key(value) != _key(schema["const"]):
            return False
        if any(not self._fits(value, one, depth + 1) for one in schema.get("allOf", ())):
            return False
        if "anyOf" in schema and not any(self._fits(value, one, depth + 1) for one in schema["anyOf"]):
            return False
        if "oneOf" in schema and sum(self._fits(value, one, depth + 1) for one in schema["oneOf"]) != 1:
            return False
        return self._within(value, schema) and self._contents(value, schema, depth)

    def _within(self, value: Any, schema: dict[str, Any]) -> bool:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return (
                value >= schema.get("minimum", value)
                and value <= schema.get("maximum", value)
                and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
                and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
                and "multipleOf" not in schema
            )
        for kind, least, most in (
            (str, "minLength", "maxLength"),
            (list, "minItems", "maxItems"),
            (dict, "minProperties", "maxProperties"),
        ):
            if isinstance(value, kind):
                return bool(schema.get(least, 0) <= len(value) <= schema.get(most, len(value)))
        return True

    def _contents(self, value: Any, schema: dict[str, Any], depth: int) -> bool:
        if isinstance(value, list):
            if schema.get("uniqueItems") and len(_distinct(value)) < len(value):
                return False
            return all(self._fits(one, schema.get("items", True), depth + 1) for one in value)
        if isinstance(value, dict):
            known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
            return set(schema.get("required", ())) <= value.keys() and all(
                self._fits(one, known.get(name, more), depth + 1) for name, one in value.items()
            )
        return True
