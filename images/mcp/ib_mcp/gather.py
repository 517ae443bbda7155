"""Asking several things at once."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def gather(jobs: Iterable[Awaitable[T]]) -> list[T]:
    """The results in the order of ``jobs``. The first failure ends the others and is raised as it is."""
    jobs = list(jobs)
    if len(jobs) < 2:
        # Mostly there is nothing to ask, or one thing.
        return [await job for job in jobs]
    results: dict[int, T] = {}

    async def run(place: int, job: Awaitable[T]) -> None:
        results[place] = await job

    try:
        # Not asyncio's group: only anyio's children know the deadline of the tool call.
        async with anyio.create_task_group() as group:
            for place, job in enumerate(jobs):
                group.start_soon(run, place, job)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [results[place] for place in sorted(results)]
