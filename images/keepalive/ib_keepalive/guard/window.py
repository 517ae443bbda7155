"""A sliding window over request arrivals: how many calls IBKR counts now, and when the next one may start. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# IBKR counts a request when it arrives there: after its start, before its answer, at most about this much later.
UNSURE_S = 0.25
# Clocks tick in steps, and windows may count their own edge.
_EDGE_S = 0.01


@dataclass(eq=False, slots=True)
class Hold:
    """One call in a window; ``arrived`` is the latest moment at which IBKR can have counted it."""

    arrived: float


class Window:
    """At most ``calls`` arrivals in any ``seconds``. All times are seconds of one clock that never goes back."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls = calls
        self.seconds = seconds
        self._holds: list[Hold] = []

    def take(self, now: float) -> Hold:
        """Count a call that starts now, whether or not there is room."""
        hold = Hold(now + UNSURE_S)
        self._holds.append(hold)
        return hold

    def free(self, now: float) -> int:
        """How many calls may start now."""
        return max(0, self.calls - len(self._expiries(now)))

    def opening(self, now: float, ahead: int = 0) -> float:
        """The earliest start of a call that has ``ahead`` others before it, all starting as early as they may."""
        expiries = self._expiries(now)
        # Starts and what is counted already leave the window in one sequence: the n-th start waits for entry
        # n + len(expiries) - calls of it, and entries beyond the present ones are earlier starts, a period later.
        index, periods = ahead + len(expiries) - self.calls, 0
        while index >= len(expiries):
            index -= self.calls
            periods += 1
        return (now if index < 0 else max(now, expiries[index])) + periods * (self.seconds + _EDGE_S)

    def _expiries(self, now: float) -> list[float]:
        lasts = self.seconds + _EDGE_S
        self._holds = [hold for hold in self._holds if hold.arrived + lasts > now]
        return sorted(hold.arrived + lasts for hold in self._holds)


def arrive(hold: Hold, answered: float) -> None:
    """Note that the answer came: the request had arrived by then."""
    hold.arrived = min(hold.arrived, answered)
