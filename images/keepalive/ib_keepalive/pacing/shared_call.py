"""Questions on their way to IBKR, each once: who asks the same meanwhile gets the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ib_keepalive.pacing.deadline import Patience
from ib_keepalive.pacing.fair_queue import Place
from ibkr.errors import IbError, UpstreamTimeout, UpstreamUnreachable

T = TypeVar("T")


class Abandoned(Exception):
    """Nobody waits for this flight any more."""


@dataclass(eq=False, slots=True)
class Flight:
    """``caller`` asked first; ``patience`` is that of the most patient one.

    ``is_sent``: the gateway has a request of it, which ends by an answer or our time limit whoever waits for it.
    ``place``: where it stands in the line for its next request, None while it does not wait there. ``asking``: how
    many callers wait.
    """

    operation: str
    caller: str
    patience: Patience
    is_sent: bool = False
    place: Place | None = None
    asking: int = 0


class Flights(Generic[T]):
    """One task per question. ``late`` makes the error of a caller whose flight was still in the line."""

    def __init__(self, late: Callable[[Flight], IbError]) -> None:
        self._late = late
        self._tasks: dict[Hashable, tuple[Flight, asyncio.Task[T]]] = {}
        self._all: set[asyncio.Task[T]] = set()

    def __len__(self) -> int:
        return len(self._all)

    async def ask(
        self,
        key: Hashable,
        operation: str,
        caller: str,
        patience: Patience,
        work: Callable[[Flight], Awaitable[T]],
    ) -> tuple[T, bool]:
        """The result of ``work`` and whether somebody else's flight brought it.

        PacingLimited or UpstreamTimeout when ``patience`` ends before; the flight goes on for the others.
        """
        flight, task = self._tasks.get(key, (None, None))
        joined = task is not None and not task.done()
        if flight is None or task is None or task.done():
            flight = Flight(operation, caller, Patience(patience.turn_by, patience.answer_by))
            task = self._launch(key, flight, work)
        else:
            flight.patience.extend(patience)
        flight.asking += 1
        try:
            return await wait_for(task, flight, patience, self._late), joined
        finally:
            flight.asking -= 1
            if not flight.asking and not flight.is_sent and not task.done():
                self._tasks.pop(key, None)
                task.cancel()

    async def close(self) -> None:
        """End all flights."""
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)

    def _launch(self, key: Hashable, flight: Flight, work: Callable[[Flight], Awaitable[T]]) -> asyncio.Task[T]:
        async def run() -> T:
            return await work(flight)

        task = asyncio.create_task(run(), name=f"flight {flight.operation}")
        self._tasks[key] = flight, task
        self._all.add(task)

        def landed(_: asyncio.Task[T]) -> None:
            self._all.discard(task)
            if self._tasks.get(key, (None, None))[1] is task:
                del self._tasks[key]
            if not task.cancelled():
                # Read it, in case nobody waits any more.
                task.exception()

        task.add_done_callback(landed)
        return task


async def wait_for(
    work: asyncio.Future[Any], flight: Flight, patience: Patience, late: Callable[[Flight], IbError]
) -> Any:
    """The result of ``work``, which goes on when this caller leaves."""
    try:
        async with asyncio.timeout_at(patience.answer_by) as limit:
            return await asyncio.shield(work)
    except TimeoutError:
        if not limit.expired():
            raise
        if flight.place is None:
            raise UpstreamTimeout("IBKR's answer was not there within the time this request had.") from None
        raise late(flight) from None
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if work.cancelled() and current is not None and not current.cancelling():
            raise UpstreamUnreachable("The guard is stopping.") from None
        raise
