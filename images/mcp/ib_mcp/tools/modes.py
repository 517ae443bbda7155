"""Whether an answer is about paper or live money."""

from __future__ import annotations

from ib_mcp.context import ToolContext
from ibkr.errors import IbError


async def mode_of(context: ToolContext, account: str) -> str:
    """``paper``, ``live`` or ``unknown``: of the gateway that has the account."""
    gateways = context.guard.each()
    name = next((name for name in gateways if context.guard.lists(name, account)), next(iter(gateways)))
    try:
        return (await gateways[name].status()).mode
    except IbError:
        return "unknown"
