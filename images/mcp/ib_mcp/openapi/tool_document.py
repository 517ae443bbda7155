"""The document that tools are generated from: what was selected, under the gateway's paths, cut to its arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ib_mcp.openapi.compact import compact, sentence
from ib_mcp.openapi.parts import body_schema, properties
from ib_mcp.openapi.repair.document import VERSION
from ib_mcp.openapi.select import PREFIX, Served
from ibkr.operation import Operation

PICK, CURSOR = "pick", "cursor"
"""Arguments that every tool has for large answers; they are not sent."""


def tool_document(document: dict[str, Any], served: Iterable[tuple[str, Served]]) -> dict[str, Any]:
    """A valid document of the named operations of ``document``; each is described by its row of the catalogue.

    What the row says goes: which parameters there are at least, and which of them the live API insists on.
    """
    paths: dict[str, Any] = {}
    for name, one in served:
        paths.setdefault(PREFIX + one.row.path, {})[one.method.lower()] = _operation(name, one, document)
    return {
        "openapi": VERSION,
        "info": {"title": "IBKR", "version": "1"},
        "servers": [{"url": "http://guard"}],
        "paths": paths,
    }


def _operation(name: str, one: Served, document: dict[str, Any]) -> dict[str, Any]:
    row = one.row
    made: dict[str, Any] = {
        "operationId": name,
        "description": f"{row.title}. {row.reason}".strip(),
        "tags": list(row.tags),
        "responses": {"200": {"description": ""}},
    }
    written = {(part["in"], part["name"].lower()): part for part in one.operation.get("parameters", ())}
    parameters = [
        _parameter(name, "path", True, written.get(("path", name.lower())), document) for name in row.path_parameters
    ]
    required = {parameter.name for parameter in row.query if parameter.required}
    names = dict.fromkeys([parameter.name for parameter in row.query])
    names |= dict.fromkeys(part["name"] for (where, _), part in written.items() if where == "query")
    parameters += [
        _parameter(name, "query", name in required, written.get(("query", name.lower())), document) for name in names
    ]
    used = {part["name"] for part in parameters} | {parameter.name for parameter in row.body}
    parameters += [
        {"name": extra, "in": "query", "schema": {"type": "string"}} for extra in (PICK, CURSOR) if extra not in used
    ]
    made["parameters"] = parameters
    if body := _body(row, one, document):
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def _parameter(
    name: str, where: str, required: bool, written: dict[str, Any] | None, document: dict[str, Any]
) -> dict[str, Any]:
    given = written or {}
    schema = compact(given.get("schema", {"type": "string"}), document)
    if where == "query" and (name in _LISTS or schema.get("type") == "array"):
        # Documents call some of them one number or one of an enum; on the wire each is a list with commas.
        schema = {"type": "string", "description": "by commas"}
    if said := sentence(given.get("description"), name):
        schema.setdefault("description", said)
    return {"name": name, "in": where, "required": required, "schema": schema}


_LISTS = frozenset({"conids", "fields", "filters", "algos"})


def _body(row: Operation, one: Served, document: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the body: what the row names and what the document adds."""
    schema = body_schema(one.operation, document)
    named, _ = properties(schema, document) if schema is not None else ({}, set())
    names = dict.fromkeys([*(parameter.name for parameter in row.body), *named])
    if row.method == "GET" or not names:
        return None
    parts = {}
    for name in names:
        parts[name] = compact(named.get(name, {}), document, 1)
        if said := sentence(named.get(name, {}).get("description") if isinstance(named.get(name), dict) else "", name):
            parts[name]["description"] = said
    required = [parameter.name for parameter in row.body if parameter.required]
    return {"type": "object", "properties": parts, **({"required": required} if required else {})}
