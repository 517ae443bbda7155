"""Twenty agents behind one address, such as hosted ones: they share IBKR's limits by token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from ib_mcp.guard import router
from ib_mcp.http.app import create_app
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings
from support.guard import TOKEN, guarded_in_process
from support.serve import InProcess
from support.simulated import simulated
from wire.mcp.http.test_http import answered, question

pytestmark = pytest.mark.looptime
AGENTS = 20


class Crowd:
    """Agents that ask different things at one address; ``done`` are their names as they were answered."""

    def __init__(self, web: httpx.AsyncClient) -> None:
        self._web = web
        self._asked = 0
        self.done: list[int] = []

    async def ask(self, agent: int) -> None:
        self._asked += 1
        given = {"endpoint": "search_stocks", "parameters": {"symbols": f"A{self._asked}"}}
        asked = question("tools/call", token=f"token-of-agent-{agent:02}", name="call_endpoint", arguments=given)
        answer = answered(await self._web.post("/mcp", **asked))
        assert answer["isError"] is False, answer
        self.done.append(agent)


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    broker = simulated()
    lines = "\n".join(f"token-of-agent-{n:02} name=agent-{n}" for n in range(AGENTS))
    settings = HttpSettings(guard_url="http://guard.test", guard_token=TOKEN, token=lines, deadline_s=60)
    async with guarded_in_process(broker.app) as guard, router.connect(settings, InProcess(guard.guard)) as client:
        app = create_app(settings, create_server(settings, client), client)
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 1234))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8800", timeout=None) as web,
        ):
            yield Crowd(web)


async def test_all_of_them_are_answered_in_turn() -> None:
    async with crowd() as agents:
        each = 5
        # Until IBKR's limit is reached nobody waits for anybody.
        await asyncio.gather(*(agents.ask(0) for _ in range(9)))
        agents.done.clear()
        # One after the other comes with all that it wants.
        await asyncio.gather(*(agents.ask(agent) for agent in range(AGENTS) for _ in range(each)))
        for turn in range(1, each + 1):
            so_far = agents.done[: turn * AGENTS]
            counts = [so_far.count(agent) for agent in range(AGENTS)]
            assert max(counts) - min(counts) <= 2, counts


async def test_one_that_asks_very_much_keeps_nineteen_others_waiting_for_a_turn_only() -> None:
    async with crowd() as agents:
        began = asyncio.get_running_loop().time()
        heavy = [asyncio.create_task(agents.ask(0)) for _ in range(100)]
        await asyncio.sleep(0.5)
        await asyncio.gather(*(agents.ask(agent) for agent in range(1, AGENTS)))
        # 19 calls among as few of the heavy one's, at 9 a second; behind its queue it would be 11 s.
        assert asyncio.get_running_loop().time() - began < 5
        assert agents.done.count(0) < 40
        for task in heavy:
            task.cancel()
        await asyncio.gather(*heavy, return_exceptions=True)
