"""Schemas: of 3.0 or 3.1, as valid ones of 3.1."""

from __future__ import annotations

import re
from typing import Any

from ib_mcp.openapi.repair import values
from ib_mcp.openapi.repair.context import Context
from ib_mcp.openapi.repair.kinds import as_object, of_kind, said
from ib_mcp.openapi.rules import Place

_LIKELY = {
    "int": "integer", "int32": "integer", "int64": "integer", "long": "integer", "short": "integer",
    "float": "number", "double": "number", "decimal": "number", "numeric": "number",
    "str": "string", "text": "string", "char": "string", "date": "string", "datetime": "string", "date-time": "string",
    "uuid": "string", "file": "string", "binary": "string", "enum": "string",
    "bool": "boolean", "list": "array", "map": "object", "dict": "object", "none": "null", "nil": "null",
}  # fmt: skip
_TEXTS = frozenset({"title", "description", "$comment", "contentMediaType", "contentEncoding"})
_FLAGS = frozenset({"uniqueItems", "readOnly", "writeOnly", "deprecated"})
_NUMBERS = frozenset({"minimum", "maximum", "multipleOf"})
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_COUNTS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
)
_ONE = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems",
     "unevaluatedProperties", "contentSchema"}
)  # fmt: skip
_NAMED = frozenset({"patternProperties", "dependentSchemas", "$defs"})
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_LATER = frozenset({"$ref", "type", "nullable", "enum", "default", "required", "properties"})
_TYPE_OF_FORMAT = {"int32": "integer", "int64": "integer", "float": "number", "double": "number"}


def repair(node: Any, at: Place, context: Context, *, in_composition: bool = False) -> Any:
    """``node`` as a schema of 3.1. ``in_composition``: what it requires may be described beside it."""
    if isinstance(node, bool):
        return node
    if not isinstance(node, dict):
        context.note("kind-wrong", at, f"{said(node)} where a schema belongs")
        return {}
    made: dict[str, Any] = {}
    if "$ref" in node:
        target = context.target(node["$ref"], "schemas", at)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if target is not None:
            if context.version == "3.0":
                if beside:
                    context.note("reference-siblings", at, ", ".join(beside))
                return {"$ref": target}
            made["$ref"] = target
        node = beside
    for key, value in node.items():
        if key not in _LATER:
            _keyword(key, value, made, (*at, key), context)
    _type(node, made, at, context, in_composition)
    _object(node, made, at, context, in_composition)
    if "enum" in node:
        values.enum(node["enum"], made, (*at, "enum"), context)
    _nullable(node, made, at, context)
    _format(made, at, context)
    if "array" in values.types_of(made) and not {"items", "prefixItems"} & made.keys() and context.version == "3.0":
        context.note("array-without-items", at)
        made["items"] = {}
    if "default" in node:
        made["default"] = node["default"]
        context.defaults.append((made, at))
    return made


def _keyword(key: str, value: Any, made: dict[str, Any], at: Place, context: Context) -> None:
    """Put ``value`` under ``key`` into ``made``, mended, unless it cannot be."""
    kept: Any = None
    if key in _TEXTS:
        kept = of_kind(value, "text", at, context)
    elif key in _FLAGS:
        kept = of_kind(value, "flag", at, context)
    elif key in _BOUNDS and isinstance(value, bool):
        pass  # of 3.0; _bounds makes a number of it
    elif key in _NUMBERS or key in _BOUNDS:
        kept = _number(key, value, at, context)
    elif key in _COUNTS:
        kept = _count(value, at, context)
    elif key == "items" and isinstance(value, list):
        context.note("items-as-list", at)
        parts = [repair(part, (*at, index), context) for index, part in enumerate(value)]
        kept = {"anyOf": parts} if parts else {}
    elif key in _ONE:
        kept = repair(value, at, context)
    elif key in _NAMED:
        kept = {name: repair(part, (*at, name), context) for name, part in as_object(value, at, context).items()}
    elif key in _SEVERAL:
        kept = _several(value, at, context)
    else:
        _other(key, value, made, at, context)
        return
    if kept is not None:
        made[key] = kept


def _other(key: str, value: Any, made: dict[str, Any], at: Place, context: Context) -> None:
    if key in ("const", "example", "xml") or key.startswith("x-"):
        if key != "xml" or isinstance(value, dict):
            made[key] = value
        else:
            context.note("kind-wrong", at, said(value))
    elif key == "examples":
        if isinstance(value, list):
            made[key] = value
        else:
            context.note("kind-wrong", at, f"{said(value)} where a list belongs")
    elif key == "format":
        if isinstance(value, str):
            made[key] = value
        else:
            context.note("kind-wrong", at, said(value))
    elif key == "pattern":
        _pattern(value, made, at, context)
    elif key == "externalDocs":
        if isinstance(value, dict) and isinstance(value.get("url"), str):
            made[key] = {name: value[name] for name in ("description", "url") if isinstance(value.get(name), str)}
        else:
            context.note("kind-wrong", at, "no address")
    elif key == "discriminator":
        _discriminator(value, made, at, context)
    else:
        context.note("key-unknown", at)


def _pattern(value: Any, made: dict[str, Any], at: Place, context: Context) -> None:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError):
        context.note("kind-wrong", at, "no pattern that can be read")
        return
    made["pattern"] = value


