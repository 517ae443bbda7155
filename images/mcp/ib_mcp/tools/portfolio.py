"""Tools about accounts and what is in them; the portal session is enough for most."""

from __future__ import annotations

from ib_mcp.desk import Desk
from ib_mcp.tools.base import Answer, read_tool


@read_tool("portfolio")
async def list_accounts(desk: Desk) -> Answer:
    """Accounts with their ids, aliases and currencies."""
    return {
        "accounts": [
            {"account": row["accountId"], "currency": row.get("currency")} for row in await desk.accounts.all()
        ]
    }


@read_tool("portfolio")
async def get_account_positions(desk: Desk, account: str | None = None) -> Answer:
    """Positions of an account."""
    chosen = await desk.accounts.resolve(account)
    reply = await desk.guard.call("list_positions", path={"accountId": chosen, "pageId": 0})
    return {"account": chosen, "positions": reply.body}
