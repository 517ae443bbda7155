"""Requests that the gateway left unanswered: each may hold one of its slots, and what is asked so rests. Pure."""

from __future__ import annotations

from collections.abc import Hashable

# So long a request that got no answer may hold one of the gateway's slots, whatever else is answered.
STUCK_S = 60.0
# A request that was left unanswered rests: twice as long each time, so that it never holds a second slot for long.
REST_S = 30.0
_LONGEST_REST_S = 600.0
# An operation that lost two different requests in a row rests as well, and is then tried one by one.
OPERATION_REST_S = 15.0
_LOST_TO_REST = 2
_MOST_REMEMBERED = 1000


class Unanswered:
    """The lost requests, by operation and by what was asked."""

    def __init__(self) -> None:
        self._slots: list[float] = []
        self._silent: dict[str, list[float]] = {}
        self._requests: dict[tuple[str, Hashable], tuple[int, float]] = {}

    def note(self, operation: str, request: Hashable, now: float) -> None:
        """A request was given up without an answer."""
        self._slots.append(now)
        self._silent.setdefault(operation, []).append(now)
        times, _ = self._requests.pop((operation, request), (0, 0.0))
        if len(self._requests) >= _MOST_REMEMBERED:
            self._requests.pop(next(iter(self._requests)))
        self._requests[operation, request] = times + 1, now

    def answered(self, operation: str, request: Hashable) -> None:
        """A request was answered: it and its operation are not silent. Slots of others stay held."""
        self._silent.pop(operation, None)
        self._requests.pop((operation, request), None)

    def forget(self) -> None:
        """The gateway's program ended, and its slots with it."""
        self._slots.clear()
        self._silent.clear()

    def slots(self, now: float) -> int:
        """How many of the gateway's slots they may hold."""
        self._slots = [at for at in self._slots if now < at + STUCK_S]
        return len(self._slots)

    def frees_at(self) -> float | None:
        """When the first of these slots is free again at the latest."""
        return self._slots[0] + STUCK_S if self._slots else None

    def rests_s(self, operation: str, request: Hashable, now: float) -> float:
        """Seconds for which this request is not to be sent."""
        times, at = self._requests.get((operation, request), (0, 0.0))
        own = at + min(REST_S * 2 ** (times - 1), _LONGEST_REST_S) - now if times else 0.0
        return max(0.0, own, self._operation_rests_s(operation, now))

    def is_on_trial(self, operation: str, now: float) -> bool:
        """Whether ``operation`` is to be tried one by one."""
        return len(self._lost(operation, now)) >= _LOST_TO_REST

    def _operation_rests_s(self, operation: str, now: float) -> float:
        lost = self._lost(operation, now)
        return lost[-1] + OPERATION_REST_S - now if len(lost) >= _LOST_TO_REST else 0.0

    def _lost(self, operation: str, now: float) -> list[float]:
        lost = [at for at in self._silent.get(operation, ()) if now < at + STUCK_S]
        if lost:
            self._silent[operation] = lost
        else:
            self._silent.pop(operation, None)
        return lost
