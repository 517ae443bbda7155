"""A whole document repaired."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_mcp.openapi.load import Document
from ib_mcp.openapi.repair import bodies, media, operations, parameters, schemas, security, settling
from ib_mcp.openapi.repair.context import SECTIONS, Context
from ib_mcp.openapi.repair.kinds import as_list, as_object, copied, said
from ib_mcp.openapi.rules import Finding, Findings, Place

VERSION = "3.1.0"
_INFO = {"title": "text", "summary": "text", "description": "text", "termsOfService": "text", "version": "text"}
_KNOWN = (
    "openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components", "security", "tags",
    "externalDocs",
)  # fmt: skip
_Part = Callable[[Any, Place, Context], Any]


@dataclass(frozen=True, slots=True)
class Repaired:
    """A valid OpenAPI 3.1 document, and what was needed to make it from the one that was given."""

    document: dict[str, Any]
    findings: tuple[Finding, ...]


def repair(given: Document) -> Repaired:
    """``given`` as a valid document; nothing is left out without a finding."""
    source = given.root
    findings = Findings()
    context = Context(source, _version(source, findings), findings)
    if given.was_swagger:
        findings.note("version-old", ("openapi",))
    for key in given.repeated:
        findings.note("key-repeated", (), key)
    for text in given.mended:
        findings.note("text-broken", (), text)
    for key in source:
        if key not in _KNOWN and not key.startswith("x-"):
            findings.note("key-unknown", (key,))
    context.name_components()
    components = _components(context)
    schemes = frozenset(components.get("securitySchemes", ()))
    made: dict[str, Any] = {"openapi": VERSION, "info": _info(source.get("info"), context)}
    if "servers" in source:
        made["servers"] = operations.servers(source["servers"], ("servers",), context)
    made["paths"] = operations.paths(source.get("paths", {}), context, schemes)
    if "webhooks" in source:
        findings.note("callback-left-out", ("webhooks",))
    if moved := context.settle_moved(lambda node, at: schemas.repair(node, at, context)):
        components.setdefault("schemas", {}).update(moved)
    if components:
        made["components"] = components
    if "security" in source:
        made["security"] = security.requirements(source["security"], ("security",), context, schemes)
    if tags := _tags(source.get("tags", []), context):
        made["tags"] = tags
    docs = source.get("externalDocs")
    if isinstance(docs, dict) and isinstance(docs.get("url"), str):
        made["externalDocs"] = {name: docs[name] for name in ("description", "url") if isinstance(docs.get(name), str)}
    made |= {key: value for key, value in source.items() if key.startswith("x-")}
    settling.required(components.get("schemas", {}), context)
    settling.defaults(components.get("schemas", {}), context)
    return Repaired(made, tuple(findings.rows))


def _version(source: dict[str, Any], findings: Findings) -> str:
    found = re.fullmatch(r"(3\.[01])(\.\d+)?(-.+)?", str(source.get("openapi")))
    if found is None:
        findings.note("version-unclear", ("openapi",), source.get("openapi"))
        return "3.1"
    return found[1]


def _info(node: Any, context: Context) -> dict[str, Any]:
    at: Place = ("info",)
    given = as_object(node, at, context)
    made = copied(given, at, context, _INFO, ("contact", "license"))  # type: ignore[arg-type]
    for key, default in (("title", "Untitled"), ("version", "0")):
        if key not in made:
            context.note("info-incomplete", (*at, key))
            made[key] = default
    for key, names in (("contact", ("name", "url", "email")), ("license", ("name", "url"))):
        part = given.get(key)
        if isinstance(part, dict) and (key != "license" or isinstance(part.get("name"), str)):
            made[key] = {name: part[name] for name in names if isinstance(part.get(name), str)}
        elif part is not None:
            context.note("kind-wrong", (*at, key), said(part))
    return made


def _components(context: Context) -> dict[str, Any]:
    def schema(node: Any, at: Place, context: Context) -> Any:
        return schemas.repair(node, at, context)

    def parameter(node: Any, at: Place, context: Context) -> Any:
        if isinstance(node, dict) and "$ref" in node:
            target = context.target(node["$ref"], "parameters", at)
            return None if target is None else {"$ref": target}
        return parameters.repair(node, at, context)

    # Path items are written out where they are used; calls of the other direction are left out.
    makers: dict[str, _Part] = {
        "schemas": schema,
        "responses": bodies.response,
        "parameters": parameter,
        "examples": media.example,
        "requestBodies": bodies.request,
        "headers": media.header,
        "securitySchemes": security.scheme,
        "links": bodies.link,
    }
    given = context.source.get("components", {})
    for name in as_object(given, ("components",), context):
        if name not in SECTIONS and not name.startswith("x-"):
            context.note("key-unknown", ("components", name))
    made: dict[str, Any] = {}
    for section, make in makers.items():
        if isinstance(given, dict) and section in given and not isinstance(given[section], dict):
            context.note("kind-wrong", ("components", section), said(given[section]))
        parts = {
            context.names[section, name]: make(node, ("components", section, name), context)
            for name, node in context.section(section).items()
        }
        if kept := {name: part for name, part in parts.items() if part is not None}:
            made[section] = kept
    if context.section("callbacks"):
        context.note("callback-left-out", ("components", "callbacks"))
    return made


def _tags(node: Any, context: Context) -> list[dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for index, one in enumerate(as_list(node, ("tags",), context)):
        at: Place = ("tags", index)
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or one["name"] in made:
            context.note("tag-repeated", at, one.get("name", "") if isinstance(one, dict) else said(one))
            continue
        made[one["name"]] = copied(one, at, context, {"name": "text", "description": "text"}, ("externalDocs",))
    return list(made.values())
