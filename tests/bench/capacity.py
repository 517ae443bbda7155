"""What a call costs the MCP server when the guard has the answer, and whether more tools make it dearer."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil

from ib_mcp.cli.stack import free_ports
from support import cli
from tests.bench.agent import Agent
from tests.bench.figures import Figure
from tests.bench.running import Bench, started

_CALLERS = 16
# Short windows, of which the best counts: other work on the machine makes the same code cost more.
_CALLS = 400
_WINDOWS = 8
_AT_LEAST = 500
_DEARER = 1.1
_QUESTIONS: dict[str, dict[str, Any]] = {
    "get_session_status": {},
    "get_account_balances": {},
    "get_contract_details": {"symbol": "AAPL"},
    "get_price_history": {"symbol": "AAPL", "period": "1m"},
}
_START_S = 30


async def measure() -> list[Figure]:
    async with started() as bench:
        server = bench.parts["ib_mcp"]
        figures = [
            await _throughput(server, [bench.agent(f"agent-{n}") for n in range(_CALLERS)], tool, question)
            for tool, question in _QUESTIONS.items()
        ]
        async with _toolbox(bench, 1) as one, _toolbox(bench, 80) as many:
            # In turns, so that what else the machine does hits both.
            costs = [[await _cost(*each, "list_accounts", {}, _CALLS) for each in (one, many)] for _ in range(_WINDOWS)]
        few, all_ = (min(column) for column in zip(*costs, strict=True))
        note = f"{few * 1e6:.0f} and {all_ * 1e6:.0f} µs of CPU a call"
        figures.append(Figure("a call with 80 tools over one with 1 tool", all_ / few, _DEARER, note=note))
    return figures


async def _throughput(server: psutil.Process, agents: list[Agent], tool: str, question: dict[str, Any]) -> Figure:
    await agents[0].call(tool, **question)
    begun = time.perf_counter()
    costs = [await _cost(server, agents, tool, question, _CALLS) for _ in range(_WINDOWS)]
    rate = _CALLS * _WINDOWS / (time.perf_counter() - begun)
    note = f"{min(costs) * 1e6:.0f} µs of CPU a call, median {statistics.median(costs) * 1e6:.0f}; "
    note += f"{rate:.0f} calls/s by the clock"
    return Figure(f"{tool} from the guard's cache", 1 / min(costs), _AT_LEAST, " calls/s per core", True, note)


async def _cost(server: psutil.Process, agents: list[Agent], tool: str, question: dict[str, Any], calls: int) -> float:
    """Seconds of the server's CPU per call, all agents asking without a pause."""
    left = calls

    async def ask(agent: Agent) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            answer = await agent.call(tool, **question)
            if answer.error:
                raise RuntimeError(f"{tool}: {answer.body}")

    before = _cpu(server)
    await asyncio.gather(*map(ask, agents))
    return (_cpu(server) - before) / calls


def _cpu(server: psutil.Process) -> float:
    times = server.cpu_times()
    return times.user + times.system


@asynccontextmanager
async def _toolbox(bench: Bench, tools: int) -> AsyncIterator[tuple[psutil.Process, list[Agent]]]:
    """An MCP server with this many tools on the stack's guard, and its callers."""
    (port,) = free_ports(1)
    url, token = f"http://127.0.0.1:{port}/mcp", bench.running.mcp_token
    settings = {
        "IB_MCP_PORT": str(port),
        "IB_MCP_TOKEN": token,
        "IB_MCP_GUARD_URL": bench.running.guard_url,
        "IB_MCP_GUARD_TOKEN": bench.running.guard_token,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.toolbox", str(tools)),
        env={**cli.environment(bench.running.folder), **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _wait_until_ready(bench, process, url.removesuffix("/mcp") + "/readyz")
        agents = [Agent(bench.connections, url, token, f"agent-{n}") for n in range(_CALLERS)]
        yield psutil.Process(process.pid), agents
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _wait_until_ready(bench: Bench, process: asyncio.subprocess.Process, url: str) -> None:
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            try:
                async with bench.connections.get(url) as response:
                    if response.status == 200:
                        return
            except OSError:
                await asyncio.sleep(0.1)
    raise RuntimeError(f"the server with other tools ended with {process.returncode}")
