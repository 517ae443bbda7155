"""Requests that the gateway left unanswered: each may hold one of its slots, and their operation rests. Pure."""

from __future__ import annotations

# A request that got no answer may hold one of the gateway's slots for long. An operation that lost two of them rests,
# and is then tried one by one, so that it cannot take all slots.
STUCK_S = 60.0
REST_S = 15.0
_LOST_TO_REST = 2


class Unanswered:
    """The lost requests of the last minute."""

    def __init__(self) -> None:
        self._lost: list[tuple[float, str]] = []

    def note(self, operation: str, now: float) -> None:
        """A request of ``operation`` was given up without an answer."""
        self._lost.append((now, operation))

    def answered(self, operation: str) -> None:
        """A request of ``operation`` was answered."""
        self._lost = [each for each in self._lost if each[1] != operation]

    def slots(self, now: float) -> int:
        """How many of the gateway's slots they may hold."""
        self._lost = [each for each in self._lost if now < each[0] + STUCK_S]
        return len(self._lost)

    def frees_at(self) -> float | None:
        """When the first of these slots is free again at the latest."""
        return self._lost[0][0] + STUCK_S if self._lost else None

    def rests_s(self, operation: str, now: float) -> float:
        """Seconds for which ``operation`` is not to be sent, because IBKR left it unanswered twice."""
        lost = [at for at, other in self._lost if other == operation and now < at + STUCK_S]
        return max(0.0, lost[-1] + REST_S - now) if len(lost) >= _LOST_TO_REST else 0.0

    def is_on_trial(self, operation: str) -> bool:
        """Whether ``operation`` is to be tried one by one."""
        return sum(other == operation for _, other in self._lost) >= _LOST_TO_REST
