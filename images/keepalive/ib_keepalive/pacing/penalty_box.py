"""IBKR's penalty box: after a 429 nothing is sent until it ends, then one request tries. Pure.

IBKR documents ten minutes in one place and fifteen in another, for the whole address, and no Retry-After; repeat
offenders may be shut out for good.
"""

from __future__ import annotations

FIRST_S = 600.0
AGAIN_S = 900.0
_LONGEST_S = 3600.0


class PenaltyBox:
    """Closed until a time, then half open until one answer that is not a 429."""

    def __init__(self) -> None:
        self._until: float | None = None

    def hit(self, now: float, retry_after_s: float | None) -> None:
        """A 429 came at ``now``, perhaps with IBKR's own Retry-After."""
        if self.left(now):
            # Requests that were under way when the first one was refused are the same offence.
            return
        lasts = AGAIN_S if self._until is not None else FIRST_S
        if retry_after_s is not None:
            lasts = min(max(retry_after_s, 1.0), _LONGEST_S)
        self._until = now + lasts

    def passed(self, now: float) -> None:
        """An answer that is not a 429 came."""
        if not self.left(now):
            self._until = None

    def left(self, now: float) -> float:
        """Seconds until a request may try; 0 when it may."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def is_half_open(self, now: float) -> bool:
        return self._until is not None and not self.left(now)
