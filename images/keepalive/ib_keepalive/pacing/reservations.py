"""Tickets of the queue, and those that are kept for callers who were told when to return. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from ib_keepalive.pacing.sliding_window import CountedCall

_MOST = 512
_MOST_EACH = 32
# How long after the promised moment a ticket is kept.
RESERVED_S = 3.0
# Clocks differ, and messages take a moment.
PUNCTUAL_S = 0.5
# In windows as slow as this one a call is kept free for whom it was promised to; faster ones soon have another.
SLOW_S = 5.0
# Here a caller has one promise, whatever it asks: promises for hours ahead would shut everybody else out.
VERY_SLOW_S = 60.0


@dataclass(eq=False, slots=True)
class Ticket:
    """One request in the queue. ``order``: its virtual time, then who came first. ``due``: its expected start.

    ``is_back``: its caller was told when to return, and did.
    """

    caller: str
    operation: str
    request: Hashable
    order: tuple[float, float]
    due: float = 0.0
    reserved_until: float = 0.0
    is_back: bool = False
    started: float | None = None
    counted: tuple[CountedCall, ...] = field(default=())


class Reservations:
    """Tickets of callers that do not wait. ``window_s`` tells the seconds of an operation's own window, 0 for none."""

    def __init__(self, window_s: Callable[[str], float]) -> None:
        self._window_s = window_s
        self._tickets: dict[tuple[str, str, Hashable], Ticket] = {}

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._tickets.values())

    def keep(self, ticket: Ticket) -> None:
        """Keep a ticket for its caller until shortly after it is due."""
        mine = sum(other.caller == ticket.caller for other in self._tickets.values())
        if len(self._tickets) < _MOST and mine < _MOST_EACH:
            ticket.reserved_until = ticket.due + RESERVED_S
            self._tickets[self._key(ticket.caller, ticket.operation, ticket.request)] = ticket

    def take(self, caller: str, operation: str, request: Hashable, now: float) -> Ticket | None:
        """The ticket kept for this request of a caller, not kept any more."""
        if any(ticket.reserved_until <= now for ticket in self._tickets.values()):
            self._tickets = {key: ticket for key, ticket in self._tickets.items() if ticket.reserved_until > now}
        return self._tickets.pop(self._key(caller, operation, request), None)

    def due(self, operation: str, now: float) -> list[Ticket]:
        """Tickets whose callers were told that they may come now, where a call has to be kept free for them."""
        if self._window_s(operation) < SLOW_S:
            return []
        return [
            ticket
            for ticket in self._tickets.values()
            if ticket.operation == operation and ticket.due - PUNCTUAL_S <= now < ticket.reserved_until
        ]

    def clear(self) -> None:
        self._tickets.clear()

    def _key(self, caller: str, operation: str, request: Hashable) -> tuple[str, str, Hashable]:
        return caller, operation, None if self._window_s(operation) >= VERY_SLOW_S else request
