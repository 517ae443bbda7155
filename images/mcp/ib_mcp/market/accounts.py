"""Which accounts there are, and which one a tool call means."""

from __future__ import annotations

import asyncio
from typing import Any

from ib_mcp.guard.client import Guard
from ibkr.errors import InvalidRequest, UpstreamError

# A person signing in with another user changes the list; a wrong account is refused by IBKR anyway.
_REMEMBER_S = 30.0


class Accounts:
    """The accounts of the portal session (works without a brokerage session)."""

    def __init__(self, guard: Guard, default: str | None) -> None:
        self._guard = guard
        self._default = default
        self._known: list[dict[str, Any]] = []
        self._known_until = 0.0

    async def all(self) -> list[dict[str, Any]]:
        """IBKR's account objects, remembered for some seconds."""
        now = asyncio.get_running_loop().time()
        if now >= self._known_until:
            reply = await self._guard.call("list_portfolio_accounts")
            self._known = [row for row in reply.rows if row.get("accountId")]
            self._known_until = now + _REMEMBER_S if self._known else 0.0
        return self._known

    async def default(self) -> str | None:
        """The account that is meant when none is given; None when one has to be given."""
        try:
            return await self.resolve(None)
        except InvalidRequest:
            return None

    async def currency(self, account: str) -> str:
        """The base currency of an account id."""
        return next((str(row.get("currency")) for row in await self.all() if row["accountId"] == account), "USD")

    async def resolve(self, account: str | None) -> str:
        """The account id that is meant: the given one (id or alias), the default, or the only one."""
        known = await self.all()
        ids = [str(row["accountId"]) for row in known]
        wanted = account or self._default or None
        if wanted is None:
            if len(ids) == 1:
                return ids[0]
            if not ids:
                raise UpstreamError("IBKR lists no account.", action="Call get_session_status.")
            raise InvalidRequest("Several accounts are available.", action=f"Give account, one of: {', '.join(ids)}.")
        for row in known:
            names = (row.get("accountId"), row.get("accountAlias"), row.get("displayName"))
            if any(str(name).casefold() == wanted.casefold() for name in names if name):
                return str(row["accountId"])
        raise InvalidRequest(f"There is no account {wanted[:40]!r}.", action=f"Give account, one of: {', '.join(ids)}.")
