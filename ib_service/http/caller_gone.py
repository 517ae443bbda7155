"""Working for a caller for as long as it is there. Plain ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class CallerGone(Exception):
    """The caller closed the connection."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the caller goes away. CallerGone then."""
    clock = asyncio.get_running_loop().time
    gone = asyncio.ensure_future(_gone(receive))
    is_over = False

    def leave(_: object) -> None:
        # Who leaves just when the work ends is told by a callback that comes after this function's end.
        if not is_over:
            # A time limit that ends now: the only cancellation of asyncio that cannot be mistaken for another one.
            stay.reschedule(clock())

    try:
        async with asyncio.timeout(None) as stay:
            gone.add_done_callback(leave)
            try:
                return await work
            finally:
                is_over = True
                gone.remove_done_callback(leave)
                gone.cancel()
    except TimeoutError:
        if stay.expired():
            raise CallerGone from None
        raise


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
