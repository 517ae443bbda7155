"""What differs between two documents, or a document and the catalogue: operations and what they ask for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ib_mcp.openapi.parts import body_schema, properties
from ib_mcp.openapi.select import operations, select, without_prefix
from ibkr.catalogue import Catalogue

Call = tuple[str, str]
"""Method and path without prefix."""

Asked = dict[str, bool | None]
"""``query conid`` and the like, and whether it is required (None: not compared)."""


@dataclass(frozen=True, slots=True)
class Change:
    """Parameters of one operation: new, gone, and those that became required or optional."""

    call: Call
    added: tuple[str, ...]
    gone: tuple[str, ...]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """From one side to the other."""

    added: tuple[Call, ...]
    gone: tuple[Call, ...]
    changed: tuple[Change, ...]


def of_document(document: dict[str, Any]) -> dict[Call, Asked]:
    """What each operation of a repaired document asks for. Paths are compared without prefix and case of variables."""
    return {
        (method, _comparable(path)): _asked(operation, document) for path, method, operation in operations(document)
    }


def of_gateway(document: dict[str, Any], known: Catalogue) -> dict[Call, Asked]:
    """The same of what the gateway serves or ``known`` does not know, spelled as there; nothing is said of required."""
    selection = select(document, known)
    rows = {(one.row.method, one.row.path): one.operation for one in selection.served}
    new = {
        (one.method, one.path): document["paths"][one.path][one.method.lower()] for one in selection.left if one.is_new
    }
    return {
        call: {name: None for name in _asked(operation, document) if name.startswith(("query ", "body "))}
        for call, operation in (rows | new).items()
    }


def of_catalogue(known: Catalogue) -> dict[Call, Asked]:
    """What each supported operation of the catalogue asks for in query and body."""
    return {
        (row.method, row.path): {
            **{f"query {parameter.name}": None for parameter in row.query},
            **{f"body {parameter.name}": None for parameter in row.body},
        }
        for row in known
        if row.status != "unsupported"
    }


def difference(before: dict[Call, Asked], after: dict[Call, Asked]) -> Difference:
    """What ``after`` has otherwise than ``before``, each in its order."""
    changes = (_change(call, before[call], after[call]) for call in after if call in before)
    return Difference(
        tuple(call for call in after if call not in before),
        tuple(call for call in before if call not in after),
        tuple(change for change in changes if change is not None),
    )


def plain(found: Difference) -> str:
    """Text for a terminal."""
    lines = [f"+ {method:<6} {path}" for method, path in found.added]
    lines += [f"- {method:<6} {path}" for method, path in found.gone]
    for change in found.changed:
        lines.append(f"~ {change.call[0]:<6} {change.call[1]}")
        for sign, names in (("+", change.added), ("-", change.gone)):
            lines += [f"    {sign} {name}" for name in names]
        lines += [f"    {name} is required now" for name in change.required]
        lines += [f"    {name} is optional now" for name in change.optional]
    counts = f"{len(found.added)} added, {len(found.gone)} gone, {len(found.changed)} changed"
    return "\n".join([*lines, counts]) + "\n"


def as_json(found: Difference) -> str:
    """``{"added": ["GET /..."], "gone": [...], "changed": [{"call", "added", "gone", "required", "optional"}]}``."""
    return (
        json.dumps(
            {
                "added": [" ".join(call) for call in found.added],
                "gone": [" ".join(call) for call in found.gone],
                "changed": [
                    {
                        "call": " ".join(change.call),
                        "added": change.added,
                        "gone": change.gone,
                        "required": change.required,
                        "optional": change.optional,
                    }
                    for change in found.changed
                ],
            },
            indent=1,
        )
        + "\n"
    )


def _change(call: Call, before: Asked, after: Asked) -> Change | None:
    both = [name for name in after if name in before and None not in (before[name], after[name])]
    added = tuple(sorted(after.keys() - before.keys()))
    gone = tuple(sorted(before.keys() - after.keys()))
    required = tuple(name for name in both if after[name] and not before[name])
    optional = tuple(name for name in both if before[name] and not after[name])
    return Change(call, added, gone, required, optional) if added or gone or required or optional else None


def _asked(operation: dict[str, Any], document: dict[str, Any]) -> Asked:
    found: Asked = {
        f"{one['in']} {one['name'].lower() if one['in'] == 'path' else one['name']}": one.get("required", False)
        for one in operation.get("parameters", ())
    }
    schema = body_schema(operation, document)
    if schema is not None:
        named, required = properties(schema, document)
        found |= {f"body {name}": name in required for name in named}
    return found


def _comparable(path: str) -> str:
    return "/".join(part.lower() if part.startswith("{") else part for part in without_prefix(path).split("/"))
