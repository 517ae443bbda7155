"""Which accounts there are, for every agent alike: nobody is shown this without a look at what its token allows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ib_mcp.guard.client import LISTS_ACCOUNTS, Guard
from ib_mcp.guard.gateway_choice import at

# Of one sign-in; another one has another list.
_REMEMBER_S = 30.0
# An id or alias is the account's own; other names may be shared by several.
OWN_NAMES = ("accountId", "id", "accountVan", "accountAlias")


class AccountDirectory:
    """The accounts of the portal session (works without a brokerage session)."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: list[dict[str, Any]] = []
        self._known_until = 0.0
        self._sign_ins: tuple[int, ...] = ()

    async def all(self, *, again: bool = False) -> list[dict[str, Any]]:
        """IBKR's account objects, remembered for some seconds unless they are to be asked for ``again``."""
        now = asyncio.get_running_loop().time()
        if again or now >= self._known_until or self._guard.sign_ins != self._sign_ins:
            # For every agent alike, whichever gateway this call names.
            with at(None):
                reply = await self._guard.call(LISTS_ACCOUNTS)
            self._known = [row for row in reply.rows if row.get("accountId")]
            self._known_until = now + _REMEMBER_S if self._known and not self._guard.untold else 0.0
            self._sign_ins = self._guard.sign_ins
        return self._known


def named(known: Iterable[dict[str, Any]], name: str, keys: Iterable[str] = OWN_NAMES) -> list[str]:
    """Ids of the accounts that are called ``name`` by one of ``keys``."""
    wanted = name.strip().casefold()
    return [
        str(row["accountId"])
        for row in known
        if any(str(row[key]).casefold() == wanted for key in keys if row.get(key))
    ]
