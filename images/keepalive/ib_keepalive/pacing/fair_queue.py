"""Who may ask IBKR next: one queue for all callers, fair between them, within IBKR's limits. Pure: time is passed in.

Every ticket has a virtual time, at which its caller is served. A caller's next ticket is one step after its last, a
caller without any joins at the present virtual time, so nobody with many requests delays one with few.

A caller that would wait too long is told how long, and its ticket is reserved: it does not hold others up, and goes
before those of its virtual time when the caller returns at the time it was told.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Literal

from ib_keepalive.pacing.reservations import PUNCTUAL_S, Reservations, Ticket
from ib_keepalive.pacing.sliding_window import CountedCall, SlidingWindow
from ib_keepalive.pacing.unanswered import Unanswered
from ibkr.operation import Pacing

IN_FLIGHT = 4
MOST_WAITING = 256
# A promise holds against everybody whose virtual time is not this much earlier: many promises to one caller do not
# delay one who comes with a first request.
_FIRM_STEPS = 2
_SOONEST_S = 1.0
_FIRST_GUESS_S = 0.15


# A request has an answer, or it was sent and its answer is lost (the gateway may still wait for it), or never sent.
End = Literal["answered", "lost", "unsent"]


class TooLong(Exception):
    """The wait would be longer than the caller waits."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"{wait_s:.1f} s")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Limit:
    """What IBKR allows of one operation."""

    pacing: Pacing | None = None
    concurrent: int | None = None


