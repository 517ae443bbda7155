"""What describes a value on the wire: schemas or media types, styles, headers and examples."""

from __future__ import annotations

from typing import Any

from ib_mcp.openapi.repair import schemas
from ib_mcp.openapi.repair.context import Context
from ib_mcp.openapi.repair.kinds import as_object, copied, said
from ib_mcp.openapi.rules import Place

STYLES = {
    "path": ("matrix", "label", "simple"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_KEYS: dict[str, Any] = {
    "description": "text", "required": "flag", "deprecated": "flag", "explode": "flag", "allowReserved": "flag",
    "allowEmptyValue": "flag",
}  # fmt: skip
_OTHERS = frozenset({"name", "in", "style", "schema", "content", "example", "examples"})
_ENCODING = {"contentType": "text", "explode": "flag", "allowReserved": "flag"}
_BODY_STYLES = ("form", "spaceDelimited", "pipeDelimited", "deepObject")


def described(node: dict[str, Any], at: Place, context: Context, where: str) -> dict[str, Any]:
    """What a parameter or header in ``where`` has besides its name."""
    made = copied(node, at, context, _KEYS, _OTHERS)
    if "style" in node:
        if node["style"] in STYLES[where]:
            made["style"] = node["style"]
        else:
            context.note("parameter-style", (*at, "style"), f"{str(node['style'])[:40]} in {where}")
    given = node.get("content")
    if "schema" not in node and isinstance(given, dict) and len(given) == 1:
        made["content"] = content(given, (*at, "content"), context)
        for key in ("style", "explode", "allowReserved"):
            made.pop(key, None)
        return made
    if "schema" in node:
        made["schema"] = schemas.repair(node["schema"], (*at, "schema"), context)
        if "content" in node:
            context.note("key-unknown", (*at, "content"), "beside a schema")
        if made["schema"] in ({}, True) or (isinstance(made["schema"], dict) and _is_of_no_type(made["schema"])):
            context.note("parameter-without-type", at, node.get("name", ""))
            made["schema"] = {"type": "string", **(made["schema"] if isinstance(made["schema"], dict) else {})}
    else:
        context.note("parameter-without-schema", at, node.get("name", ""))
        made["schema"] = {"type": "string"}
    examples(node, made, at, context)
    return made


def _is_of_no_type(schema: dict[str, Any]) -> bool:
    return not {"type", "$ref", "enum", "const", "allOf", "anyOf", "oneOf", "not", "default"} & schema.keys()


def header(node: Any, at: Place, context: Context) -> dict[str, Any]:
    """A header of a response."""
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "headers", at)
        return {"schema": {}} if target is None else {"$ref": target}
    if not isinstance(node, dict):
        context.note("kind-wrong", at, f"{said(node)} where a header belongs")
        return {"schema": {}}
    inner = {key: value for key, value in node.items() if key not in ("name", "in")}
    made = described(inner, at, context, "header")
    made.pop("allowEmptyValue", None)
    made.pop("allowReserved", None)
    return made


def content(node: Any, at: Place, context: Context) -> dict[str, Any]:
    """Media types and what each holds."""
    return {name: _media(one, (*at, name), context) for name, one in as_object(node, at, context).items()}


def _media(node: Any, at: Place, context: Context) -> dict[str, Any]:
    given = as_object(node, at, context)
    made = copied(given, at, context, {}, ("schema", "example", "examples", "encoding"))
    if "schema" in given:
        made["schema"] = schemas.repair(given["schema"], (*at, "schema"), context)
    examples(given, made, at, context)
    if "encoding" in given:
        made["encoding"] = {
            name: _encoding(one, (*at, "encoding", name), context)
            for name, one in as_object(given["encoding"], (*at, "encoding"), context).items()
        }
    return made


def _encoding(node: Any, at: Place, context: Context) -> dict[str, Any]:
    given = as_object(node, at, context)
    made = copied(given, at, context, _ENCODING, ("headers", "style"))  # type: ignore[arg-type]
    if "headers" in given:
        named = as_object(given["headers"], (*at, "headers"), context)
        made["headers"] = {name: header(one, (*at, "headers", name), context) for name, one in named.items()}
    if given.get("style") in _BODY_STYLES:
        made["style"] = given["style"]
    elif "style" in given:
        context.note("parameter-style", (*at, "style"))
    return made


def examples(node: dict[str, Any], made: dict[str, Any], at: Place, context: Context) -> None:
    """Put the examples of ``node`` into ``made``: either one or named ones."""
    if "examples" in node:
        given = node["examples"]
        if isinstance(given, list):
            context.note("kind-wrong", (*at, "examples"), "a list where an object belongs")
            given = {str(index + 1): {"value": one} for index, one in enumerate(given)}
        named = as_object(given, (*at, "examples"), context)
        made["examples"] = {name: example(one, (*at, "examples", name), context) for name, one in named.items()}
        if "example" in node:
            context.note("example-twice", at)
    elif "example" in node:
        made["example"] = node["example"]


def example(node: Any, at: Place, context: Context) -> dict[str, Any]:
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "examples", at)
        return {"summary": ""} if target is None else {"$ref": target}
    if not isinstance(node, dict):
        context.note("kind-wrong", at, f"{said(node)} where an example belongs")
        return {"value": node}
    made = copied(
        node, at, context, {"summary": "text", "description": "text", "value": "any", "externalValue": "text"}
    )
    if "value" in made and made.pop("externalValue", None) is not None:
        context.note("example-twice", at)
    return made
