"""The one queue in front of the gateway: a turn for each request, and nothing during IBKR's penalty."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.fair_queue import IN_FLIGHT, End, Limit, Place, Schedule, TooLong
from ib_keepalive.pacing.penalty_box import Box
from ib_keepalive.pacing.shared_call import Flight
from ib_keepalive.pacing.usage_journal import Record
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
    """Turns in the order of ``Schedule``. Build it anywhere; use it inside one event loop."""

    def __init__(
        self,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        record: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        limits = {row.id: Limit(row.pacing, row.concurrent) for row in catalogue}
        limits["get_price_snapshot"] = Limit(_SNAPSHOTS)
        self._pacing = {operation: limit.pacing for operation, limit in limits.items()}
        self._schedule = Schedule(TOGETHER, limits)
        self._record = Record(record, self._pacing, wall)
        self._box = Box()
        self._metrics = metrics
        self._waiters: dict[Place, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def remember(self) -> None:
        """Count what was sent before a restart."""
        now = _now()
        calls, penalty_s = self._record.read()
        for operation, ages in calls.items():
            for age in ages:
                self._schedule.remember(operation, now - age)
        if penalty_s:
            self._box.hit(now, penalty_s)

    @property
    def waiting(self) -> int:
        return self._schedule.waiting

    @property
    def running(self) -> int:
        return self._schedule.running

    async def reserve(self, operation: str) -> None:
        """Count a request of the keeper, which goes before everybody in the line: returns when there is room for it.

        It is let go after two seconds in any case, for the session depends on it.
        """
        latest = _now() + _RESERVED_WITHIN_S
        self._schedule.kept_free += 1
        try:
            while (wait_s := min(self._schedule.opening(_now()), latest) - _now()) > 0:  # noqa: ASYNC110 - time opens it
                await asyncio.sleep(max(wait_s, 0.001))
        finally:
            self._schedule.kept_free -= 1
        self._record.note(operation)
        self._schedule.spend(operation, _now())
        self._pump()

    def check_box(self) -> None:
        """PacingLimited while IBKR refuses everything."""
        left = self._box.left(_now())
        if left:
            raise _penalty(left)

    async def turn(self, flight: Flight, question: Hashable) -> Place:
        """Wait for a turn; give the place back with ``done``.

        PacingLimited when the turn would come later than the flight has patience for, UpstreamTimeout while IBKR
        leaves this operation unanswered.
        """
        self.check_box()
        now = _now()
        rests_s = self._schedule.rests_s(flight.operation, now)
        if rests_s:
            raise _silence(flight.operation, rests_s)
        try:
            place = self._schedule.join(now, flight.caller, flight.operation, question, flight.patience.turn_by - now)
        except TooLong as error:
            raise self._refusal(flight.operation, error.wait_s) from None
        self._waiters[place] = waiter = asyncio.get_running_loop().create_future()
        flight.place = place
        self._pump()
        try:
            await waiter
        except BaseException:
            if place.started is not None:
                self.done(place, "unsent")
            elif place in self._waiters:
                del self._waiters[place]
                self._schedule.leave(place, _now(), keep=True)
                self._pump()
            raise
        finally:
            flight.place = None
        self._metrics.pacing_wait_seconds.labels(flight.operation).observe(_now() - now)
        return place

    def done(self, place: Place, end: End = "answered") -> None:
        """Its request ended."""
        now = _now()
        self._schedule.finish(place, now, end)
        rests_s = self._schedule.rests_s(place.operation, now)
        if rests_s:
            for other in self._schedule.of(place.operation):
                self._schedule.leave(other, now, keep=False)
                waiter = self._waiters.pop(other)
                if not waiter.done():
                    waiter.set_exception(_silence(place.operation, rests_s))
        self._pump()

    def answered(self, status: int, retry_after_s: float | None = None) -> None:
        """Note the status of an answer: a 429 closes the line for everybody."""
        now = _now()
        if status != 429:
            self._box.passed(now)
            return
        self._box.hit(now, retry_after_s)
        left = self._box.left(now)
        self._record.note_penalty(left)
        log.error("IBKR refuses requests for a while: too many were sent", seconds=round(left))
        waiters, self._waiters = self._waiters, {}
        self._schedule.clear()
        for waiter in waiters.values():
            if not waiter.done():
                waiter.set_exception(_penalty(left))
        self._pump()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def too_late(self, flight: Flight) -> PacingLimited:
        """What a caller is told that cannot wait for its turn any longer."""
        wait_s = self._schedule.expect(flight.place, _now()) if flight.place in self._waiters else 0.0
        return self._refusal(flight.operation, max(1.0, wait_s))

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
        self._schedule.most_at_once = 1 if self._box.is_half_open(now) else IN_FLIGHT
        while (place := self._schedule.start(now)) is not None:
            self._record.note(place.operation)
            waiter = self._waiters.pop(place)
            # One that was cancelled in this very moment gives its place back itself.
            if not waiter.done():
                waiter.set_result(None)
        self._metrics.pacing_queue_depth.set(self._schedule.waiting)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        change = self._schedule.next_change(now)
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
