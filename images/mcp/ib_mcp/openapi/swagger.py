"""Swagger 2.0 written as OpenAPI 3.0: what it keeps elsewhere is moved; its faults are left to the repair."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.fetch import MOST_BYTES

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_MOVED = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
_OF_A_PARAMETER = frozenset({"name", "in", "description", "required", "allowEmptyValue", "collectionFormat"})
_STYLES: dict[str, dict[str, Any]] = {
    "csv": {"explode": False}, "multi": {"explode": True},
    "ssv": {"style": "spaceDelimited", "explode": False}, "pipes": {"style": "pipeDelimited", "explode": False},
}  # fmt: skip
_FLOWS = {"application": "clientCredentials", "accessCode": "authorizationCode"}
_NAMED = frozenset({"properties", "patternProperties"})
_INNER = frozenset({"items", "additionalProperties", "not", "allOf", "anyOf", "oneOf"})
_JSON = "application/json"
_FORM, _FILES = "application/x-www-form-urlencoded", "multipart/form-data"
_MOVED_KEYS = frozenset(
    {"swagger", "host", "basePath", "schemes", "consumes", "produces", "definitions", "parameters", "responses",
     "securityDefinitions", "paths"}
)  # fmt: skip


@dataclass(slots=True)
class _Whole:
    """What the document says for all its operations: parameters by name, the media types that they take and give."""

    shared: dict[str, Any]
    consumes: Any
    produces: Any
    written_out: int = 0

    def of_types(self, schema: Any, types: list[str]) -> dict[str, Any]:
        """``schema`` for each media type; DocumentUnreadable when all of them become too much."""
        self.written_out += len(json.dumps(schema)) * len(types)
        if self.written_out > MOST_BYTES:
            raise DocumentUnreadable("The document's bodies are too many once each media type has its own.")
        return {name: {"schema": _schema(schema)} for name in types}


def converted(root: dict[str, Any]) -> dict[str, Any]:
    """``root``, a document of Swagger 2.0, in the form of OpenAPI 3.0; nothing of it is checked."""
    shared = root["parameters"] if isinstance(root.get("parameters"), dict) else {}
    whole = _Whole(shared, root.get("consumes"), root.get("produces"))
    made = {key: value for key, value in root.items() if key not in _MOVED_KEYS}
    made["openapi"] = "3.0.3"
    if servers := _servers(root):
        made["servers"] = servers
    made["paths"] = _but_extensions(root.get("paths", {}), lambda item: _item(item, whole))
    components: dict[str, Any] = {}
    if "definitions" in root:
        components["schemas"] = _mapped(root["definitions"], _schema)
    if "parameters" in root:
        alone = {name: one for name, one in shared.items() if not _is_of_a_body(one)}
        components["parameters"] = _mapped(alone if shared else root["parameters"], _parameter)
    if "responses" in root:
        components["responses"] = _mapped(root["responses"], lambda one: _response(one, whole.produces, whole))
    if "securityDefinitions" in root:
        components["securitySchemes"] = _mapped(root["securityDefinitions"], _scheme)
    if components:
        made["components"] = components
    return made


def _servers(root: dict[str, Any]) -> list[dict[str, str]]:
    host, base = root.get("host"), root.get("basePath")
    path = base if isinstance(base, str) else ""
    if not isinstance(host, str):
        return [{"url": path}] if path else []
    return [{"url": f"{scheme}://{host}{path}"} for scheme in _texts(root.get("schemes")) or ["https"]]


def _item(node: Any, whole: _Whole) -> Any:
    """What is at a path. Bodies are parameters in 2.0, and those of a path belong to each of its operations."""
    if not isinstance(node, dict):
        return node
    made = dict(node)
    bodies: list[Any] = []
    if isinstance(node.get("parameters"), list):
        others, bodies = _divided(node["parameters"], whole.shared)
        made["parameters"] = [_parameter(one) for one in others]
    for name, operation in node.items():
        if name.lower() in _METHODS and isinstance(operation, dict):
            made[name] = _operation(operation, bodies, whole)
    return made


def _operation(node: dict[str, Any], inherited: list[Any], whole: _Whole) -> dict[str, Any]:
    made = {key: value for key, value in node.items() if key not in ("consumes", "produces", "schemes")}
    bodies: list[Any] = []
    if isinstance(node.get("parameters"), list):
        others, bodies = _divided(node["parameters"], whole.shared)
        made["parameters"] = [_parameter(one) for one in others]
    if body := _body(bodies or inherited, node.get("consumes", whole.consumes), whole):
        made["requestBody"] = body
    if "responses" in node:
        produces = node.get("produces", whole.produces)
        made["responses"] = _but_extensions(node["responses"], lambda one: _response(one, produces, whole))
    return made


def _divided(listed: list[Any], shared: dict[str, Any]) -> tuple[list[Any], list[dict[str, Any]]]:
    """The parameters, and those of them that are a body or a part of one, without their references."""
    others: list[Any] = []
    bodies: list[dict[str, Any]] = []
    for one in listed:
        target = one
        if isinstance(one, dict) and isinstance(one.get("$ref"), str):
            target = shared.get(one["$ref"].removeprefix("#/parameters/"), one)
        if _is_of_a_body(target):
            bodies.append(target)
        else:
            others.append(one)
    return others, bodies


def _is_of_a_body(node: Any) -> bool:
    return isinstance(node, dict) and node.get("in") in ("body", "formData")


def _body(parts: list[dict[str, Any]], consumes: Any, whole: _Whole) -> dict[str, Any] | None:
    types = _texts(consumes)
    single = next((one for one in parts if one["in"] == "body"), None)
    if single is not None:
        made = {key: value for key, value in single.items() if key not in ("name", "in", "schema")}
        made["content"] = whole.of_types(single.get("schema", {}), types or [_JSON])
        return made
    if not parts:
        return None
    fields = {str(one.get("name")): _described(one) for one in parts}
    schema = {"type": "object", "properties": fields}
    if required := [str(one.get("name")) for one in parts if one.get("required") is True]:
        schema["required"] = required
    has_file = any(one.get("type") == "file" for one in parts)
    usual = _FILES if has_file else next((one for one in types if one in (_FORM, _FILES)), _FORM)
    return {"required": bool(required), "content": whole.of_types(schema, [usual])}


def _parameter(node: Any) -> Any:
    """A parameter whose type stands in itself, or in a schema by mistake."""
    if not isinstance(node, dict) or "$ref" in node:
        return _moved(node)
    made = {key: node[key] for key in node if key in _OF_A_PARAMETER - {"collectionFormat"} or key.startswith("x-")}
    schema = _described(node)
    if schema:
        made["schema"] = _schema(schema)
    if node.get("type") == "array" and node.get("in") == "query":
        made |= _STYLES.get(str(node.get("collectionFormat", "csv")), {})
    return made


def _described(node: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in node.items() if key not in _OF_A_PARAMETER and not key.startswith("x-")}
    own = kept.pop("schema", None)
    return {**own, **kept} if isinstance(own, dict) else kept


def _response(node: Any, produces: Any, whole: _Whole) -> Any:
    if not isinstance(node, dict) or "$ref" in node:
        return _moved(node)
    made = {key: value for key, value in node.items() if key not in ("schema", "headers", "examples")}
    examples = node["examples"] if isinstance(node.get("examples"), dict) else {}
    if "schema" in node or examples:
        types = list(dict.fromkeys([*(_texts(produces) or [_JSON]), *examples])) if "schema" in node else []
        content = whole.of_types(node.get("schema"), types)
        for name, value in examples.items():
            content.setdefault(name, {})["example"] = value
        made["content"] = content
    if "headers" in node:
        made["headers"] = _mapped(node["headers"], _header)
    return made


def _header(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    made = {key: value for key, value in node.items() if key == "description" or key.startswith("x-")}
    return {**made, "schema": _schema(_described(node))}


def _schema(node: Any) -> Any:
    """A schema with what 3.0 says otherwise: discriminators, files, values that may be null."""
    if not isinstance(node, dict):
        return node
    made = dict(_moved(node))
    for key, value in node.items():
        if key in _NAMED:
            made[key] = {name: _schema(one) for name, one in value.items()} if isinstance(value, dict) else value
        elif key in _INNER:
            made[key] = [_schema(one) for one in value] if isinstance(value, list) else _schema(value)
    if isinstance(made.get("discriminator"), str):
        made["discriminator"] = {"propertyName": made["discriminator"]}
    if made.get("type") == "file":
        made |= {"type": "string", "format": "binary"}
    if isinstance(made.get("x-nullable"), bool):
        made["nullable"] = made.pop("x-nullable")
    return made


def _moved(node: Any) -> Any:
    """``node`` with its own reference leading to where 3.0 keeps the target."""
    if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
        return node
    for before, after in _MOVED.items():
        if node["$ref"].startswith(before):
            return {**node, "$ref": after + node["$ref"].removeprefix(before)}
    return node


def _scheme(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node.get("type") == "basic":
        return {**node, "type": "http", "scheme": "basic"}
    if node.get("type") != "oauth2":
        return node
    keys = ("authorizationUrl", "tokenUrl", "scopes")
    made = {key: value for key, value in node.items() if key not in (*keys, "flow")}
    flow = node.get("flow")
    name = _FLOWS.get(flow, flow) if isinstance(flow, str) else "unknown"
    return {**made, "flows": {name: {key: node[key] for key in keys if key in node}}}


def _mapped(node: Any, change: Callable[[Any], Any]) -> Any:
    """The parts of an object changed; anything else as it is."""
    return {name: change(one) for name, one in node.items()} if isinstance(node, dict) else node


def _but_extensions(node: Any, change: Callable[[Any], Any]) -> Any:
    """The same where ``x-`` begins no name of a part."""
    if not isinstance(node, dict):
        return node
    return {name: one if name.startswith("x-") else change(one) for name, one in node.items()}


def _texts(node: Any) -> list[str]:
    """The texts of a list, or the one text that stands in its place."""
    return [one for one in (node if isinstance(node, list) else [node]) if isinstance(one, str)]
