"""What is asked of one gateway for everybody: shared, and waited for only while it comes in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from ibkr.errors import IbError, UpstreamTimeout

# So long the others wait for one gateway, once; after that it is asked beside them.
PATIENCE_S = 2.5
_ASKED_WITHIN_S = 10.0
_AGAIN_S = 5.0


class Inquiry:
    """``ask`` keeps what it learns. ``error``: why it learnt nothing the last time, None when it did.

    After an answer that was late nobody waits, until one came in time; it is asked for beside the others meanwhile.
    """

    def __init__(self, name: str, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._late_error = UpstreamTimeout(f"The gateway {name!r} does not answer at the moment.")
        self._task: asyncio.Task[None] | None = None
        self._began_at = 0.0
        self._came_at = float("-inf")
        self.error: IbError | None = None
        self.is_late = False

    def patience_s(self, least_s: float = 0.0) -> float:
        """For how long somebody may still wait for the same gateway when this is asked of it already."""
        if self.is_late:
            return least_s
        if self._task is None or self._task.done():
            return PATIENCE_S
        return max(least_s, self._began_at + PATIENCE_S - asyncio.get_running_loop().time())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ask(self, *, fresh_s: float = 0.0, patience_s: float = PATIENCE_S) -> None:
        """Ask, unless that was done in the last ``fresh_s`` or is under way; return when it came or is late."""
        now = asyncio.get_running_loop().time()
        if now - self._came_at < fresh_s:
            return
        if self._task is None or self._task.done():
            self._began_at = now
            self._task = asyncio.create_task(self._run())
        if self.is_late or not patience_s:
            return
        with anyio.move_on_after(max(0.0, self._began_at + patience_s - now)) as limit:
            await asyncio.shield(self._task)
        if limit.cancelled_caught and asyncio.get_running_loop().time() >= self._began_at + PATIENCE_S:
            self.is_late, self.error = True, self._late_error

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                with anyio.fail_after(_ASKED_WITHIN_S):
                    await self._ask()
                self.error = None
            except TimeoutError:
                self.error = self._late_error
            except IbError as error:
                self.error = error
            self._came_at = clock()
            self.is_late = self._came_at - began >= PATIENCE_S
            if not self.is_late:
                return
            await asyncio.sleep(_AGAIN_S)
