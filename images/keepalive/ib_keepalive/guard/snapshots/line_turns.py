"""Turns for IBKR's hundred market-data lines: who reads prices keeps its lines until they have come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from ib_keepalive.guard.memory.market_data_lines import ALL_EVERY_S, MOST, Room
from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.pacing.shared_call import SharedCall, Waiter
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import read_response
from ibkr.catalogue import Catalogue
from ibkr.errors import PacingLimited, UpstreamError, UpstreamTimeout

_ALL, _ONE = "unsubscribe_all_market_data", "unsubscribe_market_data"


class LineTurns:
    """One after the other where there are not lines enough for all, in the order in which they came."""

    def __init__(self, catalogue: Catalogue, client: PacedClient, sessions: Sessions) -> None:
        self._catalogue = catalogue
        self._client = client
        self._sessions = sessions
        self._first = asyncio.Lock()
        self._released = asyncio.Event()
        self._is_draining = False

    @asynccontextmanager
    async def using(self, memory: SessionMemory, conids: Collection[str], waiter: Waiter) -> AsyncIterator[None]:
        """Lines for these instruments inside the block. PacingLimited when they do not become free in time."""
        clock = asyncio.get_running_loop().time
        if self._is_draining or not memory.lines.holds(conids):
            await self._wait(memory, conids, waiter)
        else:
            memory.lines.use(conids, clock())
        try:
            yield
        finally:
            memory.lines.release(conids, clock())
            self._released.set()

    async def _wait(self, memory: SessionMemory, conids: Collection[str], waiter: Waiter) -> None:
        limit = asyncio.timeout_at(waiter.turn_by)
        try:
            async with limit, self._first:
                await self._take(memory, conids, waiter)
        except TimeoutError:
            if not limit.expired():
                raise
            raise PacingLimited(
                f"All of IBKR's {MOST} market-data lines are in use.",
                action="Ask for fewer instruments at once, or again after retry_after_s seconds.",
                retry_after_s=ALL_EVERY_S / 2,
            ) from None

    async def _take(self, memory: SessionMemory, conids: Collection[str], waiter: Waiter) -> None:
        clock, lines = asyncio.get_running_loop().time, memory.lines
        try:
            while not isinstance(room := lines.room_for(conids, clock()), Room):
                self._sessions.check(memory)
                # Who has lines already goes on, unless that would keep them from ever becoming free.
                self._is_draining = room is None
                self._released.clear()
                try:
                    async with asyncio.timeout_at(room):
                        await self._released.wait()
                except TimeoutError:
                    continue
            self._is_draining = True
            await self._make_room(memory, room, waiter)
            lines.use(conids, clock())
        finally:
            self._is_draining = False

    async def _make_room(self, memory: SessionMemory, room: Room, waiter: Waiter) -> None:
        gone: list[str] = []
        if room.all:
            is_sure = await self._give_up(memory, _ALL, None, waiter)
            gone = memory.lines.give_up_all(asyncio.get_running_loop().time())
            memory.lines.are_unknown = not is_sure
        for conid in room.conids:
            await self._give_up(memory, _ONE, b'{"conid":%d}' % int(conid.partition("@")[0]), waiter)
            gone += memory.lines.give_up(conid)
        for conid in gone:
            memory.rows.renew(conid)

    async def _give_up(self, memory: SessionMemory, operation: str, body: bytes | None, waiter: Waiter) -> bool:
        """Whether IBKR surely holds no such line any more."""
        row = self._catalogue[operation]

        def request() -> ApiRequest:
            self._sessions.check(memory)
            return ApiRequest(row, row.path, (), body)

        is_sure = True
        try:
            read_response(await self._client.send(SharedCall(operation, [waiter]), body, request))
        except UpstreamError as error:
            # Where it knows the line no more there is nothing to give up.
            is_sure = error.status < 500
        except UpstreamTimeout:
            is_sure = False
        self._sessions.check(memory)
        return is_sure
