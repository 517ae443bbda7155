"""Looking orders up whose answer was lost, until it is known what became of each. Nothing is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import groupby
from typing import Any

import structlog

from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.database import NotWritten
from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.ledger import Ledger
from ib_keepalive.trading.outcome import Outcome
from ib_keepalive.trading.sightings import Sighting, recognise, recognise_name
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, SessionReopening

log = structlog.get_logger("ib_keepalive.trading")

# The gateway may hold a request that nobody waits for any more, and send it when IBKR takes requests again. Only then
# is an order that is in no list no order.
ABSENT_AFTER_S = 75.0
_ABSENT_FOR_S = 10.0
# The lists are asked for so often at first, and ever less often.
_FIRST_S, _LONGEST_S = 1.0, 30.0
# One that IBKR did not know may turn up late.
_WATCHED_S = 900.0
_WATCH_EACH_S = 120.0
_WITHIN_S = 60.0
_NAME = "look-up"
# What IBKR lists besides accounts.
_EVERY_ACCOUNT = "All"


class LookUp:
    """``found`` is told of each outcome, off the event loop. ``wall``: the calendar's clock (epoch seconds)."""

    def __init__(
        self,
        operations: Catalogue,
        reads: Reader,
        sessions: Sessions,
        ledger: Ledger,
        *,
        wall: Callable[[], float],
        found: Callable[[Entry, Outcome], None],
    ) -> None:
        self._operations = operations
        self._reads = reads
        self._sessions = sessions
        self._ledger = ledger
        self._wall = wall
        self._found = found
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # When an entry was first in no list although nothing could hold it back any more.
        self._absent_at: dict[int, float] = {}

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="look-up of orders")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def soon(self) -> None:
        """An outcome became unknown: look at once."""
        self._wake.set()

    async def find(self, client_order_id: str) -> tuple[str, Outcome] | None:
        """The account and state of an order that this ledger never had, by IBKR's lists. Any IbError without them."""
        body = await self._read("list_brokerage_accounts", {}, self._open_session())
        accounts = body.get("accounts") if isinstance(body, dict) else None
        for account in accounts if isinstance(accounts, list) else ():
            if account != _EVERY_ACCOUNT:
                outcome = recognise_name(client_order_id, await self._sight(str(account)))
                if outcome is not None:
                    return str(account), outcome
        return None

    def _open_session(self) -> SessionMemory:
        seen, memory = self._sessions.observe()
        if not seen.is_open:
            raise SessionReopening("The brokerage session is not open, so that orders cannot be looked up.")
        return memory

    async def _run(self) -> None:
        wait_s: float | None = _FIRST_S
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
                wait_s = _FIRST_S
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                left, watched = await self._look()
            except NotWritten:
                left, watched = 1, 0
            except Exception:
                log.exception("looking orders up failed")
                left, watched = 1, 0
            again_s = min(_LONGEST_S, (wait_s or _FIRST_S) * 1.5)
            wait_s = again_s if left else _WATCH_EACH_S if watched else None

    async def _look(self) -> tuple[int, int]:
        """How many are unknown still, and how many may turn up late."""
        unknown = await self._ledger.unknown()
        late = await self._ledger.absent_since(self._wall() - _WATCHED_S)
        left = 0
        for account, entries in groupby(sorted([*unknown, *late], key=lambda e: e.account), lambda e: e.account):
            mine = list(entries)
            try:
                sighting = await self._sight(account)
            except IbError as error:
                log.info("orders cannot be looked up now", code=error.code)
                left += sum(entry.state == "unknown" for entry in mine)
                continue
            for entry in mine:
                left += not await self._settle(entry, sighting) and entry.state == "unknown"
        return left, len(late)

    async def _settle(self, entry: Entry, sighting: Sighting) -> bool:
        since_s = self._wall() - (entry.settled_at or entry.sent_at)
        now = asyncio.get_running_loop().time()
        absent_at = self._absent_at.get(entry.id, now)
        # A machine that slept has let the calendar go on, and not the gateway.
        is_last = entry.state == "unknown" and since_s >= ABSENT_AFTER_S and now - absent_at >= _ABSENT_FOR_S
        outcome = recognise(entry, sighting, is_last=is_last)
        if outcome is None:
            if since_s >= ABSENT_AFTER_S:
                self._absent_at[entry.id] = absent_at
            return False
        self._absent_at.pop(entry.id, None)
        await self._ledger.settle(entry, outcome)
        await self._ledger.aside(lambda: self._found(entry, outcome))
        return True

    async def _sight(self, account: str) -> Sighting:
        """IBKR's present lists of one account. Any IbError when they cannot be had, or are not this account's."""
        memory = self._open_session()
        await self._check_account(account, memory)
        # ``force`` makes IBKR drop its copy; the reader makes the call that brings the new one.
        orders = await self._rows("list_live_orders", {"force": "true", "accountId": account}, memory, "orders")
        trades = await self._rows("list_trades", {"days": "7"}, memory, None)
        self._sessions.check(memory)
        return Sighting(orders, trades)

    async def _check_account(self, account: str, memory: SessionMemory) -> None:
        body = await self._read("list_brokerage_accounts", {}, memory)
        accounts = body.get("accounts") if isinstance(body, dict) else None
        if not isinstance(accounts, list) or account not in accounts:
            raise SessionReopening("The present sign-in is not that of the order's account.")

    async def _rows(
        self, operation: str, query: dict[str, str], memory: SessionMemory, field: str | None
    ) -> list[dict[str, Any]]:
        body = await self._read(operation, query, memory)
        rows = body.get(field) if field is not None and isinstance(body, dict) else body
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    async def _read(self, operation: str, query: dict[str, str], memory: SessionMemory) -> Any:
        row = self._operations[operation]
        now = asyncio.get_running_loop().time()
        caller = Caller(_NAME, Deadline(now + _WITHIN_S, now + _WITHIN_S + row.answers_within_s))
        answer, _ = await self._reads.read(ApiRequest(row, row.path, tuple(sorted(query.items()))), memory, caller)
        return answer.body()
