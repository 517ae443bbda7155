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
from ib_keepalive.pacing.shared_call import SharedCall
from ib_keepalive.pacing.usage_journal import UsageJournal
from ibkr.catalogue import Catalogue
from ibkr.errors import PacingLimited, UpstreamTimeout
from ibkr.operation import Pacing

log = structlog.get_logger("ib_keepalive.guard")

# IBKR allows ten a second; one is left for the requests that the gateway sends by itself.
TOGETHER = Pacing(9, 1.0)
# The batches of price snapshots leave room for everything else; the prices change twice a second at most.
_SNAPSHOTS = Pacing(5, 1.0)
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
        limits = {row.id: Limit(row.pacing, row.concurrent) for row in catalogue}
        limits["get_price_snapshot"] = Limit(_SNAPSHOTS)
        self._pacing = {operation: limit.pacing for operation, limit in limits.items()}
        self._queue = FairQueue(TOGETHER, limits)
        self._journal = UsageJournal(journal, self._pacing, wall)
        self._penalty_box = PenaltyBox()
        self._metrics = metrics
        self._waiters: dict[Ticket, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def remember(self) -> None:
        """Count what was sent before a restart."""
        now = _now()
        calls, penalty_s = self._journal.read()
        for operation, ages in calls.items():
            for age in ages:
                self._queue.remember(operation, now - age)
        if penalty_s:
            self._penalty_box.hit(now, penalty_s)

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
            while (wait_s := min(self._queue.opening(_now()), latest) - _now()) > 0:  # noqa: ASYNC110 - time opens it
                await asyncio.sleep(max(wait_s, 0.001))
        finally:
            self._queue.reserved_slots -= 1
        self._journal.note(operation)
        self._queue.spend(operation, _now())
        self._pump()

    def check_penalty(self) -> None:
        """PacingLimited while IBKR refuses everything."""
        left = self._penalty_box.left(_now())
        if left:
            raise _penalty(left)

    async def turn(self, call: SharedCall, request: Hashable) -> Ticket:
        """Wait for a turn; give the place back with ``done``.

        PacingLimited when the turn would come later than the call's deadline allows, UpstreamTimeout while IBKR
        leaves this operation unanswered.
        """
        self.check_penalty()
        now = _now()
        rests_s = self._queue.rests_s(call.operation, now)
        if rests_s:
            raise _silence(call.operation, rests_s)
        try:
            ticket = self._queue.join(now, call.caller, call.operation, request, call.deadline.turn_by - now)
        except TooLong as error:
            raise self._refusal(call.operation, error.wait_s) from None
        self._waiters[ticket] = waiter = asyncio.get_running_loop().create_future()
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
        rests_s = self._queue.rests_s(ticket.operation, now)
        if rests_s:
            for other in self._queue.of(ticket.operation):
                self._queue.leave(other, now, keep=False)
                waiter = self._waiters.pop(other)
                if not waiter.done():
                    waiter.set_exception(_silence(ticket.operation, rests_s))
        self._pump()

    def answered(self, status: int, retry_after_s: float | None = None) -> None:
        """Note the status of an answer: a 429 closes the queue for everybody."""
        now = _now()
        if status != 429:
            self._penalty_box.passed(now)
            return
        self._penalty_box.hit(now, retry_after_s)
        left = self._penalty_box.left(now)
        self._journal.note_penalty(left)
        log.error("IBKR refuses requests for a while: too many were sent", seconds=round(left))
        waiters, self._waiters = self._waiters, {}
        self._queue.clear()
        for waiter in waiters.values():
            if not waiter.done():
                waiter.set_exception(_penalty(left))
        self._pump()

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
        while (ticket := self._queue.start(now)) is not None:
            self._journal.note(ticket.operation)
            waiter = self._waiters.pop(ticket)
            # One that was cancelled in this very moment gives its place back itself.
            if not waiter.done():
                waiter.set_result(None)
        self._metrics.pacing_queue_depth.set(self._queue.waiting)
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


def _penalty(left: float) -> PacingLimited:
    return PacingLimited(
        "IBKR refuses all requests for a while, because too many were sent.", retry_after_s=math.ceil(left)
    )


def _silence(operation: str, rests_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"IBKR does not answer {operation} at the moment.", retry_after_s=math.ceil(rests_s))


def _times(calls: int) -> str:
    return "once" if calls == 1 else f"{calls} times"


def _span(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
