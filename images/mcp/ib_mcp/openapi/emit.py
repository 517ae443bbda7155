"""A repaired document to write: whole, or the operations that were selected with what they need."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ib_mcp.openapi.select import Served


def text(document: dict[str, Any]) -> str:
    """``document`` as JSON."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def only(document: dict[str, Any], served: Iterable[Served]) -> dict[str, Any]:
    """``document`` with these operations alone, and of its components those that they use."""
    paths: dict[str, Any] = {}
    for one in served:
        item = document["paths"][one.path]
        kept = paths.setdefault(
            one.path, {key: value for key, value in item.items() if key in ("summary", "description")}
        )
        kept[one.method.lower()] = one.operation
    made = {key: value for key, value in document.items() if key not in ("paths", "components", "tags")}
    made["paths"] = paths
    if components := _used(document.get("components", {}), [paths, document.get("security", [])]):
        made["components"] = components
    return made


def _used(components: dict[str, Any], roots: list[Any]) -> dict[str, Any]:
    """The components that the roots lead to; security schemes, which no reference names, all of them."""
    wanted: dict[str, set[str]] = {"securitySchemes": set(components.get("securitySchemes", ()))}
    waiting = [*roots, *components.get("securitySchemes", {}).values()]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            for reference in _references(node):
                _, _, section, name = reference.split("/", 3)
                if name in components.get(section, {}) and name not in wanted.setdefault(section, set()):
                    wanted[section].add(name)
                    waiting.append(components[section][name])
    return {
        section: {name: part for name, part in parts.items() if name in wanted.get(section, ())}
        for section, parts in components.items()
        if wanted.get(section)
    }


def _references(node: dict[str, Any]) -> list[str]:
    mapping = node["discriminator"].get("mapping", {}) if isinstance(node.get("discriminator"), dict) else {}
    named = [node.get("$ref"), *(mapping.values() if isinstance(mapping, dict) else ())]
    return [one for one in named if isinstance(one, str) and one.startswith("#/components/") and one.count("/") == 3]
