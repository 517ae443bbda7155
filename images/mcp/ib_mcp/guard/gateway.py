"""One of several gateways: what is known of its accounts and session."""

from __future__ import annotations

import asyncio
from typing import Any

from ib_mcp.guard.client import LISTS_ACCOUNTS, GuardClient
from ib_mcp.guard.inquiry import Inquiry
from ibkr.errors import IbError, LoginRequired
from ibkr.session import SIGNED_IN, SessionState, Status

_STATUS_FRESH_S = 2.0
# A gateway whose accounts are late may only be slow at IBKR; its own state takes no time.
_GLANCE_S = 0.5
_SILENT = 9


class Gateway:
    """Its accounts stay known while it does not answer, until somebody signs in anew."""

    def __init__(self, name: str, client: GuardClient) -> None:
        self.name = name
        self.client = client
        self.age_ms = 0
        self._listed: list[dict[str, Any]] | None = None
        self._listed_at_sign_in = 0
        self._status: Status | None = None
        self._listing = Inquiry(name, self._list)
        self._looking = Inquiry(name, self._look)

    @property
    def rows(self) -> list[dict[str, Any]] | None:
        """The accounts that it listed last; None while those of its present sign-in are not known."""
        return self._listed if self._listed_at_sign_in == self.client.sign_in else None

    @property
    def untold(self) -> IbError | None:
        """Why its accounts are not known at all; None when they are."""
        return self._listing.error if self.rows is None else None

    @property
    def unsure(self) -> IbError | None:
        """Why it may have others than those that are known; None when it has not."""
        error = self._listing.error
        return None if isinstance(error, LoginRequired) and self.rows is not None else error

    def owns(self, account: str) -> bool:
        return any(row.get("accountId") == account for row in self.rows or ())

    async def close(self) -> None:
        await asyncio.gather(self._listing.close(), self._looking.close())

    async def accounts(self) -> IbError | None:
        """Ask for its accounts; why it did not tell them now, if it did not."""
        patience_s = self._looking.patience_s()
        # Where they are known, news of them can wait.
        await self._listing.ask(patience_s=patience_s if self.rows is None else min(patience_s, _GLANCE_S))
        return self._listing.error

    async def rank(self, tier: str) -> int:
        """0 when its session is enough for operations of ``tier``, more the less of it there is."""
        await self._looking.ask(fresh_s=_STATUS_FRESH_S, patience_s=self._listing.patience_s(_GLANCE_S))
        if self._looking.error is not None or self._looking.is_late or self._status is None:
            return _SILENT
        state = self._status.state
        if state is SessionState.AUTHENTICATED or (tier != "brokerage" and state in SIGNED_IN):
            return 0
        return 1 if state in SIGNED_IN else 2

    async def _list(self) -> None:
        reply = await self.client.call(LISTS_ACCOUNTS)
        self._listed, self.age_ms = [row for row in reply.rows if row.get("accountId")], reply.age_ms
        self._listed_at_sign_in = reply.sign_in

    async def _look(self) -> None:
        self._status = await self.client.status()
