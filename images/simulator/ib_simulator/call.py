"""What an answer of the simulator is made from and made of: the seam between the session and the world."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ibkr.operation import Operation


@dataclass
class Memory:
    """What IBKR remembers for one brokerage session; emptied when a session opens.

    ``seen`` counts earlier calls by operation id. ``notes`` holds what a family of answers keeps, by a name
    of its own (e.g. conids and fields already subscribed).
    """

    seen: Counter[str] = field(default_factory=Counter)
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request that passed session, pacing and fault checks. ``now`` is the simulated epoch second."""

    operation: Operation
    path: dict[str, str]
    query: dict[str, str]
    body: Any
    now: float
    memory: Memory


@dataclass(frozen=True)
class Answer:
    """``body`` is sent as JSON unless it is a str, which goes out as it is with ``media``."""

    body: Any
    status: int = 200
    media: str = "application/json"


class Refusal(Exception):
    """IBKR refuses the call with this status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.answer = Answer(body, status)
