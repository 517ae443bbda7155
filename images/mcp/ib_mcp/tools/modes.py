"""Whether an answer is about paper or live money."""

from __future__ import annotations

from ib_mcp.context import ToolContext
from ibkr.errors import IbError


async def mode_of(context: ToolContext, account: str | None, gateway: str | None = None) -> str:
    """``paper``, ``live`` or ``unknown``: of the gateway that is named, or has the account."""
    gateways = context.guard.each()
    named = (name for name in gateways if gateway == name or (account and context.guard.lists(name, account)))
    name = next(named, next(iter(gateways)))
    try:
        return (await gateways[name].status()).mode
    except IbError:
        return "unknown"
