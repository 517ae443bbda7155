"""Paths and their operations: none is lost without a word."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ib_mcp.openapi.repair import bodies, parameters, security
from ib_mcp.openapi.repair.context import MISSING, Context, Names
from ib_mcp.openapi.repair.kinds import as_list, as_object, copied, of_kind, said
from ib_mcp.openapi.rules import Place

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ITEM_KEYS = {"summary": "text", "description": "text"}
_OPERATION_KEYS = {"summary": "text", "description": "text", "deprecated": "flag"}
_OPERATION_OTHERS = frozenset(
    {
        "tags",
        "externalDocs",
        "operationId",
        "parameters",
        "requestBody",
        "responses",
        "callbacks",
        "security",
        "servers",
    }
)
_WITHOUT_BODY = ("get", "head", "delete", "options", "trace")
_LONGEST_ID = 64


class Operation(NamedTuple):
    """An operation as it was written; ``inherited`` are the parameters of its path.

    ``path`` is the repaired one, whose variables may have other names than the ``written`` one's.
    """

    path: str
    written: str
    method: str
    node: Any
    inherited: list[tuple[Any, Place]]
    at: Place


def paths(node: Any, context: Context, schemes: frozenset[str]) -> dict[str, Any]:
    """The ``paths`` of a document."""
    made: dict[str, Any] = {}
    shapes: dict[str, str] = {}
    ids = Names(longest=_LONGEST_ID)
    for path, item in as_object(node, ("paths",), context).items():
        if path.startswith("x-"):
            made[path] = item
            continue
        at = ("paths", path)
        key = path
        if not path.startswith("/"):
            context.note("path-without-slash", at)
            key = "/" + path
        shape = parameters.VARIABLE.sub("{}", key)
        if shape in shapes:
            context.note("path-repeated", at, shapes[shape])
            key = shapes[shape]
        shapes[shape] = key
        found = _item(key, path, item, context)
        kept = made.setdefault(key, {})
        if found is None:
            continue
        extras, operations = found
        kept |= {name: value for name, value in extras.items() if name not in kept}
        for one in operations:
            if one.method in kept:
                context.note("operation-lost", one.at, "its method is at this path already")
                continue
            kept[one.method] = _operation(one, context, schemes, ids)
    return made


def _item(key: str, path: str, item: Any, context: Context) -> tuple[dict[str, Any], list[Operation]] | None:
    """Everything at a path but its operations, and those."""
    at: Place = ("paths", path)
    if isinstance(item, dict) and "$ref" in item:
        target = context.resolved({"$ref": item["$ref"]}, "pathItems")
        if not isinstance(target, dict):
            context.note("operation-lost", at, "a reference to operations that are not in the document")
            target = {}
        item = {**target, **{name: value for name, value in item.items() if name != "$ref"}}
    if not isinstance(item, dict):
        context.note("operation-lost", at, f"{said(item)} in place of operations")
        return None
    names = {name: name.lower() for name in item if name.lower() in METHODS}
    made = copied(item, at, context, _ITEM_KEYS, ("parameters", "servers", *names))  # type: ignore[arg-type]
    if "servers" in item:
        made["servers"] = servers(item["servers"], (*at, "servers"), context)
    inherited = parameters.listed(item.get("parameters", []), (*at, "parameters"), context)
    operations = []
    for name, method in names.items():
        if name != method:
            context.note("method-spelling", (*at, name))
        operations.append(Operation(key, path, method, item[name], inherited, (*at, name)))
    return made, operations


def _operation(one: Operation, context: Context, schemes: frozenset[str], ids: Names) -> dict[str, Any]:
    node, at = one.node, one.at
    if not isinstance(node, dict):
        context.note("operation-empty", at, said(node))
        node = {}
    made = copied(node, at, context, _OPERATION_KEYS, _OPERATION_OTHERS)  # type: ignore[arg-type]
    made["operationId"] = _id(node.get("operationId"), one, context, ids)
    if "tags" in node:
        listed = enumerate(as_list(node["tags"], (*at, "tags"), context))
        tags = [of_kind(tag, "text", (*at, "tags", index), context) for index, tag in listed]
        made["tags"] = list(dict.fromkeys(tag for tag in tags if tag is not None))
    own = parameters.listed(node.get("parameters", []), (*at, "parameters"), context)
    if given := parameters.of_operation(one.path, one.written, _own_first(own, one.inherited, context), at, context):
        made["parameters"] = given
    if "requestBody" in node:
        if one.method in _WITHOUT_BODY:
            context.note("body-unexpected", (*at, "requestBody"), one.method)
        made["requestBody"] = bodies.request(node["requestBody"], (*at, "requestBody"), context)
    made["responses"] = bodies.responses(node.get("responses", MISSING), (*at, "responses"), context)
    if "security" in node:
        made["security"] = security.requirements(node["security"], (*at, "security"), context, schemes)
    if "servers" in node:
        made["servers"] = servers(node["servers"], (*at, "servers"), context)
    if "callbacks" in node:
        context.note("callback-left-out", (*at, "callbacks"))
    docs = node.get("externalDocs")
    if isinstance(docs, dict) and isinstance(docs.get("url"), str):
        made["externalDocs"] = {name: docs[name] for name in ("description", "url") if isinstance(docs.get(name), str)}
    elif docs is not None:
        context.note("kind-wrong", (*at, "externalDocs"), "no address")
    return made


def _own_first(
    own: list[tuple[Any, Place]], inherited: list[tuple[Any, Place]], context: Context
) -> list[tuple[Any, Place]]:
    """An operation's own parameters, then those of its path that it does not give itself."""

    def key(node: Any) -> tuple[Any, Any] | None:
        resolved = context.resolved(node, "parameters")
        return (str(resolved.get("name")), str(resolved.get("in"))) if isinstance(resolved, dict) else None

    given = {key(node) for node, _ in own}
    return [*own, *((node, at) for node, at in inherited if key(node) not in given)]


