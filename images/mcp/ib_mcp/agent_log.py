"""Which agents called, how often and when last, since this process began: for the owner's eyes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# There are as many names as tokens and grants that the owner made.
_MOST = 500


@dataclass(slots=True)
class Calls:
    """``last_at``: seconds of Unix time; ``last_error``: the code of the last answer that was one."""

    count: int = 0
    errors: int = 0
    last_at: float = 0.0
    last_tool: str = ""
    last_error: str = ""


class AgentLog:
    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.by_name: dict[str, Calls] = {}

    def note(self, agent: str, tool: str, outcome: str) -> None:
        if agent not in self.by_name and len(self.by_name) >= _MOST:
            return
        calls = self.by_name.setdefault(agent, Calls())
        calls.count += 1
        calls.last_at, calls.last_tool = self._wall(), tool
        if outcome != "ok":
            calls.errors += 1
            calls.last_error = outcome


AGENTS = AgentLog()
"""Of this process, as its metrics are."""
