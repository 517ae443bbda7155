"""Noticing that the machine slept: the loop's clock stands still meanwhile, the calendar's goes on."""

from __future__ import annotations

from collections.abc import Callable

# The two clocks drift apart by less than this but for a sleep, or a calendar that was set.
SLEPT_S = 5.0


class Sleep:
    """``clock`` is the loop's, ``wall`` the calendar's (epoch seconds)."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._offset = wall() - clock()

    def slept_s(self) -> float:
        """How long the machine slept since this was last asked; 0 when it did not."""
        offset = self._wall() - self._clock()
        slept_s, self._offset = offset - self._offset, offset
        return slept_s if slept_s >= SLEPT_S else 0.0