def _id(given: Any, one: Operation, context: Context, ids: Names) -> str:
    name = given if isinstance(given, str) and given.strip() else ""
    if not name:
        words = re.findall(r"[A-Za-z0-9]+", f"{one.method} {one.path}")
        name = "_".join(words)[:_LONGEST_ID]
        context.note("operation-without-id", one.at, name)
    else:
        allowed = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:_LONGEST_ID] or one.method
        if allowed != name:
            context.note("operation-id-invalid", (*one.at, "operationId"), f"{name[:60]} as {allowed}")
            name = allowed
    numbered = ids.give(name)
    if numbered != name:
        context.note("operation-id-repeated", (*one.at, "operationId"), f"{name} as {numbered}")
    return numbered


def servers(node: Any, at: Place, context: Context) -> list[dict[str, Any]]:
    """Servers that have an address."""
    made = []
    for index, one in enumerate(as_list(node, at, context)):
        here = (*at, index)
        if not isinstance(one, dict) or not isinstance(one.get("url"), str):
            context.note("server-incomplete", here)
            continue
        server = copied(one, here, context, {"url": "text", "description": "text"}, ("variables",))
        given = as_object(one.get("variables", {}), (*here, "variables"), context)
        variables = {name: _variable(value, (*here, "variables", name), context) for name, value in given.items()}
        if variables:
            server["variables"] = variables
        made.append(server)
    return made


def _variable(node: Any, at: Place, context: Context) -> dict[str, Any]:
    given = as_object(node, at, context)
    default = of_kind(given.get("default"), "text", (*at, "default"), context) or ""
    listed = given.get("enum")
    named = list(dict.fromkeys(one for one in listed if isinstance(one, str))) if isinstance(listed, list) else []
    if not named:
        return {"default": default}
    return {"default": default, "enum": named if default in named else [*named, default]}
