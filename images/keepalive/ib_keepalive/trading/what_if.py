"""IBKR's what-if of an order: read in an order's turn, since it makes an open question void; nothing is placed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.guard.snapshots.batches import OPERATION as SNAPSHOT
from ib_keepalive.guard.snapshots.reader import SnapshotReader
from ib_keepalive.pacing.shared_call import Caller, SharedCall
from ib_keepalive.trading.turns import OrderTurns
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import PreflightMissing, read_response
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, PacingLimited

# Any price will do: IBKR wants to have been asked for one.
_FIELDS = "31"


class WhatIf:
    """Asks IBKR what an order would cost."""

    def __init__(
        self,
        operations: Catalogue,
        reads: Reader,
        snapshots: SnapshotReader,
        client: PacedClient,
        sessions: Sessions,
        turns: OrderTurns,
    ) -> None:
        self._operations = operations
        self._reads = reads
        self._snapshots = snapshots
        self._client = client
        self._sessions = sessions
        self._turns = turns

    async def ask(self, request: ApiRequest, caller: Caller) -> bytes:
        """IBKR's answer as it came. Every failure is an IbError."""
        _, memory = self._sessions.observe()
        await self._reads.prepare(request.endpoint, memory, caller)
        await self._ask_prices(request, memory, caller)
        try:
            return await self._in_turn(request, memory, caller)
        except PreflightMissing:
            await self._reads.prepare_again(memory, caller, asyncio.get_running_loop().time())
            return await self._in_turn(request, memory, caller)

    async def _in_turn(self, request: ApiRequest, memory: SessionMemory, caller: Caller) -> bytes:
        def made() -> ApiRequest:
            self._sessions.check(memory)
            return request

        try:
            async with asyncio.timeout_at(caller.answer_by), self._turns.turn():
                response = await self._client.send(SharedCall(request.endpoint.id, [caller]), object(), made)
        except TimeoutError:
            raise PacingLimited("Other orders are on their way.", retry_after_s=5) from None
        return read_response(response)[1]

    async def _ask_prices(self, request: ApiRequest, memory: SessionMemory, caller: Caller) -> None:
        """Once a session for each instrument; without it the what-if has warnings, or nothing."""
        conids = [conid for conid in _conids(request) if (SNAPSHOT, conid) not in memory.warm]
        if not conids:
            return
        row = self._operations[SNAPSHOT]
        snapshot = ApiRequest(row, row.path, (("conids", ",".join(conids)), ("fields", _FIELDS)))
        try:
            await self._snapshots.read(snapshot, memory, caller)
        except IbError:
            return
        for conid in conids:
            memory.warm_up((SNAPSHOT, conid))


def _conids(request: ApiRequest) -> list[str]:
    body: Any = json.loads(request.body or b"{}")
    orders = body.get("orders") if isinstance(body, dict) else None
    found = [order.get("conid") for order in orders or () if isinstance(order, dict)]
    return [str(conid) for conid in found if isinstance(conid, int) and not isinstance(conid, bool) and conid > 0]
