"""One of several gateways: what is known of its accounts and session, and who waits how long for it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from ib_mcp.guard.client import LISTS_ACCOUNTS, GuardClient
from ibkr.errors import IbError, UpstreamTimeout
from ibkr.session import SIGNED_IN, SessionState, Status

# So long the others wait for one gateway, once; after that it is asked beside them.
_PATIENCE_S = 3.0
_SILENT_FOR_S = 30.0
_ASKED_WITHIN_S = 10.0
_STATUS_FRESH_S = 2.0
_SILENT = 9


class Gateway:
    """``rows``: the accounts it listed last, kept while it does not answer; None before the first time."""

    def __init__(self, name: str, client: GuardClient) -> None:
        self.name = name
        self.client = client
        self.rows: list[dict[str, Any]] | None = None
        self.age_ms = 0
        self._error: IbError | None = None
        self._silent_until = float("-inf")
        self._listing: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._status: tuple[float, Status | IbError] | None = None

    @property
    def untold(self) -> IbError | None:
        """Why its accounts are not known at all; None when they are."""
        return None if self.rows is not None or self._error is None else self._error

    def owns(self, account: str) -> bool:
        return any(row.get("accountId") == account for row in self.rows or ())

    async def close(self) -> None:
        tasks = [task for task in (self._listing, self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def accounts(self) -> IbError | None:
        """Ask for its accounts; why it did not tell them now, if it did not."""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._list())
        await self._wait(self._listing)
        return self._error

    async def rank(self, tier: str) -> int:
        """0 when its session is enough for operations of ``tier``, more the less of it there is."""
        now = asyncio.get_running_loop().time()
        if self._status is None or now - self._status[0] >= _STATUS_FRESH_S:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask_status())
            await self._wait(self._asking)
        status = None if self._status is None else self._status[1]
        if not isinstance(status, Status) or self._is_silent:
            return _SILENT
        if status.state is SessionState.AUTHENTICATED or (tier != "brokerage" and status.state in SIGNED_IN):
            return 0
        return 1 if status.state in SIGNED_IN else 2

    @property
    def _is_silent(self) -> bool:
        return asyncio.get_running_loop().time() < self._silent_until

    async def _wait(self, task: asyncio.Task[None]) -> None:
        """Until ``task`` is done, but not for a gateway that has not answered in time lately."""
        if self._is_silent:
            return
        with anyio.move_on_after(_PATIENCE_S) as limit:
            await asyncio.shield(task)
        if limit.cancelled_caught:
            self._silent_until = asyncio.get_running_loop().time() + _SILENT_FOR_S
            if self._error is None:
                self._error = UpstreamTimeout(f"The gateway {self.name!r} does not answer at the moment.")

    async def _list(self) -> None:
        try:
            with anyio.fail_after(_ASKED_WITHIN_S):
                reply = await self.client.call(LISTS_ACCOUNTS)
            self.rows, self.age_ms = [row for row in reply.rows if row.get("accountId")], reply.age_ms
            self._error = None
        except TimeoutError:
            self._error = UpstreamTimeout(f"The gateway {self.name!r} does not answer at the moment.")
            self._silent_until = asyncio.get_running_loop().time() + _SILENT_FOR_S
            return
        except IbError as error:
            self._error = error
        self._silent_until = float("-inf")

    async def _ask_status(self) -> None:
        found: Status | IbError
        try:
            with anyio.fail_after(_ASKED_WITHIN_S):
                found = await self.client.status()
            self._silent_until = float("-inf")
        except TimeoutError:
            found = UpstreamTimeout(f"The gateway {self.name!r} does not answer at the moment.")
            self._silent_until = asyncio.get_running_loop().time() + _SILENT_FOR_S
        except IbError as error:
            found = error
        self._status = (asyncio.get_running_loop().time(), found)
