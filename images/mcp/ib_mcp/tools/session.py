"""Tools about the session itself; they need no login."""

from __future__ import annotations

from ib_mcp.desk import Desk
from ib_mcp.tools.base import Answer, read_tool


@read_tool("session")
async def get_session_status(desk: Desk) -> Answer:
    """Whether IBKR is signed in and usable, live or paper, and what to do if not."""
    status = await desk.guard.status()
    return {"state": status.state.value, "mode": status.mode}
