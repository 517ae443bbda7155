"""Parameters and headers, and how those of a path fit its template."""

from __future__ import annotations

import re
from typing import Any

from ib_mcp.openapi.repair import bodies, schemas
from ib_mcp.openapi.repair.context import MISSING, Context
from ib_mcp.openapi.repair.kinds import as_list, copied, said
from ib_mcp.openapi.rules import Place

_STYLES = {
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
VARIABLE = re.compile(r"\{([^{}/]*)\}")


def of_operation(
    path: str, written: str, given: list[tuple[Any, Place]], at: Place, context: Context
) -> list[dict[str, Any]]:
    """The parameters of an operation at ``path``, each in full; the earlier of two with one name and place counts.

    ``written``: the same path with the names of variables for which the parameters were written.
    """
    variables = list(dict.fromkeys(VARIABLE.findall(path)))
    renamed = dict(zip(VARIABLE.findall(written), VARIABLE.findall(path), strict=True))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for node, place in given:
        resolved = context.resolved(node, "parameters")
        if resolved is MISSING:
            rule = "reference-elsewhere" if not str(node.get("$ref")).startswith("#") else "reference-dangling"
            context.note(rule, place, node.get("$ref"))
            context.note("parameter-incomplete", place, "a reference to nothing")
            continue
        made = repair(resolved, place, context)
        if made is None:
            continue
        if made["in"] == "path":
            made["name"] = renamed.get(made["name"], made["name"])
            _fit(made, variables, place, context)
        key = made["name"].lower() if made["in"] == "header" else made["name"], made["in"]
        if key in found:
            context.note("parameter-repeated", place, f"{made['name']} in {made['in']}")
            continue
        found[key] = made
    for name in variables:
        if (name, "path") not in found:
            context.note("parameter-undeclared", at, name)
            found[name, "path"] = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    return list(found.values())


def listed(node: Any, at: Place, context: Context) -> list[tuple[Any, Place]]:
    """The entries of a list of parameters with their places."""
    return [(one, (*at, index)) for index, one in enumerate(as_list(node, at, context))]


def repair(node: Any, at: Place, context: Context) -> dict[str, Any] | None:
    """A parameter by itself, or None when it names nothing."""
    if not isinstance(node, dict) or not isinstance(node.get("name"), str) or not node["name"]:
        context.note("parameter-incomplete", at, "without a name" if isinstance(node, dict) else said(node))
        return None
    if node.get("in") not in tuple(_STYLES):
        context.note("parameter-incomplete", at, f"{node['name']} in {str(node.get('in'))[:40]}")
        return None
    made = {"name": node["name"], "in": node["in"], **_described(node, at, context, node["in"])}
    if made["in"] == "path" and made.get("required") is not True:
        context.note("parameter-optional-in-path", at, made["name"])
        made["required"] = True
    if made["in"] != "query":
        made.pop("allowEmptyValue", None)
        made.pop("allowReserved", None)
    return made


def header(node: Any, at: Place, context: Context) -> dict[str, Any]:
    """A header of a response."""
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "headers", at)
        return {"schema": {}} if target is None else {"$ref": target}
    if not isinstance(node, dict):
        context.note("kind-wrong", at, f"{said(node)} where a header belongs")
        return {"schema": {}}
    inner = {key: value for key, value in node.items() if key not in ("name", "in")}
    made = _described(inner, at, context, "header")
    made.pop("allowEmptyValue", None)
    made.pop("allowReserved", None)
    return made


def _described(node: dict[str, Any], at: Place, context: Context, where: str) -> dict[str, Any]:
    made = copied(node, at, context, _KEYS, _OTHERS)
    if "style" in node:
        if node["style"] in _STYLES[where]:
            made["style"] = node["style"]
        else:
            context.note("parameter-style", (*at, "style"), f"{str(node['style'])[:40]} in {where}")
    content = node.get("content")
    if "schema" not in node and isinstance(content, dict) and len(content) == 1:
        made["content"] = bodies.content(content, (*at, "content"), context)
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
    bodies.examples(node, made, at, context)
    return made


def _is_of_no_type(schema: dict[str, Any]) -> bool:
    return not {"type", "$ref", "enum", "const", "allOf", "anyOf", "oneOf", "not", "default"} & schema.keys()


def _fit(made: dict[str, Any], variables: list[str], at: Place, context: Context) -> None:
    """Name ``made`` as the path does; what the path has not at all goes to the query."""
    if made["name"] in variables:
        return
    same = [name for name in variables if name.lower() == made["name"].lower()]
    if same:
        context.note("parameter-spelling", at, f"{made['name']} is {same[0]} in the path")
        made["name"] = same[0]
        return
    context.note("parameter-not-in-path", at, made["name"])
    made["in"] = "query"
    made["required"] = False
    made.pop("style", None)
