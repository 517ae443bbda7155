"""Sending what was previewed, once, after whoever has to approve it did."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from fastmcp.tools.base import InputRequiredToolResult
from pydantic import Field

from ib_mcp.auth import granted
from ib_mcp.context import ToolContext
from ib_mcp.tools.arguments import Text
from ib_mcp.tools.base import Answer, order_tool
from ib_mcp.trading import outcomes
from ib_mcp.trading.asking import AskFirst, message_of, person, person_at

Ticket = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_.-]{16,120}$")]


@order_tool("trade")
async def submit_order(context: ToolContext, ticket: Ticket) -> Answer | InputRequiredToolResult:
    """Send the order of a ticket, once. Again with the same ticket: what became of it, and nothing is sent."""
    with anyio.fail_after(context.settings.deadline_s):
        found = await context.desk.submit(ticket)
    if found.get("outcome") != "approval_needed":
        return outcomes.told(found)
    asked = await _ask(context, ticket)
    if isinstance(asked, AskFirst):
        return InputRequiredToolResult(asked.question)
    if asked is None:
        return outcomes.told(found)
    with anyio.fail_after(context.settings.deadline_s):
        if asked != "decided elsewhere":
            grant = granted.current.get()
            by = person_at(grant.name if grant else "an agent")
            await context.desk.decide(ticket, approve=asked == "approved", by=by)
        return outcomes.told(await context.desk.submit(ticket))


async def _ask(context: ToolContext, ticket: str) -> Any:
    """What the person behind the agent says, where the owner lets the agent's client ask."""
    someone = person.get()
    if someone is None:
        return None
    with anyio.fail_after(context.settings.deadline_s):
        waiting = await context.desk.pending(ticket)
        if waiting is None:
            return None
        if (await context.desk.status(str(waiting.get("account")))).get("approval") != "ask":
            return None

    async def is_open() -> bool:
        return await context.desk.pending(ticket) is not None

    return await someone.ask(ticket, message_of(waiting.get("summary") or {}), is_open)
