"""What the repair of each part needs: the document as written, where references lead, and the list of findings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ib_mcp.openapi.rules import Findings, Place

SECTIONS = (
    "schemas", "responses", "parameters", "examples", "requestBodies", "headers", "securitySchemes", "links",
    "callbacks", "pathItems",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PREFIX = "#/components/"
MISSING: Any = object()


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
            taken = {name for name in self.section(section) if _NAME.fullmatch(name)}
            for name in self.section(section):
                new = name
                if name not in taken:
                    new = unique(re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "unnamed", taken)
                    taken.add(new)
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
        """``node``, or what its reference leads to in the end; MISSING when that is nothing."""
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
        return node

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
            taken = {name for (kind, _), name in self.names.items() if kind == section}
            taken |= {name for kind, name in self.moved.values() if kind == section}
            last = re.sub(r"[^A-Za-z0-9._-]+", "_", _steps(reference)[-1])
            self.moved[reference] = section, unique(f"Shared_{last}", taken)
        return f"{_PREFIX}{section}/{self.moved[reference][1]}"

    def _is_component(self, steps: list[str], section: str) -> bool:
        return len(steps) == 3 and steps[:2] == ["components", section] and (section, steps[2]) in self.names

    def _is_circle(self, reference: str, section: str) -> bool:
        """Whether references alone lead from ``reference`` back to one of their own."""
        seen = {reference}
        node = self.value(_steps(reference))
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            if self.version != "3.0" and len(node) > 1:
                return False
            if node["$ref"] in seen:
                return True
            seen.add(node["$ref"])
            if not self._is_component(_steps(node["$ref"]), section):
                return False
            node = self.value(_steps(node["$ref"]))
        return False


def unique(name: str, taken: set[str], longest: int | None = None) -> str:
    """``name``, with a number after it when it is taken, in at most ``longest`` characters."""
    number, made = 2, name
    while made in taken:
        after = f"_{number}"
        made, number = name[: None if longest is None else longest - len(after)] + after, number + 1
    return made


def _steps(reference: str) -> list[str]:
    parts = unquote(reference.removeprefix("#")).split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]
