"""What the repair of each part needs: the document as written, where references lead, and the list of findings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.fetch import MOST_BYTES
from ib_mcp.openapi.rules import Findings, Place

SECTIONS = (
    "schemas", "responses", "parameters", "examples", "requestBodies", "headers", "securitySchemes", "links",
    "callbacks", "pathItems",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PREFIX = "#/components/"
MISSING: Any = object()
# A long chain of references costs as much as if it were written out.
_BYTES_OF_A_STEP = 50


class Names:
    """Names of which each is given once: one that is taken gets a number, within ``longest`` characters."""

    def __init__(self, taken: Iterable[str] = (), longest: int | None = None) -> None:
        self._taken = set(taken)
        self._longest = longest
        self._numbers: dict[str, int] = {}

    def give(self, name: str) -> str:
        made = name
        while made in self._taken:
            number = self._numbers[name] = self._numbers.get(name, 1) + 1
            after = f"_{number}"
            made = name[: None if self._longest is None else self._longest - len(after)] + after
        self._taken.add(made)
        return made


@dataclass(slots=True)
class Context:
    """``version``: 3.0 or 3.1, by whose rules the document was written."""

    source: dict[str, Any]
    version: str
    findings: Findings
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    moved: dict[str, tuple[str, str]] = field(default_factory=dict)
    defaults: list[tuple[dict[str, Any], Place]] = field(default_factory=list)
    required: list[tuple[dict[str, Any], Place]] = field(default_factory=list)
    _given: dict[str, Names] = field(default_factory=dict)
    _leads_nowhere: dict[str, bool] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _written_out: int = 0

    def note(self, rule: str, at: Place, detail: object = "") -> None:
        self.findings.note(rule, at, detail)

    def section(self, name: str) -> dict[str, Any]:
        """A section of the components as it was written."""
        components = self.source.get("components")
        section = components.get(name) if isinstance(components, dict) else None
        return section if isinstance(section, dict) else {}

    def name_components(self) -> None:
        """Give every component a name that is allowed."""
        for section in SECTIONS:
            valid = {name for name in self.section(section) if _NAME.fullmatch(name)}
            given = self._given[section] = Names(valid)
            for name in self.section(section):
                new = name
                if name not in valid:
                    new = given.give(re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "unnamed")
                    self.note("name-invalid", ("components", section, name), new)
                self.names[section, name] = new

    def target(self, reference: Any, section: str, at: Place) -> str | None:
        """What to write in place of ``reference``, which must lead to ``section``; None if it leads nowhere."""
        if not isinstance(reference, str):
            self.note("kind-wrong", (*at, "$ref"), "a reference that is no text")
            return None
        if not reference.startswith("#"):
            self.note("reference-elsewhere", at, reference)
            return None
        steps = _steps(reference)
        if self._is_component(steps, section):
            if self._is_circle(reference, section):
                self.note("reference-circular", at, reference)
                return None
            return f"{_PREFIX}{section}/{self.names[section, steps[2]]}"
        is_inside = bool(steps) and (steps[0] != "components" or len(steps) > 3)
        if section == "schemas" and is_inside and isinstance(self.value(steps), dict):
            return self._move(reference, section, at)
        self.note("reference-dangling", at, reference)
        return None

    def value(self, steps: list[str]) -> Any:
        """The value at a pointer's steps, or MISSING."""
        value: Any = self.source
        for step in steps:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdecimal() and len(step) < 8 and int(step) < len(value):
                value = value[int(step)]
            else:
                return MISSING
        return value

    def resolved(self, node: Any, section: str) -> Any:
        """``node``, or what its reference leads to in the end; MISSING when that is nothing.

        DocumentUnreadable when all that was asked for so, which is written out each time, becomes too much.
        """
        if not isinstance(node, dict) or "$ref" not in node:
            return node
        written = node["$ref"]
        seen: set[str] = set()
        while isinstance(node, dict) and "$ref" in node:
            reference = node["$ref"]
            if not isinstance(reference, str) or reference in seen or not reference.startswith("#"):
                return MISSING
            seen.add(reference)
            steps = _steps(reference)
            if not self._is_component(steps, section):
                return MISSING
            node = self.value(steps)
        self._spend(written, node, len(seen))
        return node

    def _spend(self, reference: str, node: Any, steps: int) -> None:
        if reference not in self._sizes:
            self._sizes[reference] = len(json.dumps(node))
        self._written_out += self._sizes[reference] + _BYTES_OF_A_STEP * steps
        if self._written_out > MOST_BYTES:
            raise DocumentUnreadable("The document's parameters are too many once their references are written out.")

    def settle_moved(self, repair: Callable[[Any, Place], Any]) -> dict[str, Any]:
        """The targets of references into the middle of the document, repaired, as components."""
        made: dict[str, Any] = {}
        while len(made) < len(self.moved):
            for reference, (_, name) in list(self.moved.items()):
                if name not in made:
                    steps = _steps(reference)
                    made[name] = repair(self.value(steps), tuple(steps))
        return made

    def _move(self, reference: str, section: str, at: Place) -> str:
        if reference not in self.moved:
            self.note("reference-inside", at, reference)
            last = re.sub(r"[^A-Za-z0-9._-]+", "_", _steps(reference)[-1])
            self.moved[reference] = section, self._given[section].give(f"Shared_{last}")
        return f"{_PREFIX}{section}/{self.moved[reference][1]}"

    def _is_component(self, steps: list[str], section: str) -> bool:
        return len(steps) == 3 and steps[:2] == ["components", section] and (section, steps[2]) in self.names

    def _is_circle(self, reference: str, section: str) -> bool:
        """Whether references alone lead from ``reference`` back to one of their own."""
        seen: dict[str, None] = {}
        is_circle: bool | None = None
        while is_circle is None:
            if reference in self._leads_nowhere:
                is_circle = self._leads_nowhere[reference]
            elif reference in seen:
                is_circle = True
            elif not self._is_component(_steps(reference), section):
                is_circle = False
            else:
                seen[reference] = None
                node = self.value(_steps(reference))
                is_end = not isinstance(node, dict) or not isinstance(node.get("$ref"), str)
                if is_end or (self.version != "3.0" and len(node) > 1):
                    is_circle = False
                else:
                    reference = node["$ref"]
        self._leads_nowhere |= dict.fromkeys(seen, is_circle)
        return is_circle


def _steps(reference: str) -> list[str]:
    parts = unquote(reference.removeprefix("#")).split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]
