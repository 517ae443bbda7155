"""OpenAPI documents with parts changed at random."""

from __future__ import annotations

import copy
import random
from typing import Any

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "x", "true", "12", [], [None], {}, {"$ref": "#"}, {"$ref": "#/paths"}, {"$ref": 5},
    {"$ref": "#/components/schemas/none"}, {"$ref": "http://elsewhere.test/a.json"}, {"type": "strange"},
    {"type": ["string", "null", 3]}, {"allOf": []}, {"default": {"default": None}}, {"enum": [1, 1, "1", None, True]},
    {"required": True, "properties": {"a": {"required": True}}}, [{"name": "n", "in": "query"}], {"in": "path"},
    {"get": {}}, {"GET": None, "post": []}, [[[]]], {"x-y": [1]}, {"": {"": ""}}, 10**400, "\ud800", "{", "/{a}/{a}",
)  # fmt: skip
_KEYS = (
    "$ref", "type", "get", "GET", "post", "delete", "parameters", "schema", "properties", "items", "default", "enum",
    "required", "responses", "content", "in", "name", "x-a", "", "operationId", "/a/{b}", "a/{B}/", "security", "tags",
    "requestBody", "nullable", "examples", "example", "allOf", "servers", "200", "discriminator",
    "additionalProperties", "/a/{b}/{b}", "$defs", "pattern", "const", "\ud800",
)  # fmt: skip


def change(chance: random.Random, document: dict[str, Any]) -> None:
    """Change one part anywhere below the root of ``document``."""
    node, key = _place(chance, document)
    match chance.choice(("drop", "replace", "replace", "rename", "repeat", "refer", "wrap", "add")):
        case "drop":
            del node[key]
        case "replace":
            node[key] = copy.deepcopy(chance.choice(_VALUES))
        case "rename" if isinstance(node, dict):
            node[chance.choice(_KEYS)] = node.pop(key)
        case "repeat":
            other, place = _place(chance, document)
            other[place] = copy.deepcopy(node[key])
        case "refer":
            node[key] = {"$ref": _pointer(chance, document), "type": "string"}
        case "wrap":
            node[key] = [node[key]]
        case _ if isinstance(node[key], dict):
            node[key][chance.choice(_KEYS)] = copy.deepcopy(chance.choice(_VALUES))


def _place(chance: random.Random, document: dict[str, Any]) -> tuple[Any, Any]:
    """A container of the document and a key in it."""
    node: Any = document
    for _ in range(chance.randint(0, 12)):
        key = _key(chance, node)
        if not isinstance(node[key], (dict, list)) or not node[key]:
            return node, key
        node = node[key]
    return node, _key(chance, node)


def _key(chance: random.Random, node: Any) -> Any:
    return chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))


def _pointer(chance: random.Random, document: dict[str, Any]) -> str:
    steps: list[str] = []
    node: Any = document
    for _ in range(chance.randint(0, 8)):
        if not isinstance(node, (dict, list)) or not node:
            break
        key = _key(chance, node)
        steps.append(str(key).replace("~", "~0").replace("/", "~1"))
        node = node[key]
    return "#" + "".join(f"/{step}" for step in steps)
