"""The connections between the MCP server and the guard, on sockets."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ib_mcp.guard import router
from ib_mcp.settings import McpSettings
from support.serve import serve


async def test_any_number_of_questions_reach_the_guard_at_once():
    """What waits for a connection instead is out of the guard's fair line."""
    count, came = 150, asyncio.Event()
    arrived = 0

    async def hold(request: Request) -> JSONResponse:
        nonlocal arrived
        arrived += 1
        if arrived == count:
            came.set()
        await came.wait()
        return JSONResponse({"schema": 1, "state": "authenticated", "observed_at": 1, "state_since": 1, "mode": "live"})

    async with serve(Starlette(routes=[Route("/status", hold)])) as url:
        settings = McpSettings(guard_url=url, guard_token="g")
        async with router.connect(settings) as guard, asyncio.timeout(20):
            await asyncio.gather(*(guard.status() for _ in range(count)))
    assert arrived == count
