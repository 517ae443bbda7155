"""The product as a person starts it, its processes, and what the simulator counted."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from support import stack
from tests.bench import agent

_LOOK_S = 0.2
_PARTS = ("ib_mcp", "ib_keepalive", "ib_simulator")

# Most resident bytes of each part over all stacks of this run.
peaks: dict[str, int] = {}


class Bench:
    """A running stack and the connections of its agents."""

    def __init__(self, running: stack.Running, connections: aiohttp.ClientSession) -> None:
        self.running = running
        self.connections = connections
        self.parts = _parts(running.process.pid)

    def agent(self, name: str = "bench", wire: agent.Wire = agent.MODERN) -> agent.Agent:
        return agent.Agent(self.connections, self.running.mcp_url, self.running.mcp_token, name, wire)

    async def counters(self) -> dict[str, Any]:
        """What the simulator saw: ``statuses`` by operation and status, ``limits``."""
        async with self.connections.get(f"{self.running.simulator_control_url}/control/requests?last=0") as response:
            counted: dict[str, Any] = (await response.json())["counters"]
            return counted

    async def refusals(self) -> int:
        """How many requests the simulator answered with 429."""
        counted = await self.counters()
        by_status: int = sum(n for name, n in counted["statuses"].items() if name.endswith(" 429"))
        return max(by_status, int(counted["limits"]["refused"]))

    async def upstream(self) -> int:
        """How many requests reached the simulator."""
        statuses: dict[str, int] = (await self.counters())["statuses"]
        return sum(statuses.values())


@asynccontextmanager
async def started(*options: str) -> AsyncIterator[Bench]:
    """``ib-mcp up`` until the end of the block; remembers the most memory that its parts took."""
    with folder() as place, stack.up(place, *options) as running:
        async with agent.client() as connections:
            bench = Bench(running, connections)
            watch = asyncio.create_task(_watch(bench.parts))
            try:
                yield bench
            finally:
                watch.cancel()


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ib-mcp-bench-") as name:
        yield Path(name)


def _parts(pid: int) -> dict[str, psutil.Process]:
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(pid).children():
        line = child.cmdline()
        found |= {part: child for part in _PARTS if part in line}
    return found


async def _watch(parts: dict[str, psutil.Process]) -> None:
    while True:
        for name, process in parts.items():
            peaks[name] = max(peaks.get(name, 0), process.memory_info().rss)
        await asyncio.sleep(_LOOK_S)