class FairQueue:
    """``together``: what all operations may do; ``limits``: by operation, on top of that."""

    def __init__(self, together: Pacing, limits: Mapping[str, Limit]) -> None:
        self._together = SlidingWindow(together.calls, together.seconds)
        self._windows = {
            operation: SlidingWindow(limit.pacing.calls, limit.pacing.seconds)
            for operation, limit in limits.items()
            if limit.pacing is not None
        }
        self._concurrent = {
            operation: limit.concurrent for operation, limit in limits.items() if limit.concurrent is not None
        }
        self._queue: list[Ticket] = []
        self._reservations = Reservations(self._window_s)
        self._running: list[Ticket] = []
        self._unanswered = Unanswered()
        self._took: dict[str, float] = {}
        self._virtual_time = 0.0
        self._number = 0
        self.most_at_once = IN_FLIGHT
        # How many calls are kept free for requests that go upstream outside this queue.
        self.reserved_slots = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def running(self) -> int:
        return len(self._running)

    def join(self, now: float, caller: str, operation: str, request: Hashable, within_s: float) -> Ticket:
        """A ticket of the queue. TooLong when it would not start within ``within_s``; it is reserved then."""
        ticket = self._reservations.take(caller, operation, request, now)
        is_new = ticket is None
        if ticket is None:
            self._number += 1
            ticket = Ticket(caller, operation, request, (self._next_virtual_time(caller), self._number))
        elif ticket.due - PUNCTUAL_S <= now and not ticket.is_back:
            # Those who are back stand by the time they were told, before everybody of the present virtual time.
            ticket.is_back = True
            ticket.order = (max(ticket.order[0] - _FIRM_STEPS, self._virtual_time) - 0.5, ticket.due)
        ticket.due = self._expect(now, ticket)
        wait_s = ticket.due - now
        if wait_s > within_s or (is_new and len(self._queue) >= MOST_WAITING):
            self._reservations.keep(ticket)
            raise TooLong(max(wait_s, _SOONEST_S))
        bisect.insort(self._queue, ticket, key=_order)
        return ticket

    def start(self, now: float) -> Ticket | None:
        """Take the next ticket out of the queue, if one may start now."""
        if not self._queue or len(self._running) >= self._slots(now) or self._together.free(now) <= self.reserved_slots:
            return None
        for index, ticket in enumerate(self._queue):
            if self._may_start(ticket.operation, now):
                del self._queue[index]
                ticket.started = now
                ticket.counted = self._take(ticket.operation, now)
                self._virtual_time = max(self._virtual_time, ticket.order[0])
                self._running.append(ticket)
                return ticket
        return None

    def finish(self, ticket: Ticket, now: float, end: End = "answered") -> None:
        """It ended, however that was."""
        self._running.remove(ticket)
        for counted in ticket.counted:
            if end == "unsent":
                counted.void()
            else:
                counted.answer(now)
        if end == "lost":
            self._unanswered.note(ticket.operation, now)
        if end != "answered":
            return
        self._unanswered.answered(ticket.operation)
        if ticket.started is not None:
            before = self._took.get(ticket.operation, _FIRST_GUESS_S)
            self._took[ticket.operation] = before + 0.2 * (now - ticket.started - before)

    def leave(self, ticket: Ticket, now: float, *, keep: bool) -> None:
        """Its caller does not wait any more; ``keep``: it was told when to return."""
        self._queue.remove(ticket)
        if keep:
            ticket.due = self._expect(now, ticket)
            self._reservations.keep(ticket)

    def clear(self) -> None:
        """Send everybody away without a promise."""
        self._queue.clear()
        self._reservations.clear()

    def remember(self, operation: str, started: float) -> None:
        """Count an earlier call of an operation with a limit of its own."""
        self._windows[operation].take(started)

    def spend(self, operation: str, now: float) -> None:
        """Count a request that goes upstream outside this queue."""
        self._take(operation, now)

    def opening(self, now: float) -> float:
        """When the next request may go upstream outside this queue."""
        return self._together.opening(now)

    def expect(self, ticket: Ticket, now: float) -> float:
        """Seconds until a waiting ticket starts."""
        return max(0.0, self._expect(now, ticket) - now)

    def next_change(self, now: float) -> float | None:
        """When a waiting ticket may start if nothing else happens; None when only the end of a running one helps."""
        if not self._queue or len(self._running) >= self._slots(now):
            return self._unanswered.frees_at() if self._queue else None
        openings = [self._opens(ticket, now) for ticket in self._queue if not self._is_full(ticket.operation)]
        return max(min(openings), self._together.opening(now, self.reserved_slots)) if openings else None

    def _take(self, operation: str, now: float) -> tuple[CountedCall, ...]:
        own = self._windows.get(operation)
        return (self._together.take(now), *(() if own is None else (own.take(now),)))

    def _slots(self, now: float) -> int:
        return min(self.most_at_once, max(1, IN_FLIGHT - self._unanswered.slots(now)))

    def _may_start(self, operation: str, now: float) -> bool:
        if self._is_full(operation):
            return False
        window = self._windows.get(operation)
        return window is None or window.free(now) > len(self._reservations.due(operation, now))

    def rests_s(self, operation: str, now: float) -> float:
        """Seconds for which ``operation`` is not to be sent, because IBKR left it unanswered."""
        return self._unanswered.rests_s(operation, now)

    def of(self, operation: str) -> list[Ticket]:
        """Who waits in the queue for ``operation``."""
        return [ticket for ticket in self._queue if ticket.operation == operation]

    def _is_full(self, operation: str) -> bool:
        most = self._concurrent.get(operation)
        if self._unanswered.is_on_trial(operation):
            most = 1
        return most is not None and sum(ticket.operation == operation for ticket in self._running) >= most

    def _opens(self, ticket: Ticket, now: float) -> float:
        window = self._windows.get(ticket.operation)
        if window is None:
            return now
        promised = self._reservations.due(ticket.operation, now)
        if promised and window.free(now):
            return min(other.reserved_until for other in promised)
        return window.opening(now)

    def _expect(self, now: float, ticket: Ticket) -> float:
        """When it starts: after those before it in the queue, and those who are promised an earlier time."""
        after = self._starts(ticket.operation, now)
        line = [other for other in self._queue if other.order < ticket.order]
        same = sum(other.operation == ticket.operation for other in line)
        ahead, work = len(line), sum(map(self._lasts, line))
        start = after(ahead, same, work)
        for other in () if ticket.is_back else sorted(self._reservations, key=_due):
            if other.due > start:
                break
            is_firm = other.order[0] - _FIRM_STEPS <= ticket.order[0]
            if other is not ticket and is_firm and now <= other.due + PUNCTUAL_S:
                ahead, same = ahead + 1, same + (other.operation == ticket.operation)
                work += self._lasts(other)
                start = max(start, after(ahead, same, work))
        return start

    def _starts(self, operation: str, now: float) -> Callable[[int, int, float], float]:
        """When ``operation`` starts after others, ``same`` of its kind, that need ``work`` seconds of the slots."""
        together, window = self._together.openings(now), self._windows.get(operation)
        own = None if window is None else window.openings(now)
        slots, running = self._slots(now), len(self._running)
        under_way = sum(map(self._lasts, self._running)) / 2

        def after(ahead: int, same: int, work: float) -> float:
            start = together(ahead) if own is None else max(together(ahead), own(same))
            return start if ahead + running < slots else max(start, now + (work + under_way) / slots)

        return after

    def _lasts(self, ticket: Ticket) -> float:
        return self._took.get(ticket.operation, _FIRST_GUESS_S)

    def _next_virtual_time(self, caller: str) -> float:
        own: list[float] = [
            ticket.order[0] for ticket in (*self._queue, *self._reservations) if ticket.caller == caller
        ]
        return max(self._virtual_time, *own, 0) + 1

    def _window_s(self, operation: str) -> float:
        window = self._windows.get(operation)
        return 0.0 if window is None else window.seconds


def _due(ticket: Ticket) -> float:
    return ticket.due


def _order(ticket: Ticket) -> tuple[float, float]:
    return ticket.order
