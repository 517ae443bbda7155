"""A call to IBKR that several callers may share, and how each of them waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.reservations import Ticket
from ibkr.errors import IbError, UpstreamTimeout, UpstreamUnreachable


class Abandoned(Exception):
    """Nobody waits for this shared call any more."""


@dataclass(eq=False, slots=True)
class SharedCall:
    """``caller`` asked first; ``deadline`` is that of the most patient one.

    ``is_sent``: the gateway has a request of it, which ends by an answer or our time limit whoever waits for it.
    ``ticket``: where it stands in the queue for its next request, None while it does not wait there. ``asking``: how
    many callers wait.
    """

    operation: str
    caller: str
    deadline: Deadline
    is_sent: bool = False
    ticket: Ticket | None = None
    asking: int = 0


async def wait_for(
    work: asyncio.Future[Any], call: SharedCall, deadline: Deadline, late: Callable[[SharedCall], IbError]
) -> Any:
    """The result of ``work``, which goes on when this caller leaves."""
    try:
        async with asyncio.timeout_at(deadline.answer_by) as limit:
            return await asyncio.shield(work)
    except TimeoutError:
        if not limit.expired():
            raise
        if call.ticket is None:
            raise UpstreamTimeout("IBKR's answer was not there within the time this request had.") from None
        raise late(call) from None
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if work.cancelled() and current is not None and not current.cancelling():
            raise UpstreamUnreachable("The guard is stopping.") from None
        raise
