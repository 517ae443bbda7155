"""Every operation of a document and how far the gateway serves it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ib_mcp.openapi.select import Left, Selection, Served, select
from ibkr.operation import TAGS


def plain(document: dict[str, Any], costs: Mapping[str, int]) -> str:
    """Text for a terminal: what is served by tag with the ids of ``call_endpoint``, then what is not by reason.

    ``costs``: bytes that the reading operations of a tag take in a list of tools when they are generated.
    """
    selection = select(document)
    lines: list[str] = []
    for tag, group in _by_tag(selection):
        lines += [f"{tag} ({len(group)}; {costs.get(tag, 0):,} bytes as generated tools)", ""]
        lines += [f"  {one.method:<6} {one.row.path}  {one.row.id}, {one.row.effect}" for one in group]
        lines.append("")
    for reason, left in _by_reason(selection.left).items():
        lines += [f"Left out ({len(left)}): {reason}", ""]
        lines += [f"  {one.method:<6} {one.path}" for one in left]
        lines.append("")
    return "\n".join([*lines, f"{len(selection.served)} operations served, {len(selection.left)} left out."]) + "\n"


def as_json(document: dict[str, Any], costs: Mapping[str, int]) -> str:
    """``{"served": [{"call", "endpoint", "effect", "tags"}], "left": [{"call", "reason"}], "bytes": {tag: bytes}}``."""
    selection = select(document)
    served = [
        {"call": f"{one.method} {one.path}", "endpoint": one.row.id, "effect": one.row.effect, "tags": one.row.tags}
        for one in selection.served
    ]
    left = [{"call": f"{one.method} {one.path}", "reason": one.reason} for one in selection.left]
    return json.dumps({"served": served, "left": left, "bytes": dict(costs)}, indent=1) + "\n"


def _by_tag(selection: Selection) -> Iterator[tuple[str, list[Served]]]:
    for tag in TAGS:
        if group := [one for one in selection.served if one.row.tags[0] == tag]:
            yield tag, group


def _by_reason(left: tuple[Left, ...]) -> dict[str, list[Left]]:
    groups: dict[str, list[Left]] = {}
    for one in left:
        groups.setdefault(one.reason, []).append(one)
    return groups
