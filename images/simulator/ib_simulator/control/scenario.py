"""Scenario files: timed actions in YAML, checked before anything happens.

description: one sentence                     # optional
start: 2026-11-24T23:50:00-05:00              # optional: where the simulated calendar begins
rate: 60                                      # optional: simulated seconds per second
steps:
  - at: 10s                                   # after the start, simulated: 500ms, 10s, 5m, 2h, 1h30m
    do: compete                               # an action; its arguments stand beside
    on: true
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
import yaml
from pydantic import BaseModel

from ib_simulator.control.action import Controllable, Invalid
from ib_simulator.control.actions import ACTIONS, MAX_RATE, arguments_of

log = structlog.get_logger("ib_simulator")

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TOP = ("description", "start", "rate", "steps")


class ScenarioError(Exception):
    """The file is not a scenario; the message names the line and the step."""


@dataclass(frozen=True, slots=True)
class Step:
    """``at``: simulated seconds after the start."""

    at: float
    action: str
    arguments: BaseModel


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    description: str
    start: float | None
    rate: float | None
    steps: tuple[Step, ...]


def duration(text: object) -> float:
    """Seconds of ``10s``, ``1h30m``, ``500ms`` or of a number. ValueError for anything else."""
    if isinstance(text, (int, float)) and not isinstance(text, bool) and text >= 0:
        return float(text)
    if isinstance(text, str) and re.fullmatch(f"(?:{_PART.pattern})+", text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    raise ValueError("'at' is a time after the start such as 500ms, 10s, 5m or 1h30m")


def load(path: Path) -> Scenario:
    """The scenario in a file. ScenarioError when it cannot be read or is none."""
    try:
        return parse(path.read_text("utf-8"), path.name)
    except OSError as error:
        raise ScenarioError(f"cannot read the scenario {path}: {error.strerror}") from None


def parse(text: str, name: str) -> Scenario:
    """The scenario in ``text``; ``name`` is how messages call it. ScenarioError when it is none."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise ScenarioError(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(content, dict) or not isinstance(root, yaml.MappingNode):
        raise ScenarioError(f"{name}, line 1: a scenario is a mapping with {', '.join(_TOP)}")
    nodes = {key.value: (key, value) for key, value in root.value}
    for key, (node, _) in nodes.items():
        if key not in _TOP:
            raise ScenarioError(f"{_line(name, node)}: '{key}' is not known, allowed: {', '.join(_TOP)}")
    steps_node = nodes.get("steps", (root, None))[1]
    if not isinstance(steps_node, yaml.SequenceNode) or not steps_node.value:
        raise ScenarioError(f"{_line(name, steps_node or root)}: 'steps' is missing or not a list of steps")
    steps = [
        _step(f"{_line(name, node)}, step {number}", given)
        for number, (node, given) in enumerate(zip(steps_node.value, content["steps"], strict=True), 1)
    ]
    start, rate = content.get("start"), content.get("rate")
    if start is not None and (not isinstance(start, datetime) or start.tzinfo is None):
        raise ScenarioError(
            f"{_line(name, nodes['start'][1])}: 'start' is a time with its zone, e.g. 2026-11-24T23:50:00-05:00"
        )
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= MAX_RATE):
        raise ScenarioError(
            f"{_line(name, nodes['rate'][1])}: 'rate' is simulated seconds per second, above 0, at most {MAX_RATE}"
        )
    return Scenario(
        name,
        str(content.get("description", "")),
        None if start is None else start.timestamp(),
        None if rate is None else float(rate),
        tuple(sorted(steps, key=lambda step: step.at)),
    )


def _line(name: str, node: yaml.Node) -> str:
    return f"{name}, line {node.start_mark.line + 1}"


def _step(where: str, given: Any) -> Step:
    if not isinstance(given, dict) or "at" not in given or "do" not in given:
        raise ScenarioError(f"{where}: a step has 'at' (when) and 'do' (one of {', '.join(ACTIONS)})")
    # A bare `on` is the boolean true in YAML.
    arguments = {"on" if key is True else str(key): value for key, value in given.items() if key not in ("at", "do")}
    try:
        return Step(duration(given["at"]), str(given["do"]), arguments_of(str(given["do"]), arguments))
    except (ValueError, Invalid) as error:
        raise ScenarioError(f"{where}: {error}") from None


class ScenarioRunner:
    """Plays one scenario at a time on the simulated clock; ``arm`` after every change of the clock."""

    def __init__(self, simulator: Controllable) -> None:
        self._simulator = simulator
        self.scenario: Scenario | None = None
        self.done = 0
        self.armed = False
        self._began_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def play(self, scenario: Scenario | None) -> None:
        """Begin ``scenario`` in place of what played; None only ends that."""
        self.stop()
        if scenario is None:
            return
        simulator = self._simulator
        if scenario.start is not None:
            simulator.set_time(scenario.start)
        if scenario.rate is not None:
            simulator.clock.run(scenario.rate)
        self.scenario, self.done, self._began_at = scenario, 0, simulator.clock.now()
        self.arm()

    def stop(self) -> None:
        self.scenario, self.done = None, 0
        self._cancel()

    def shift(self, seconds: float) -> None:
        """The clock was set by that much; the steps stay where they are in the play."""
        self._began_at += seconds

    def arm(self) -> None:
        """Do what is due, and come back for the next step."""
        self._cancel()
        while (step := self._next()) is not None and self._began_at + step.at <= self._simulator.clock.now():
            self.done += 1
            try:
                ACTIONS[step.action].run(self._simulator, step.arguments)
            except Invalid as error:
                log.warning("a step of the scenario could not be done", step=self.done, reason=str(error))
        if step is None:
            self.armed = True
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timer = loop.call_later(self._simulator.clock.loop_delay(self._began_at + step.at), self.arm)
        self.armed = True

    def _next(self) -> Step | None:
        steps: tuple[Step, ...] = () if self.scenario is None else self.scenario.steps
        return steps[self.done] if self.done < len(steps) else None

    def _cancel(self) -> None:
        self.armed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def to_json(self) -> dict[str, Any] | None:
        if self.scenario is None:
            return None
        step = self._next()
        return {
            "name": self.scenario.name,
            "description": self.scenario.description,
            "done": self.done,
            "steps": len(self.scenario.steps),
            "next_in_s": None if step is None else self._began_at + step.at - self._simulator.clock.now(),
        }
