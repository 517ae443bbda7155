"""Parameters and headers, and how those of a path fit its template."""

from __future__ import annotations

import re
from typing import Any

from ib_mcp.openapi.repair import media
from ib_mcp.openapi.repair.context import MISSING, Context
from ib_mcp.openapi.repair.kinds import as_list, said
from ib_mcp.openapi.rules import Place

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
    if node.get("in") not in tuple(media.STYLES):
        context.note("parameter-incomplete", at, f"{node['name']} in {str(node.get('in'))[:40]}")
        return None
    made = {"name": node["name"], "in": node["in"], **media.described(node, at, context, node["in"])}
    if made["in"] == "path" and made.get("required") is not True:
        context.note("parameter-optional-in-path", at, made["name"])
        made["required"] = True
    if made["in"] != "query":
        made.pop("allowEmptyValue", None)
        made.pop("allowReserved", None)
    return made


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
