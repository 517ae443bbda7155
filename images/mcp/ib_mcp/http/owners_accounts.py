"""The owner's accounts, for pages that only the owner sees."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from ib_mcp.auth.granted import EVERYTHING
from ib_mcp.guard.client import LISTS_ACCOUNTS, Guard
from ib_mcp.server.agents import Agent
from ibkr.errors import IbError

# A person waits for the page.
_PATIENCE_S = 5
_CALLER = "owners-page"
_NAMES = ("accountAlias", "displayName", "desc")


async def accounts_of(guard: Guard | None) -> Mapping[str, str]:
    """How the owner calls each account, by id; none while IBKR does not tell them."""
    if guard is None:
        return {}
    try:
        with Agent(_CALLER, EVERYTHING).asking(), anyio.fail_after(_PATIENCE_S):
            rows = (await guard.call(LISTS_ACCOUNTS)).rows
    except (IbError, TimeoutError):
        return {}
    found = {}
    for row in rows:
        account = str(row.get("accountId") or "")
        names = (str(row[name]) for name in _NAMES if row.get(name))
        if account:
            found[account] = next((name for name in names if name != account), "")
    return found
