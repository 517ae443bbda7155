"""The simulated clock: epoch seconds that follow the event loop, and can be run faster, moved or set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Starts at ``wall()`` and goes on with the running loop's ``time()``, so that looptime moves it too.

    Made outside a loop it stands still until the first reading in one. ``rate``: simulated seconds per loop second.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._at = wall()
        self._read: float | None = None
        self._rate = 1.0
        self.now()

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> float:
        """The simulated epoch second."""
        try:
            loop_time = asyncio.get_running_loop().time()
        except RuntimeError:
            return self._at
        if self._read is None:
            self._read = loop_time
        return self._at + (loop_time - self._read) * self._rate

    def advance(self, seconds: float) -> None:
        """Jump by ``seconds``, back when negative."""
        self.set(self.now() + seconds)

    def set(self, epoch: float) -> None:
        """Jump to ``epoch``."""
        self._at = epoch
        self._read = None
        self.now()

    def run(self, rate: float) -> None:
        """Go on at ``rate`` simulated seconds per second from here."""
        self.set(self.now())
        self._rate = rate

    def loop_delay(self, epoch: float) -> float:
        """Loop seconds until ``epoch``, 0 when it has passed."""
        return max(0.0, (epoch - self.now()) / self._rate)
