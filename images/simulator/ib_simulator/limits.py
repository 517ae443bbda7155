"""IBKR's pacing: ten requests a second, the limits of single operations, and the penalty box after a breach."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ibkr.operation import Operation

GLOBAL = "global"
# Epoch seconds as floats are exact to a quarter of a microsecond.
_ROUNDING_S = 1e-6


class Limits:
    """Sliding windows over simulated seconds. A breach is answered 429 and so is everything else for ``penalty_s``.

    The box is IBKR's: it holds the address that the calls come from, so everybody behind it. ``refused`` counts all
    429s, ``breaches`` what led into the box, by operation id or ``global``.
    """

    def __init__(self, *, enabled: bool = True, per_second: int = 10, penalty_s: float = 600) -> None:
        self.enabled, self.per_second, self.penalty_s = enabled, per_second, penalty_s
        self.refused = 0
        self.breaches: Counter[str] = Counter()
        self.boxed_until = 0.0
        self._admitted: deque[float] = deque()
        self._by_operation: dict[str, deque[float]] = {}
        self._running: Counter[str] = Counter()

    def admit(self, operation: Operation | None, now: float) -> str | None:
        """None when the call may go on, else why not."""
        if not self.enabled:
            return None
        if now < self.boxed_until:
            self.refused += 1
            return "too many requests earlier: this address is in the penalty box"
        breached = self._breach(operation, now)
        if breached is None:
            return None
        self.refused += 1
        self.breaches[breached] += 1
        self.boxed_until = now + self.penalty_s
        return f"too many requests: the {breached} limit is exceeded"

    def _breach(self, operation: Operation | None, now: float) -> str | None:
        if self._full(self._admitted, self.per_second, 1.0, now):
            return GLOBAL
        if operation is not None:
            if operation.concurrent is not None and self._running[operation.id] >= operation.concurrent:
                return operation.id
            pacing = operation.pacing
            if pacing is not None:
                calls = self._by_operation.setdefault(operation.id, deque())
                if self._full(calls, pacing.calls, pacing.seconds, now):
                    return operation.id
                calls.append(now)
        self._admitted.append(now)
        return None

    @staticmethod
    def _full(calls: deque[float], most: int, seconds: float, now: float) -> bool:
        while calls and now - calls[0] >= seconds - _ROUNDING_S:
            calls.popleft()
        return len(calls) >= most

    @contextmanager
    def running(self, operation: Operation | None) -> Iterator[None]:
        """``operation`` is being answered inside the block."""
        if operation is None or operation.concurrent is None:
            yield
            return
        self._running[operation.id] += 1
        try:
            yield
        finally:
            self._running[operation.id] -= 1

    def forget(self) -> None:
        """Empty the windows and the box (the clock was set); counters stay."""
        self.boxed_until = 0.0
        self._admitted.clear()
        self._by_operation.clear()

    def clear_counters(self) -> None:
        self.refused = 0
        self.breaches.clear()

    def to_json(self, now: float) -> dict[str, Any]:
        return {
            "enabled": self.enabled,
            "per_second": self.per_second,
            "penalty_s": self.penalty_s,
            "boxed_for_s": max(0.0, self.boxed_until - now),
            "refused": self.refused,
            "breaches": dict(self.breaches),
        }