def _discriminator(value: Any, made: dict[str, Any], at: Place, context: Context) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("propertyName"), str):
        context.note("kind-wrong", at, "no name of a property")
        return
    kept: dict[str, Any] = {"propertyName": value["propertyName"]}
    if isinstance(value.get("mapping"), dict):
        mapping = {}
        for name, target in value["mapping"].items():
            if isinstance(target, str) and target.startswith("#"):
                target = context.target(target, "schemas", (*at, "mapping", name))
            if isinstance(target, str):
                mapping[name] = target
        kept["mapping"] = mapping
    made["discriminator"] = kept


def _number(key: str, value: Any, at: Place, context: Context) -> Any:
    read = values.read_as(value, ["number"])
    if not values.is_type(read, "number") or (key == "multipleOf" and read <= 0):
        context.note("kind-wrong", at, f"{said(value)} where a number belongs")
        return None
    if read is not value:
        context.note("number-expected", at, value)
    return read


def _count(value: Any, at: Place, context: Context) -> int | None:
    read = values.read_as(value, ["integer"])
    if not values.is_type(read, "integer") or read < 0:
        context.note("kind-wrong", at, f"{said(value)} where a count belongs")
        return None
    if read is not value:
        context.note("number-expected", at, value)
    return int(read)


def _several(value: Any, at: Place, context: Context) -> list[Any] | None:
    parts = value if isinstance(value, list) else [value] if isinstance(value, dict) and value else []
    if parts is not value or not parts:
        context.note("composition-empty", at, said(value))
    made = [repair(part, (*at, index), context, in_composition=True) for index, part in enumerate(parts)]
    return made or None


def _is_name_of_other(name: Any, at: Place, context: Context) -> bool:
    """Whether a type is the name of a schema, to which ``at`` is not bound to lead back at once."""
    return isinstance(name, str) and ("schemas", name) in context.names and (at[0] != "components" or len(at) > 3)


def _type(node: dict[str, Any], made: dict[str, Any], at: Place, context: Context, in_composition: bool) -> None:
    if "type" not in node:
        return
    given = node["type"]
    named = given if isinstance(given, list) else [given]
    found: list[str] = []
    for one in named:
        name = one if isinstance(one, str) and one in values.TYPES else None
        if name is None and not in_composition and _is_name_of_other(one, at, context):
            context.note("type-unknown", (*at, "type"), f"{one}: the schema of that name")
            made["$ref"] = f"#/components/schemas/{context.names['schemas', one]}"
            return
        if name is None:
            name = _LIKELY.get(one.strip().lower(), one.strip().lower()) if isinstance(one, str) else None
            name = name if name in values.TYPES else None
            context.note(
                "type-unknown", (*at, "type"), f"{one if isinstance(one, str) else said(one)}: {name or 'none'}"
            )
            if name == "string" and one.strip().lower() in ("date", "date-time", "datetime", "uuid", "binary"):
                made.setdefault("format", "date-time" if one.strip().lower() == "datetime" else one.strip().lower())
        if name is not None and name not in found:
            found.append(name)
    if found:
        made["type"] = found[0] if len(found) == 1 else found


def _object(node: dict[str, Any], made: dict[str, Any], at: Place, context: Context, in_composition: bool) -> None:
    """Properties, and which of them are required."""
    required: list[str] = []
    if "properties" in node:
        known = {}
        for name, part in as_object(node["properties"], (*at, "properties"), context).items():
            if isinstance(part, dict) and isinstance(part.get("required"), bool):
                context.note("required-as-flag", (*at, "properties", name, "required"))
                required += [name] * part["required"]
                part = {key: value for key, value in part.items() if key != "required"}
            known[name] = repair(part, (*at, "properties", name), context)
        made["properties"] = known
        if "type" not in node and "$ref" not in made:
            context.note("object-without-type", at)
            made["type"] = "object"
    listed = node.get("required")
    if listed is not None and not isinstance(listed, list):
        context.note("kind-wrong", (*at, "required"), f"{said(listed)} where a list belongs")
        listed = None
    names = [name for name in listed or () if isinstance(name, str)]
    if len(set(names)) < len(listed or ()):
        context.note("required-invalid", (*at, "required"))
    names = list(dict.fromkeys([*names, *required]))
    if names:
        made["required"] = names
        if not in_composition and {"properties", "allOf"} & made.keys():
            context.required.append((made, at))


def _nullable(node: dict[str, Any], made: dict[str, Any], at: Place, context: Context) -> None:
    """3.1 says with types what 3.0 says with flags."""
    for exclusive, bound in _BOUNDS.items():
        if node.get(exclusive) is True and bound in made:
            made[exclusive] = made.pop(bound)
    if "nullable" not in node:
        return
    if of_kind(node["nullable"], "flag", (*at, "nullable"), context) is not True:
        return
    types = values.types_of(made)
    if types and "null" not in types:
        made["type"] = [*types, "null"]
    if "enum" in made and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    for key in ("allOf", "oneOf", "anyOf"):
        if not types and key in made:
            inner = {key: made.pop(key)}
            made["anyOf"] = [*inner["anyOf"], {"type": "null"}] if key == "anyOf" else [inner, {"type": "null"}]
            break


def _format(made: dict[str, Any], at: Place, context: Context) -> None:
    wanted, types = _TYPE_OF_FORMAT.get(made.get("format", "")), values.types_of(made)
    if wanted and types and not {wanted, "number", "integer"} & set(types):
        context.note("format-against-type", (*at, "format"), f"{made['format']} on {' or '.join(types)}")
        del made["format"]
