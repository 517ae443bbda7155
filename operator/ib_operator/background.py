"""Things to be done in the background, with some patience: Events and notifications never hold supervision up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("ib_operator.background")

# Seconds before each new try; a stopped API server is waited for.
WAITS_S = (2.0, 10.0, 30.0, 60.0, 120.0)
_MOST_AT_ONCE = 2000
_LAST_CHANCE_S = 2.0


class TryLater(Exception):
    """The job failed in a way that may pass; the message says how."""


class BackgroundJobs:
    """Runs jobs as tasks of the present loop; ``close`` gives what is under way a moment."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    def submit(self, name: str, job: Callable[[], Awaitable[None]], lost: Callable[[str], None]) -> None:
        """Run ``job`` until it ends without TryLater or all tries are used; ``lost`` is then told why."""
        if len(self._tasks) >= _MOST_AT_ONCE:
            lost("too many are waiting already")
            return
        task = asyncio.create_task(self._run(name, job, lost), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_CHANCE_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, name: str, job: Callable[[], Awaitable[None]], lost: Callable[[str], None]) -> None:
        for wait in (*WAITS_S, None):
            try:
                await job()
            except TryLater as problem:
                if wait is None:
                    lost(str(problem))
                    return
                await asyncio.sleep(wait)
            except Exception as error:
                log.exception("a job failed", job=name)
                lost(repr(error))
                return
            else:
                return
