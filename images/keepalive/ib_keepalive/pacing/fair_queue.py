"""Who may ask IBKR next: one queue for all callers, fair between them, within IBKR's limits. Pure: time is passed in.

Every ticket has a virtual time, at which its caller is served. A caller's next ticket is one step after its last, a
caller without any joins at the present virtual time, so nobody with many requests delays one with few.

A caller that would wait too long is told how long, and its ticket is reserved: it does not hold others up, and goes
before those of its virtual time when the caller returns at the time it was told.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ib_keepalive.pacing.reservations import PUNCTUAL_S, VERY_SLOW_S, Reservations, Ticket
from ib_keepalive.pacing.sliding_window import CountedCall, SlidingWindow
from ib_keepalive.pacing.unanswered import Unanswered
from ibkr.operation import Pacing

IN_FLIGHT = 4
# Beyond this many in all, only callers without a ticket may join, and a caller may always have only so many.
MOST_WAITING = 256
MOST_WAITING_EACH = 128
_MOST_OF_ALL = 1024
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
        # Of requests that were given up: the gateway may hold them still.
        self._held: list[CountedCall] = []
        self._took: dict[str, float] = {}
        self._virtual_time = 0.0
        self._number = 0
        self.most_at_once = IN_FLIGHT
        # Operations of which one at a time may be tried.
        self.on_trial: frozenset[str] = frozenset()
        # How many calls are kept free for requests that go upstream outside this queue.
        self.reserved_slots = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def running(self) -> int:
        return len(self._running)

    def join(self, now: float, callers: Collection[str], operation: str, request: Hashable, within_s: float) -> Ticket:
        """The best ticket that one of ``callers`` would get.

        TooLong when it would not start within ``within_s``; it is reserved then.
        """
        taken = (self._reservations.take(caller, operation, request, now) for caller in callers)
        ticket = next((ticket for ticket in taken if ticket is not None), None)
        is_new = ticket is None
        if ticket is None:
            ticket = self._new_ticket(callers, operation, request)
        elif ticket.due - PUNCTUAL_S <= now and not ticket.is_back:
            # Those who are back stand by the time they were told, before everybody of the present virtual time.
            ticket.is_back = True
            ticket.order = (max(ticket.order[0] - _FIRM_STEPS, self._virtual_time) - 0.5, ticket.due)
        ticket.due = self._expect(now, ticket)
        wait_s = ticket.due - now
        if wait_s > within_s or (is_new and self._is_crowded(ticket.caller)):
            self._reservations.keep(ticket)
            raise TooLong(max(wait_s, _SOONEST_S))
        bisect.insort(self._queue, ticket, key=_order)
        return ticket

    def improve(self, ticket: Ticket, callers: Collection[str]) -> None:
        """Give a waiting ticket the better of its place and the one that one of ``callers`` would get now."""
        better = self._new_ticket(callers, ticket.operation, ticket.request)
        if not ticket.is_back and better.order < ticket.order:
            self._queue.remove(ticket)
            ticket.caller, ticket.order = better.caller, better.order
            bisect.insort(self._queue, ticket, key=_order)

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
            elif end == "answered":
                counted.answer(now)
        if end == "lost":
            self.give_up(ticket.counted, now)
            self._unanswered.note(ticket.operation, ticket.request, now)
        if end != "answered":
            return
        self._unanswered.answered(ticket.operation, ticket.request)
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
        self._windows[operation].take(started).answer(started)

    def spend(self, operation: str, now: float) -> tuple[CountedCall, ...]:
        """Count a request that goes upstream outside this queue; note its answer with each of these."""
        return self._take(operation, now)

    def gateway_gone(self) -> None:
        """The gateway's program ended, and with it what it had left unanswered."""
        self._unanswered.forget()
        self._held.clear()

    def give_up(self, counted: Iterable[CountedCall], now: float) -> None:
        """Nobody waits for the answer to a request any more, which the gateway sends once IBKR takes requests again."""
        for each in counted:
            each.give_up(now)
            self._held.append(each)

    def let_go(self, now: float) -> None:
        """IBKR answered something: what was given up before goes out now at the latest, all of it together."""
        for each in self._held:
            each.let_go(now)
        self._held.clear()

    def opening(self, operation: str, now: float) -> float:
        """When the next request of ``operation`` may go upstream outside this queue."""
        own = self._windows.get(operation)
        together = self._together.opening(now)
        return together if own is None else max(together, own.opening(now))

    def expect(self, ticket: Ticket, now: float) -> float:
        """Seconds until a waiting ticket starts."""
        return max(0.0, self._expect(now, ticket) - now)

    def next_change(self, now: float) -> float | None:
        """When a waiting ticket may start if nothing else happens; None when only the end of a running one helps."""
        if not self._queue or len(self._running) >= self._slots(now):
            return self._unanswered.frees_at() if self._queue else None
        openings = [self._opens(ticket, now) for ticket in self._queue if not self._is_full(ticket.operation, now)]
        return max(min(openings), self._together.opening(now, self.reserved_slots)) if openings else None

    def _take(self, operation: str, now: float) -> tuple[CountedCall, ...]:
        own = self._windows.get(operation)
        return (self._together.take(now), *(() if own is None else (own.take(now),)))

    def _slots(self, now: float) -> int:
        return min(self.most_at_once, max(1, IN_FLIGHT - self._unanswered.slots(now)))

    def _may_start(self, operation: str, now: float) -> bool:
        if self._is_full(operation, now):
            return False
        window = self._windows.get(operation)
        return window is None or window.free(now) > len(self._reservations.due(operation, now))

    def rests_s(self, operation: str, request: Hashable, now: float) -> float:
        """Seconds for which this is not to be sent, because IBKR left it, or others of its kind, unanswered."""
        return self._unanswered.rests_s(operation, request, now)

    def of(self, operation: str) -> list[Ticket]:
        """Who waits in the queue for ``operation``."""
        return [ticket for ticket in self._queue if ticket.operation == operation]

    def _is_full(self, operation: str, now: float) -> bool:
        most = self._concurrent.get(operation)
        if operation in self.on_trial or self._unanswered.is_on_trial(operation, now):
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
            if other is ticket or not is_firm or now > other.due + PUNCTUAL_S:
                continue
            if other.operation == ticket.operation and self._window_s(ticket.operation) >= VERY_SLOW_S:
                # Whether its caller returns is uncertain, and its call would be the only one for long.
                start = max(start, other.reserved_until)
            else:
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

    def _new_ticket(self, callers: Collection[str], operation: str, request: Hashable) -> Ticket:
        last = dict.fromkeys(callers, self._virtual_time)
        for ticket in (*self._queue, *self._reservations):
            if ticket.caller in last:
                last[ticket.caller] = max(last[ticket.caller], ticket.order[0])
        caller = min(last, key=last.__getitem__)
        self._number += 1
        return Ticket(caller, operation, request, (last[caller] + 1, self._number))

    def _is_crowded(self, caller: str) -> bool:
        mine = sum(ticket.caller == caller for ticket in self._queue)
        return (
            mine >= MOST_WAITING_EACH
            or (mine > 0 and len(self._queue) >= MOST_WAITING)
            or len(self._queue) >= _MOST_OF_ALL
        )

    def _window_s(self, operation: str) -> float:
        window = self._windows.get(operation)
        return 0.0 if window is None else window.seconds


def _due(ticket: Ticket) -> float:
    return ticket.due


def _order(ticket: Ticket) -> tuple[float, float]:
    return ticket.order
