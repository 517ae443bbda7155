"""A shared pace for opening sessions: after the nightly reset all gateways want to at once."""

from __future__ import annotations


class RateLimiter:
    """Hands out moments at least ``1 / per_s`` seconds apart."""

    def __init__(self, per_s: float) -> None:
        self._gap_s = 1 / per_s
        self._free_at = float("-inf")

    def reserve(self, now: float) -> float:
        """The next free moment (loop seconds), which is taken by this."""
        at = max(now, self._free_at)
        self._free_at = at + self._gap_s
        return at
