"""A call to IBKR that several callers may share, and how each of them waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.reservations import Ticket
from ibkr.errors import IbError, UpstreamTimeout, UpstreamUnreachable


class Abandoned(Exception):
    """Nobody waits for this shared call any more."""


class Waiter(Protocol):
    """Who waits for a call: a caller, or another call on behalf of all who wait for that one.

    Times are seconds of the loop's clock: the latest start upstream, and when it gives up.
    """

    @property
    def callers(self) -> Collection[str]: ...
    @property
    def turn_by(self) -> float: ...
    @property
    def answer_by(self) -> float: ...


@dataclass(eq=False, frozen=True, slots=True)
class Caller:
    """One request of a caller to the guard."""

    name: str
    deadline: Deadline

    @property
    def callers(self) -> Collection[str]:
        return (self.name,)

    @property
    def turn_by(self) -> float:
        return self.deadline.turn_by

    @property
    def answer_by(self) -> float:
        return self.deadline.answer_by


@dataclass(eq=False, slots=True)
class SharedCall:
    """As patient as the most patient of its ``waiters``, and as near its turn as the one who is nearest.

    ``is_sent``: the gateway has a request of it, which ends by an answer or our time limit whoever waits for it.
    ``ticket``: where it stands in the queue for its next request, None while it does not wait there. ``inner``: another
    call that has to be answered before.
    """

    operation: str
    waiters: list[Waiter] = field(default_factory=list)
    is_sent: bool = False
    ticket: Ticket | None = None
    inner: SharedCall | None = None

    @property
    def queued(self) -> SharedCall | None:
        """The call that stands in the queue, if it is that for which all wait."""
        return self if self.ticket is not None else self.inner.queued if self.inner is not None else None

    @property
    def callers(self) -> Collection[str]:
        return {name for waiter in self.waiters for name in waiter.callers}

    @property
    def turn_by(self) -> float:
        return max((waiter.turn_by for waiter in self.waiters), default=float("-inf"))

    @property
    def answer_by(self) -> float:
        return max((waiter.answer_by for waiter in self.waiters), default=float("-inf"))

    def is_for(self, waiter: Waiter) -> bool:
        """Whether ``waiter`` waits for it, perhaps through another call."""
        return any(each is waiter or (isinstance(each, SharedCall) and each.is_for(waiter)) for each in self.waiters)


async def wait_for(
    work: asyncio.Future[Any], call: SharedCall, waiter: Waiter, late: Callable[[SharedCall], IbError]
) -> Any:
    """The result of ``work``, which goes on when this waiter leaves."""
    try:
        while True:
            answer_by = waiter.answer_by
            try:
                async with asyncio.timeout_at(answer_by) as limit:
                    return await asyncio.shield(work)
            except TimeoutError:
                if not limit.expired():
                    raise
                # Somebody more patient may have joined those for whom it waits.
                if waiter.answer_by <= answer_by:
                    break
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if work.cancelled() and current is not None and not current.cancelling():
            raise UpstreamUnreachable("The guard is stopping.") from None
        raise
    queued = call.queued
    if queued is None:
        raise UpstreamTimeout("IBKR's answer was not there within the time this request had.")
    raise late(queued)
