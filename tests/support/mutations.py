"""OpenAPI documents with parts changed at random, by hypothesis."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "x", "true", "12", [], [None], {}, {"$ref": "#"}, {"$ref": "#/paths"}, {"$ref": 5},
    {"$ref": "#/components/schemas/none"}, {"$ref": "http://elsewhere.test/a.json"}, {"type": "strange"},
    {"type": ["string", "null", 3]}, {"allOf": []}, {"default": {"default": None}}, {"enum": [1, 1, "1", None, True]},
    {"required": True, "properties": {"a": {"required": True}}}, [{"name": "n", "in": "query"}], {"in": "path"},
    {"get": {}}, {"GET": None, "post": []}, [[[]]], {"x-y": [1]}, {"": {"": ""}},
)  # fmt: skip
_KEYS = (
    "$ref", "type", "get", "GET", "post", "delete", "parameters", "schema", "properties", "items", "default", "enum",
    "required", "responses", "content", "in", "name", "x-a", "", "operationId", "/a/{b}", "a/{B}/", "security", "tags",
    "requestBody", "nullable", "examples", "example", "allOf", "servers", "200", "discriminator",
    "additionalProperties",
)  # fmt: skip


class Document(dict[str, Any]):
    """One that hypothesis does not print: it is as long as a book."""

    def __repr__(self) -> str:
        return f"a document with {len(self)} keys"


@st.composite
def changed(draw: st.DrawFn, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """One of ``documents`` with one to six changes anywhere below its root."""
    document = Document(copy.deepcopy(draw(st.integers(0, len(documents) - 1).map(documents.__getitem__))))
    for _ in range(draw(st.integers(1, 6))):
        _change(draw, document)
    return document


def _change(draw: st.DrawFn, document: dict[str, Any]) -> None:
    node, key = _place(draw, document)
    match draw(st.sampled_from(("drop", "replace", "replace", "rename", "repeat", "refer", "wrap", "add"))):
        case "drop":
            del node[key]
        case "replace":
            node[key] = copy.deepcopy(draw(st.sampled_from(_VALUES)))
        case "rename" if isinstance(node, dict):
            node[draw(st.sampled_from(_KEYS))] = node.pop(key)
        case "repeat":
            other, place = _place(draw, document)
            other[place] = copy.deepcopy(node[key])
        case "refer":
            node[key] = {"$ref": _pointer(draw, document), "type": "string"}
        case "wrap":
            node[key] = [node[key]]
        case _ if isinstance(node[key], dict):
            node[key][draw(st.sampled_from(_KEYS))] = copy.deepcopy(draw(st.sampled_from(_VALUES)))


def _place(draw: st.DrawFn, document: dict[str, Any]) -> tuple[Any, Any]:
    """A container of the document and a key in it."""
    node: Any = document
    for _ in range(draw(st.integers(0, 12))):
        key = _key(draw, node)
        if not isinstance(node[key], (dict, list)) or not node[key]:
            return node, key
        node = node[key]
    return node, _key(draw, node)


def _key(draw: st.DrawFn, node: Any) -> Any:
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    return keys[draw(st.integers(0, len(keys) - 1))]


def _pointer(draw: st.DrawFn, document: dict[str, Any]) -> str:
    steps: list[str] = []
    node: Any = document
    for _ in range(draw(st.integers(0, 8))):
        if not isinstance(node, (dict, list)) or not node:
            break
        key = _key(draw, node)
        steps.append(str(key).replace("~", "~0").replace("/", "~1"))
        node = node[key]
    return "#" + "".join(f"/{step}" for step in steps)
