"""What is wrong with a document, by class with counts and places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ib_mcp.openapi.rules import RULES, Finding

_SHOWN = 3
_LONGEST_PLACE = 300
_HEADINGS = {
    "error": "Errors, which validators refuse",
    "gap": "Gaps, which are permitted but leave something out",
    "loss": "Losses, which no repair could keep",
}


def grouped(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings of each rule, in the order of the rules."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule, []).append(finding)
    return {rule: groups[rule] for rule in RULES if rule in groups}


def plain(findings: tuple[Finding, ...], operations: int) -> str:
    """Text for a terminal: a line for each rule with the first places."""
    groups = grouped(findings)
    lines = []
    for kind, heading in _HEADINGS.items():
        rules = [rule for rule in groups if RULES[rule].kind == kind]
        if rules:
            lines += [f"{heading}:", ""]
            for rule in rules:
                lines += _group(rule, groups[rule])
            lines.append("")
    counts = ", ".join(
        f"{sum(len(found) for rule, found in groups.items() if RULES[rule].kind == kind)} {name}"
        for kind, name in (("error", "errors"), ("gap", "gaps"), ("loss", "losses"))
    )
    guessed = sum(len(found) for rule, found in groups.items() if RULES[rule].guess)
    return "\n".join([*lines, f"{operations} operations: {counts}; {guessed} of the repairs are guesses."]) + "\n"


def _group(rule: str, found: list[Finding]) -> Iterator[str]:
    guess = " (a guess)" if RULES[rule].guess else ""
    yield f"  {len(found):>5}  {rule}: {RULES[rule].says}{guess}."
    for finding in found[:_SHOWN]:
        place = finding.place if len(finding.place) <= _LONGEST_PLACE else f"{finding.place[:_LONGEST_PLACE]}..."
        yield f"         {place or '/'}{': ' + finding.detail if finding.detail else ''}"
    if len(found) > _SHOWN:
        yield f"         and {len(found) - _SHOWN} more; --json lists all"


def as_json(findings: tuple[Finding, ...], operations: int) -> str:
    """``{"operations", "classes": [{"rule", "kind", "guess", "says", "count", "found": [{"place", "detail"}]}]}``."""
    classes: list[dict[str, Any]] = [
        {
            "rule": rule,
            "kind": RULES[rule].kind,
            "guess": RULES[rule].guess,
            "says": RULES[rule].says,
            "count": len(found),
            "found": [{"place": finding.place, "detail": finding.detail} for finding in found],
        }
        for rule, found in grouped(findings).items()
    ]
    return json.dumps({"operations": operations, "classes": classes}, indent=1) + "\n"
