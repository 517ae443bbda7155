"""A sliding window over request arrivals: how many calls IBKR counts now, and when the next one may start. Pure.

IBKR counts a request when it arrives there, which is some time between its start and its answer: networks delay it, and
so does a process that stands still. So a call counts from its start until a period after its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Clocks tick in steps, and windows may count their own edge.
_EDGE_S = 0.01
_SMOOTHING = 0.2


@dataclass(eq=False, slots=True)
class CountedCall:
    """One call in a window; ``arrived`` is the latest moment at which IBKR counted it, None before its answer."""

    window: SlidingWindow
    started: float
    arrived: float | None = None

    def answer(self, now: float) -> None:
        """Note that the answer came: the request had arrived by then."""
        if self.arrived is None:
            self.arrived = now
            self.window.learn(now - self.started)

    def give_up(self, now: float) -> None:
        """Note that nobody waits for the answer any more, which says nothing of how long answers take."""
        if self.arrived is None:
            self.arrived = now

    def let_go(self, now: float) -> None:
        """Note that it was given up, and arrives only now."""
        self.arrived = now
        self.window.count(self)

    def void(self) -> None:
        """Note that the request was never sent."""
        self.window.forget(self)


class SlidingWindow:
    """At most ``calls`` arrivals in any ``seconds``. All times are seconds of one clock that never goes back."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls = calls
        self.seconds = seconds
        self._counted: list[CountedCall] = []
        self._lag = 0.0

    def take(self, now: float) -> CountedCall:
        """Count a call that starts now, whether or not there is room."""
        counted = CountedCall(self, now)
        self._counted.append(counted)
        return counted

    def count(self, counted: CountedCall) -> None:
        """Count a call again that was perhaps let out of sight."""
        if counted not in self._counted:
            self._counted.append(counted)

    def forget(self, counted: CountedCall) -> None:
        """Do not count a call after all."""
        if counted in self._counted:
            self._counted.remove(counted)

    def free(self, now: float) -> int:
        """How many calls may start now."""
        return max(0, self.calls - len(self._expiries(now)))

    def opening(self, now: float, ahead: int = 0) -> float:
        """The earliest start of a call that has ``ahead`` others before it, all starting as early as they may.

        As far as calls without an answer get it as soon as others did.
        """
        return self.openings(now)(ahead)

    def openings(self, now: float) -> Callable[[int], float]:
        """``opening`` at ``now`` for many values of ``ahead``."""
        expiries = self._expiries(now)
        count, calls, period = len(expiries), self.calls, self.seconds + _EDGE_S + self._lag

        def opening(ahead: int) -> float:
            # Starts and what is counted already leave the window in one sequence: the n-th start waits for entry
            # n + count - calls of it, and entries beyond the present ones are earlier starts, a period later.
            index = ahead + count - calls
            periods = 0 if index < count else (index - count) // calls + 1
            index -= periods * calls
            return (now if index < 0 else max(now, expiries[index])) + periods * period

        return opening

    def learn(self, lag: float) -> None:
        """How long a call took until its answer: later ones will take about as long."""
        self._lag += _SMOOTHING * (lag - self._lag)

    def _expiries(self, now: float) -> list[float]:
        lasts = self.seconds + _EDGE_S
        self._counted = [each for each in self._counted if each.arrived is None or each.arrived + lasts > now]
        return sorted(
            (max(now, each.started + self._lag) if each.arrived is None else each.arrived) + lasts
            for each in self._counted
        )
