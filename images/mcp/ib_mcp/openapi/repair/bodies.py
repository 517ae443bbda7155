"""Request bodies, responses, and what they hold: media types, examples, links."""

from __future__ import annotations

import re
from typing import Any

from ib_mcp.openapi.repair import media
from ib_mcp.openapi.repair.context import MISSING, Context
from ib_mcp.openapi.repair.kinds import as_object, copied, said
from ib_mcp.openapi.rules import Place

_CODE = re.compile(r"[1-5](\d\d|XX)|default")
_JSON = "application/json"


def request(node: Any, at: Place, context: Context) -> dict[str, Any]:
    """The body of a request."""
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "requestBodies", at)
        return {"content": {_JSON: {}}} if target is None else {"$ref": target}
    body = as_object(node, at, context)
    made = copied(body, at, context, {"description": "text", "required": "flag"}, ("content",))
    made["content"] = media.content(body.get("content", {}), (*at, "content"), context)
    if not made["content"]:
        context.note("body-without-content", at)
        made["content"] = {_JSON: {}}
    return made


def responses(node: Any, at: Place, context: Context) -> dict[str, Any]:
    """The responses of an operation; at least one."""
    made: dict[str, Any] = {}
    if isinstance(node, dict):
        for code, value in node.items():
            if code.startswith("x-"):
                made[code] = value
                continue
            name = code if _CODE.fullmatch(code) else code.upper() if _CODE.fullmatch(code.upper()) else "default"
            if name != code:
                context.note("response-code", (*at, code), f"{code[:40]} as {name}")
            if name not in made:
                made[name] = response(value, (*at, code), context)
    elif node is not MISSING:
        context.note("kind-wrong", at, f"{said(node)} where an object belongs")
    if not any(not code.startswith("x-") for code in made):
        context.note("responses-missing", at)
        made["default"] = {"description": ""}
    return made


def response(node: Any, at: Place, context: Context) -> dict[str, Any]:
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "responses", at)
        return {"description": ""} if target is None else {"$ref": target}
    given = as_object(node, at, context)
    made = copied(given, at, context, {"description": "text"}, ("content", "headers", "links"))
    if "description" not in made:
        context.note("response-without-description", at)
        made["description"] = ""
    if "content" in given:
        made["content"] = media.content(given["content"], (*at, "content"), context)
    if "headers" in given:
        named = as_object(given["headers"], (*at, "headers"), context)
        made["headers"] = {name: media.header(one, (*at, "headers", name), context) for name, one in named.items()}
    if "links" in given:
        named = as_object(given["links"], (*at, "links"), context)
        links = ((name, link(one, (*at, "links", name), context)) for name, one in named.items())
        made["links"] = {name: one for name, one in links if one is not None}
    return made


def link(node: Any, at: Place, context: Context) -> dict[str, Any] | None:
    """A link, or None when it leads nowhere."""
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "links", at)
        return None if target is None else {"$ref": target}
    given = as_object(node, at, context)
    keys = {"operationRef": "text", "operationId": "text", "description": "text", "requestBody": "any"}
    made = copied(given, at, context, keys, ("parameters", "server"))  # type: ignore[arg-type]
    if "operationId" in made:
        made.pop("operationRef", None)
    elif "operationRef" not in made:
        context.note("kind-wrong", at, "a link to no operation")
        return None
    if "parameters" in given:
        made["parameters"] = as_object(given["parameters"], (*at, "parameters"), context)
    return made
