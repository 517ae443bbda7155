"""Calls on their way to IBKR, each once: who asks the same meanwhile gets the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from ib_keepalive.pacing.shared_call import SharedCall, Waiter, wait_for
from ibkr.errors import IbError

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """One task per request.

    ``late`` makes the error of a caller whose shared call was still in the queue; ``joined`` is told of each who joins.
    """

    def __init__(self, late: Callable[[SharedCall], IbError], joined: Callable[[Waiter], None]) -> None:
        self._late = late
        self._joined = joined
        self._tasks: dict[Hashable, tuple[SharedCall, asyncio.Task[T]]] = {}
        self._all: set[asyncio.Task[T]] = set()

    def __len__(self) -> int:
        return len(self._all)

    async def ask(
        self,
        key: Hashable,
        operation: str,
        waiter: Waiter,
        work: Callable[[SharedCall], Awaitable[T]],
    ) -> tuple[T, bool]:
        """The result of ``work`` and whether somebody else's shared call brought it.

        PacingLimited or UpstreamTimeout when the waiter's deadline ends before; the call goes on for the others.
        """
        call, task = self._tasks.get(key, (None, None))
        joined = task is not None and not task.done()
        if call is None or task is None or task.done():
            call = SharedCall(operation)
            task = self._launch(key, call, work)
        call.waiters.append(waiter)
        if isinstance(waiter, SharedCall):
            waiter.inner = call
        if joined:
            self._joined(waiter)
        try:
            return await wait_for(task, call, waiter, self._late), joined
        finally:
            call.waiters.remove(waiter)
            if isinstance(waiter, SharedCall):
                waiter.inner = None
            if not call.waiters and not call.is_sent and not task.done():
                self._tasks.pop(key, None)
                task.cancel()

    async def close(self) -> None:
        """End all shared calls."""
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)

    def _launch(self, key: Hashable, call: SharedCall, work: Callable[[SharedCall], Awaitable[T]]) -> asyncio.Task[T]:
        async def run() -> T:
            return await work(call)

        task = asyncio.create_task(run(), name=f"shared call {call.operation}")
        self._tasks[key] = call, task
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
