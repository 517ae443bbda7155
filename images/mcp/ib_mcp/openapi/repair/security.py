"""Security schemes, and the requirements of them."""

from __future__ import annotations

from typing import Any

from ib_mcp.openapi.repair.context import Context
from ib_mcp.openapi.repair.kinds import as_list, as_object, copied, said
from ib_mcp.openapi.rules import Place


def scheme(node: Any, at: Place, context: Context) -> dict[str, Any] | None:
    """A security scheme, or None when it lacks what its type needs."""
    if isinstance(node, dict) and "$ref" in node:
        target = context.target(node["$ref"], "securitySchemes", at)
        return None if target is None else {"$ref": target}
    given = as_object(node, at, context)
    texts = ("name", "scheme", "bearerFormat", "openIdConnectUrl", "description")
    made = copied(given, at, context, dict.fromkeys(texts, "text"), ("type", "in", "flows"))
    kind = given.get("type")
    if kind == "apiKey" and "name" in made and given.get("in") in ("query", "header", "cookie"):
        made["in"] = given["in"]
        keys: tuple[str, ...] = ("name", "in")
    elif kind == "http" and "scheme" in made:
        keys = ("scheme", "bearerFormat")
    elif kind == "openIdConnect" and "openIdConnectUrl" in made:
        keys = ("openIdConnectUrl",)
    elif kind == "mutualTLS":
        keys = ()
    elif kind == "oauth2" and (flows := _flows(given.get("flows"), (*at, "flows"), context)):
        made["flows"] = flows
        keys = ("flows",)
    else:
        context.note("security-scheme-incomplete", at, str(kind)[:40])
        return None
    return {"type": kind, **{key: made[key] for key in made if key in (*keys, "description") or key.startswith("x-")}}


def _flows(node: Any, at: Place, context: Context) -> dict[str, Any]:
    needed = {
        "implicit": ("authorizationUrl",),
        "password": ("tokenUrl",),
        "clientCredentials": ("tokenUrl",),
        "authorizationCode": ("authorizationUrl", "tokenUrl"),
    }
    made = {}
    for name, flow in as_object(node, at, context).items():
        if name in needed and isinstance(flow, dict) and all(isinstance(flow.get(key), str) for key in needed[name]):
            scopes = as_object(flow.get("scopes", {}), (*at, name, "scopes"), context)
            made[name] = {key: flow[key] for key in needed[name]} | {
                "scopes": {scope: text for scope, text in scopes.items() if isinstance(text, str)}
            }
            if isinstance(flow.get("refreshUrl"), str):
                made[name]["refreshUrl"] = flow["refreshUrl"]
        else:
            context.note("key-unknown", (*at, name), "a flow without its addresses")
    return made


def requirements(node: Any, at: Place, context: Context, known: frozenset[str]) -> list[dict[str, list[str]]]:
    """Security requirements of the schemes in ``known``."""
    made = []
    for index, one in enumerate(as_list(node, at, context)):
        if not isinstance(one, dict):
            context.note("security-invalid", (*at, index), said(one))
            continue
        kept: dict[str, list[str]] = {}
        for name, scopes in one.items():
            texts = [scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else []
            if name not in known or not isinstance(scopes, list) or len(texts) < len(scopes):
                context.note("security-invalid", (*at, index), name)
            if name in known:
                kept[name] = texts
        if kept or not one:
            made.append(kept)
    return made
