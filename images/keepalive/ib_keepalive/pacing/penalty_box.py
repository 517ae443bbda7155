"""IBKR's penalty box: after a 429 nothing is sent until it ends, then one request tries. Pure.

IBKR documents ten minutes in one place and fifteen in another, for the whole address, and no Retry-After; repeat
offenders may be shut out for good. A limit of one operation is refused with the same 429: what tells them apart is
whether IBKR answers anything else meanwhile, which only the keeper asks then.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 600.0
AGAIN_S = 900.0
# Other answers that keep coming for so long show that the address is not shut out.
PROOF_S = 60.0
_LONGEST_S = 3600.0


@dataclass(slots=True)
class _Closure:
    """Closed from ``hit_at`` until ``until``, then on trial until one answer that is not a 429."""

    hit_at: float
    until: float
    good_since: float | None = None

    def left(self, now: float) -> float:
        return max(0.0, self.until - now)


class PenaltyBox:
    """Closed for everything and for the operation that was refused, each half open after its time."""

    def __init__(self) -> None:
        self._all: _Closure | None = None
        self._operations: dict[str, _Closure] = {}

    def hit(self, now: float, operation: str | None, retry_after_s: float | None) -> None:
        """A 429 for ``operation`` came at ``now``, perhaps with IBKR's own Retry-After; None: from before a restart."""
        if self._all is not None:
            self._all.good_since = None
            if self._all.left(now):
                # Requests that were under way when the first one was refused are the same offence.
                return
        self._all = self._closure(now, self._all, retry_after_s)
        if operation is not None:
            self._operations[operation] = self._closure(now, self._operations.get(operation), retry_after_s)

    def close(self, now: float, operation: str, left: float) -> None:
        """``operation`` was refused before a restart and is closed for ``left`` seconds from now."""
        self._operations[operation] = _Closure(now, now + left)

    def passed(self, now: float, operation: str, started: float) -> None:
        """An answer that is not a 429 came to a request that began at ``started``."""
        closure = self._operations.get(operation)
        if closure is not None and not closure.left(now) and started >= closure.until:
            del self._operations[operation]
        if self._all is None or started < self._all.hit_at:
            return
        if not self._all.left(now):
            self._all = None
            return
        if self._all.good_since is None:
            self._all.good_since = now
        elif now - self._all.good_since >= PROOF_S:
            self._all.until = now

    def left(self, now: float, operation: str | None = None) -> float:
        """Seconds until a request of ``operation`` may try; 0 when it may."""
        closures = (self._all, self._operations.get(operation or ""))
        return max((closure.left(now) for closure in closures if closure is not None), default=0.0)

    def is_half_open(self, now: float) -> bool:
        """Whether one request of all may try."""
        return self._all is not None and not self._all.left(now)

    def on_trial(self, now: float) -> frozenset[str]:
        """Operations of which one request at a time may try."""
        return frozenset(name for name, closure in self._operations.items() if not closure.left(now))

    def _closure(self, now: float, before: _Closure | None, retry_after_s: float | None) -> _Closure:
        lasts = AGAIN_S if before is not None else FIRST_S
        if retry_after_s is not None:
            lasts = min(max(retry_after_s, 1.0), _LONGEST_S)
        return _Closure(now, now + lasts)
