"""What one listener takes from a peer at most, and which of its connections have to go when there are too many."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

log = structlog.get_logger("ib_service.http")

_LOG_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and counts of one request, seconds for each of its parts, connections of a listener.

    ``reserve``: so many connections more are taken for ``health`` paths alone.
    """

    head_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 8 * 1024 * 1024
    head_s: float = 10
    body_s: float = 10
    # Longer than proxies and clients keep an idle connection: who closes last loses no request that is just being sent.
    idle_s: int = 75
    unread_answer_s: float = 60
    pipelined: int = 8
    connections: int = 512
    reserve: int = 32
    reserved_head_s: float = 2
    health: frozenset[str] = frozenset({"/healthz", "/livez", "/readyz"})


class Connection(Protocol):
    """A connection as the choice of who has to go sees it."""

    @property
    def is_idle(self) -> bool:
        """Whether its last request is answered and no other one has begun."""

    def drop(self) -> None:
        """End it at once."""


class Connections:
    """The connections of one listener. ``name`` is what its log lines call it."""

    def __init__(self, name: str, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._name = name
        self._clock = clock
        # In the order of their coming. ``unfinished``: a request is awaited or has not come whole.
        self._open: dict[Connection, None] = {}
        self._unfinished: dict[Connection, None] = {}
        self._logged_at = float("-inf")
        self._unlogged = 0

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Whether it may ask for anything; else it is left for health checks, or dropped where there is no room at all.

        Who has been sending a request for the longest time goes first, then who has been idle: so neither keeps a port
        closed.
        """
        self._open[connection] = None
        if len(self._open) <= self.limits.connections:
            return True
        idle = (one for one in self._open if one.is_idle and one is not connection)
        leaving = next(iter(self._unfinished), None) or next(idle, None)
        if leaving is not None:
            self.forget(leaving)
            leaving.drop()
            return True
        if len(self._open) > self.limits.connections + self.limits.reserve:
            self.forget(connection)
            connection.drop()
        return False

    def wait_for(self, connection: Connection) -> None:
        """A request is awaited from it, or has not come whole."""
        if connection in self._open:
            self._unfinished.setdefault(connection)

    def finished(self, connection: Connection) -> None:
        """Its request has come whole."""
        self._unfinished.pop(connection, None)

    def forget(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._unfinished.pop(connection, None)

    def log_refusal(self, status: int) -> None:
        """One line a minute, however many requests are refused before they are read."""
        now = self._clock()
        if now - self._logged_at < _LOG_EVERY_S:
            self._unlogged += 1
            return
        log.warning("request refused before it was read", port=self._name, status=status, more_before=self._unlogged)
        self._logged_at, self._unlogged = now, 0
