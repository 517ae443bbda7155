"""The one queue in front of the gateway: a turn for each request, and nothing during IBKR's penalty."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.fair_queue import IN_FLIGHT, End, FairQueue, Limit, TooLong
from ib_keepalive.pacing.penalty_box import PenaltyBox
from ib_keepalive.pacing.reservations import Ticket
from ib_keepalive.pacing.shared_call import SharedCall, Waiter
from ib_keepalive.pacing.sliding_window import CountedCall
from ib_keepalive.pacing.usage_journal import UsageJournal
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, PacingLimited, UpstreamTimeout
from ibkr.operation import Pacing

log = structlog.get_logger("ib_keepalive.guard")

# IBKR allows ten a second; one is left for the requests that the gateway sends by itself.
TOGETHER = Pacing(9, 1.0)
_RESERVED_WITHIN_S = 2.0


class Pacer:
    """Turns in the order of ``FairQueue``. Build it anywhere; use it inside one event loop."""

    def __init__(
        self,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        journal: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        limits = {row.id: Limit(row.share or row.pacing, row.concurrent) for row in catalogue}
        self._pacing = {operation: limit.pacing for operation, limit in limits.items()}
        self._queue = FairQueue(TOGETHER, limits)
        self._journal = UsageJournal(journal, self._pacing, wall)
        self._penalty_box = PenaltyBox()
        self._metrics = metrics
        metrics.pacing_queue_depth.set_function(lambda: self.waiting)
        self._waiters: dict[Ticket, tuple[SharedCall, asyncio.Future[None]]] = {}
        self._reserved: tuple[str, float, tuple[CountedCall, ...]] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def remember(self) -> None:
        """Count what was sent before a restart."""
        now = _now()
        calls, penalty_s, closed = self._journal.read()
        for operation, ages in calls.items():
            for age in ages:
                self._queue.remember(operation, now - age)
        if penalty_s:
            self._penalty_box.hit(now, None, penalty_s)
        for operation, left in closed.items():
            self._penalty_box.close(now, operation, left)

    @property
    def waiting(self) -> int:
        return self._queue.waiting

    @property
    def running(self) -> int:
        return self._queue.running

    async def reserve(self, operation: str) -> None:
        """Count a request of the keeper, which goes before everybody in the queue: returns when there is room for it.

        It is let go after two seconds in any case, for the session depends on it.
        """
        latest = _now() + _RESERVED_WITHIN_S
        self._queue.reserved_slots += 1
        try:
            while (wait_s := min(self._queue.opening(operation, _now()), latest) - _now()) > 0:  # noqa: ASYNC110 - time opens it
                await asyncio.sleep(max(wait_s, 0.001))
        finally:
            self._queue.reserved_slots -= 1
        self._journal.note(operation)
        if self._reserved is not None:
            # The one before was given up, which the keeper does not tell.
            self._queue.give_up(self._reserved[2], _now())
        self._reserved = operation, _now(), self._queue.spend(operation, _now())
        self._pump()

    def answered(self, status: int, retry_after_s: float | None = None) -> None:
        """Note the status of an answer to the keeper, which has one request under way at a time."""
        operation, started, counted = self._reserved or ("", _now(), ())
        for each in counted:
            each.answer(_now())
        self._reserved = None
        self._note(operation, started, status, retry_after_s)

    def penalty_left(self) -> float:
        """Seconds for which IBKR refuses all requests; 0 when it does not."""
        return self._penalty_box.left(_now())

    def check_penalty(self, operation: str) -> None:
        """PacingLimited while IBKR refuses everything, or this operation."""
        left = self._penalty_box.left(_now(), operation)
        if left:
            raise self._penalty(operation)

    def heed_penalty(self, error: IbError) -> IbError:
        """``error``, or the penalty where the error promises something sooner than IBKR answers anybody."""
        if error.retry_after_s is None or error.retry_after_s >= self.penalty_left():
            return error
        return self._penalty("")

    async def turn(self, call: SharedCall, request: Hashable) -> Ticket:
        """Wait for a turn; give the ticket back with ``done``.

        PacingLimited when the turn would come later than the call's deadline allows, UpstreamTimeout while IBKR
        leaves this, or its operation, unanswered.
        """
        self.check_penalty(call.operation)
        now = _now()
        rests_s = self._queue.rests_s(call.operation, request, now)
        if rests_s:
            raise _silence(call.operation, rests_s)
        try:
            ticket = self._queue.join(now, call.callers, call.operation, request, call.turn_by - now)
        except TooLong as error:
            raise self._refusal(call.operation, error.wait_s) from None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[ticket] = call, waiter
        call.ticket = ticket
        self._pump()
        try:
            await waiter
        except BaseException:
            if ticket.started is not None:
                self.done(ticket, "unsent")
            elif ticket in self._waiters:
                del self._waiters[ticket]
                self._queue.leave(ticket, _now(), keep=True)
                self._pump()
            raise
        finally:
            call.ticket = None
        self._metrics.pacing_wait_seconds.labels(call.operation).observe(_now() - now)
        return ticket

    def done(self, ticket: Ticket, end: End = "answered") -> None:
        """Its request ended."""
        now = _now()
        self._queue.finish(ticket, now, end)
        if end == "lost":
            for other in self._queue.of(ticket.operation):
                rests_s = self._queue.rests_s(other.operation, other.request, now)
                if rests_s:
                    self._queue.leave(other, now, keep=False)
                    _, waiter = self._waiters.pop(other)
                    if not waiter.done():
                        waiter.set_exception(_silence(other.operation, rests_s))
        self._pump()

    def note(self, ticket: Ticket, status: int, retry_after_s: float | None = None) -> None:
        """Note the status of the answer to a request in turn."""
        self._note(ticket.operation, ticket.started or _now(), status, retry_after_s)

    def joined(self, waiter: Waiter) -> None:
        """``waiter`` has joined a call of others: it stands as near its turn as for a call of its own."""
        for ticket, (call, _) in self._waiters.items():
            if call.is_for(waiter):
                self._queue.improve(ticket, waiter.callers)

    def gateway_gone(self) -> None:
        """The gateway does not accept connections: its program ended, with everything it had under way."""
        self._queue.gateway_gone()

    def _note(self, operation: str, started: float, status: int, retry_after_s: float | None) -> None:
        """A 429 closes the queue for everybody."""
        now = _now()
        self._queue.let_go(now)
        if status != 429:
            self._penalty_box.passed(now, operation, started)
            self._pump()
            return
        self._penalty_box.hit(now, operation, retry_after_s)
        left = self._penalty_box.left(now)
        self._journal.note_penalty(left, operation, self._penalty_box.left(now, operation))
        log.error("IBKR refuses requests for a while: too many were sent", operation=operation, seconds=round(left))
        waiters, self._waiters = self._waiters, {}
        self._queue.clear()
        for call, waiter in waiters.values():
            if not waiter.done():
                waiter.set_exception(self._penalty(call.operation))
        self._pump()

    def _penalty(self, operation: str) -> PacingLimited:
        now = _now()
        left = self._penalty_box.left(now)
        if left:
            message = "IBKR refuses all requests for a while, because too many were sent."
        else:
            left = self._penalty_box.left(now, operation)
            message = f"IBKR refuses {operation} for a while, because it was asked for too often."
        return PacingLimited(message, retry_after_s=math.ceil(left))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def too_late(self, call: SharedCall) -> PacingLimited:
        """What a caller is told that cannot wait for its turn any longer."""
        wait_s = self._queue.expect(call.ticket, _now()) if call.ticket in self._waiters else 0.0
        return self._refusal(call.operation, max(1.0, wait_s))

    def _refusal(self, operation: str, wait_s: float) -> PacingLimited:
        wait_s = math.ceil(wait_s * 10) / 10
        pacing = self._pacing.get(operation)
        if pacing is not None and pacing.seconds > 1:
            message = f"IBKR allows {operation} {_times(pacing.calls)} in {_span(pacing.seconds)}."
        else:
            message = "More requests are waiting than IBKR's 10 a second let through in time."
        return PacingLimited(message, retry_after_s=wait_s)

    def _pump(self) -> None:
        now = _now()
        self._queue.most_at_once = 1 if self._penalty_box.is_half_open(now) else IN_FLIGHT
        self._queue.on_trial = self._penalty_box.on_trial(now)
        while (ticket := self._queue.start(now)) is not None:
            self._journal.note(ticket.operation)
            _, waiter = self._waiters.pop(ticket)
            # One that was cancelled in this very moment gives its place back itself.
            if not waiter.done():
                waiter.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        change = self._queue.next_change(now)
        if change is not None:
            self._timer = asyncio.get_running_loop().call_at(change, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _silence(operation: str, rests_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"IBKR does not answer {operation} at the moment.", retry_after_s=math.ceil(rests_s))


def _times(calls: int) -> str:
    return "once" if calls == 1 else f"{calls} times"


def _span(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
