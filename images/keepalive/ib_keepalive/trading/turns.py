"""One order request at a time, its questions and answers included; cancellations come before all others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class OrderTurns:
    """With several orders on their way IBKR forgets what it asked. ``hurry`` is set while a cancellation waits."""

    def __init__(self) -> None:
        self._is_taken = False
        self._cancels: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self.hurry = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._cancels) + len(self._others)

    @asynccontextmanager
    async def turn(self, *, first: bool = False) -> AsyncIterator[None]:
        """Wait for the turn and hold it; ``first``: before all who did not say so."""
        await self._take(first)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, first: bool) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        queue = self._cancels if first else self._others
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        if first:
            self.hurry.set()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # It was given the turn in this very moment.
                self._pass_on()
            elif mine in queue:
                queue.remove(mine)
            raise
        finally:
            if not self._cancels:
                self.hurry.clear()

    def _pass_on(self) -> None:
        for queue in (self._cancels, self._others):
            while queue:
                heir = queue.popleft()
                if not heir.done():
                    heir.set_result(None)
                    return
        self._is_taken = False
