"""Faults on demand: which requests they hit and what happens to those.

A fault is a matcher (endpoint id, path, method, user agent; globs), how often it applies, and what it does.
``silence`` and ``refuse`` concern the whole port and match nothing.
"""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ib_simulator.network.listener import NetworkGate
from ibkr import catalogue

Kind = Literal[
    "latency",
    "hang",
    "stall",
    "reset",
    "cut",
    "answer",
    "wrong_json",
    "html",
    "silence",
    "refuse",
    "receive_delay",
    "accounts_first",
    "nan",
    "infinity",
    "not_utf8",
    "lone_surrogate",
    "gzip",
    "deflate",
    "no_trade_time",
    "negative_volume",
    "text_conids",
    "empty",
    "bad_row",
    "maintenance_page",
    "order_request_lost",
    "order_answer_lost",
    "order_answer_late",
    "order_taken_late",
    "order_gateway_crash",
    "question_unanswered",
]
ORDER_WRITES = ("place_orders", "modify_order", "cancel_order", "answer_order_question")
_ENDPOINTS: dict[str, tuple[str, ...]] = {
    "order_request_lost": ORDER_WRITES,
    "order_answer_lost": ORDER_WRITES,
    "order_answer_late": ORDER_WRITES,
    "order_taken_late": ORDER_WRITES,
    "order_gateway_crash": ORDER_WRITES,
    "question_unanswered": ("answer_order_question",),
}
"""What a fault of orders hits where it names no endpoint."""

_WITH_SECONDS = ("latency", "receive_delay", "order_answer_late", "order_taken_late")
_MAY_HAVE_STATUS = ("order_request_lost", "order_answer_lost")
_WITH_FIELD = ("nan", "infinity", "not_utf8", "lone_surrogate")
_WHOLE_PORT = ("silence", "refuse")
_MATCHERS = ("endpoint", "path", "method", "user_agent", "count", "after", "chance", "processed")


class FaultSpec(BaseModel):
    """Applies to ``count`` matching requests (None: all) after letting ``after`` pass, each with ``chance``.

    ``processed``: the request is carried out first, and only its answer suffers.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind
    endpoint: str | None = None
    path: str | None = None
    method: str | None = None
    user_agent: str | None = None
    count: int | None = Field(None, ge=1)
    after: int = Field(0, ge=0)
    chance: float = Field(1.0, gt=0, le=1)
    processed: bool = False
    seconds: float | None = Field(
        None, ge=0, le=3600, description="latency: loop seconds; receive_delay: at most so many"
    )
    status: int | None = Field(None, ge=200, le=599, description="answer: HTTP status; lost: in place of a reset")
    body: Any = Field(None, description="answer: JSON, or a text sent as it is")
    field: str | None = Field(None, description="nan, infinity, not_utf8, lone_surrogate: every value of this name")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.seconds is None) == (self.kind in _WITH_SECONDS):
            raise ValueError(f"'seconds' goes with kind {', '.join(_WITH_SECONDS)}, and only there")
        if self.field is not None and self.kind not in _WITH_FIELD:
            raise ValueError(f"'field' goes with kind {', '.join(_WITH_FIELD)} only")
        if self.kind not in _MAY_HAVE_STATUS and (self.status is None) == (self.kind == "answer"):
            raise ValueError("'status' goes with kind 'answer', and only there")
        if self.body is not None and self.kind != "answer":
            raise ValueError("'body' goes with kind 'answer' only")
        if self.kind in _ENDPOINTS and self.processed:
            raise ValueError(f"'{self.kind}' says itself whether the request is carried out")
        if self.kind in _WHOLE_PORT and self.model_fields_set.intersection(_MATCHERS):
            raise ValueError(f"'{self.kind}' concerns the whole port and takes no {', '.join(_MATCHERS)}")
        if self.endpoint is not None and not any(fnmatchcase(row.id, self.endpoint) for row in catalogue.load()):
            raise ValueError(f"no endpoint of the catalogue matches '{self.endpoint}'")
        return self


class Fault:
    """A fault in force; ``hits`` counts the requests that it hit."""

    def __init__(self, number: int, spec: FaultSpec) -> None:
        self.number, self.spec = number, spec
        self.passed = self.hits = 0

    def applies(self, endpoint: str | None, method: str, path: str, user_agent: str, random: Random) -> bool:
        """Whether it hits this request; counts it."""
        spec = self.spec
        if spec.endpoint is None and spec.kind in _ENDPOINTS and endpoint not in _ENDPOINTS[spec.kind]:
            return False
        for pattern, value in (
            (spec.endpoint, endpoint or ""),
            (spec.path, path),
            (spec.method, method),
            (spec.user_agent, user_agent),
        ):
            if pattern is not None and not fnmatchcase(value, pattern):
                return False
        if spec.kind in _WHOLE_PORT or (spec.count is not None and self.hits >= spec.count):
            return False
        if self.passed < spec.after:
            self.passed += 1
            return False
        if spec.chance < 1 and random.random() >= spec.chance:
            return False
        self.hits += 1
        return True

    def to_json(self) -> dict[str, Any]:
        return {"id": self.number, **self.spec.model_dump(exclude_defaults=True), "hits": self.hits}


class Faults:
    """Those in force, and the requests that they hold."""

    def __init__(self, seed: int, gate: NetworkGate) -> None:
        self.active: list[Fault] = []
        self._random = Random(seed)
        self._gate = gate
        self._number = 0
        self._held: dict[asyncio.Future[None], int] = {}

    @property
    def held(self) -> int:
        """Requests that wait for ``release``."""
        return len(self._held)

    def add(self, spec: FaultSpec) -> Fault:
        self._number += 1
        fault = Fault(self._number, spec)
        self.active.append(fault)
        self._set_gate()
        return fault

    def remove(self, number: int | None = None) -> int:
        """End one fault or all; what they held goes on. How many ended."""
        ended = [fault for fault in self.active if number is None or fault.number == number]
        self.active = [fault for fault in self.active if fault not in ended]
        self._set_gate()
        for fault in ended:
            self.release(fault.number)
        return len(ended)

    def release(self, number: int | None = None) -> int:
        """Let held requests go on, of one fault or of all; the fault stays in force. How many went on."""
        waiting = [future for future, held_by in self._held.items() if number is None or held_by == number]
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return len(waiting)

    async def hold(self, fault: Fault) -> None:
        """Wait for the release."""
        future = asyncio.get_running_loop().create_future()
        self._held[future] = fault.number
        try:
            await future
        finally:
            del self._held[future]

    async def delay_reception(self, endpoint: str | None, method: str, path: str, user_agent: str) -> None:
        """Wait before a request counts as received, at random up to the longest ``receive_delay`` that hits it."""
        for fault in self.active:
            if fault.spec.kind == "receive_delay" and fault.applies(endpoint, method, path, user_agent, self._random):
                await asyncio.sleep(self._random.random() * (fault.spec.seconds or 0))

    def matching(self, endpoint: str | None, method: str, path: str, user_agent: str) -> list[Fault]:
        """The faults that hit this request, in the order they were added."""
        return [
            fault
            for fault in self.active
            if fault.spec.kind != "receive_delay" and fault.applies(endpoint, method, path, user_agent, self._random)
        ]

    def _set_gate(self) -> None:
        kinds = {fault.spec.kind for fault in self.active}
        self._gate.set(silent="silence" in kinds, refusing="refuse" in kinds)
