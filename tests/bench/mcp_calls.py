"""What a tool call costs the MCP server when the guard answers from its cache, over both wires.

``python -m tests.bench.mcp_calls`` prints it. CPU per call is the best of many short windows, so that other work on the
machine counts little. A stub stands in for the guard: an ASGI app that answers at once.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

TOKEN = "token-of-the-bench"
CALLERS = 16
SECONDS = 6.0
WINDOW_S = 0.5
FEWEST_IN_WINDOW = 30
TOOL = "get_account_balances"
BUDGETS = {"calls_per_core": 500.0, "cost_80_tools_over_1": 1.1, "rss_mb": 120.0}

Parent = subprocess.Popen[str]


def measure() -> dict[str, float]:
    """Calls per second of one core by wire, CPU with 80 tools over 1, milliseconds added to a direct call, memory."""
    with _child("guard") as (_, guard_url):
        with _child("mcp", guard_url, "0") as (process, url):
            found = {
                "calls_per_core": 1e6 / _cpu_us(process, url, "modern"),
                "calls_per_core_handshake": 1e6 / _cpu_us(process, url, "handshake"),
                "added_ms": _latency_ms(f"{url}/mcp", "modern") - _latency_ms(guard_url, "direct"),
                "rss_mb": psutil.Process(process.pid).memory_info().rss / 2**20,
            }
        with _child("mcp", guard_url, "1") as few, _child("mcp", guard_url, "80") as many:
            # In turns, so that what else the machine does hits both.
            costs = [(_cpu_us(*few, "modern"), _cpu_us(*many, "modern")) for _ in range(3)]
            found["cost_80_tools_over_1"] = min(cost for _, cost in costs) / min(cost for cost, _ in costs)
    return found


def _cpu_us(process: Parent, url: str, wire: str) -> float:
    return asyncio.run(_load(psutil.Process(process.pid), f"{url}/mcp", wire))


def _latency_ms(url: str, wire: str) -> float:
    """Median of one caller's calls."""
    return asyncio.run(_one_after_another(url, wire))


async def _load(process: psutil.Process, url: str, wire: str) -> float:
    """CPU microseconds of ``process`` per call under CALLERS concurrent callers."""
    done = 0
    stop = time.perf_counter() + SECONDS
    windows: list[float] = []

    async def call_on(ask: Callable[[], Awaitable[None]]) -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await ask()
            done += 1

    async def watch() -> None:
        while time.perf_counter() < stop:
            cpu, before = _cpu_s(process), done
            await asyncio.sleep(WINDOW_S)
            if done - before >= FEWEST_IN_WINDOW:
                windows.append((_cpu_s(process) - cpu) / (done - before) * 1e6)

    async with _agent(url, wire) as ask:
        await asyncio.gather(watch(), *(call_on(ask) for _ in range(CALLERS)))
    return min(windows)


def _cpu_s(process: psutil.Process) -> float:
    """CPU seconds so far; to the nanosecond where the kernel tells, else to a hundredth."""
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return float(sum(process.cpu_times()[:2]))


async def _one_after_another(url: str, wire: str) -> float:
    times = []
    async with _agent(url, wire) as ask:
        for _ in range(300):
            began = time.perf_counter()
            await ask()
            times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2] * 1000


class _agent:  # noqa: N801 - used like a function
    """A keep-alive client that asks the same tool call again and again."""

    def __init__(self, url: str, wire: str) -> None:
        meta: dict[str, Any] = {}
        headers = {"authorization": f"Bearer {TOKEN}", "accept": "application/json, text/event-stream"}
        if wire == "modern":
            headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": TOOL}
            meta = {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        elif wire == "handshake":
            headers["mcp-protocol-version"] = "2025-11-25"
        params = {"name": TOOL, "arguments": {}, "_meta": meta}
        self._question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        self._headers = headers | {"content-type": "application/json"}
        self._url = url
        self._direct = wire == "direct"

    async def __aenter__(self) -> Callable[[], Awaitable[None]]:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self._get if self._direct else self._post

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def _post(self) -> None:
        async with self._session.post(self._url, data=self._question) as response:
            text = await response.text()
        if '"isError":false' not in text:
            raise RuntimeError(text)

    async def _get(self) -> None:
        async with self._session.get(f"{self._url}/v1/api/portfolio/U1000001/ledger") as response:
            await response.read()


@contextmanager
def _child(*arguments: str) -> Iterator[tuple[Parent, str]]:
    """This module as a server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.mcp_calls", arguments[0], str(port), *arguments[1:]], text=True
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise RuntimeError("a server of the bench ended")
            time.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


_LEDGER = json.dumps(
    {
        currency: {"currency": currency, "cashbalance": 4000.25, "stockmarketvalue": 28786.0, "interest": 1.5}
        | {"netliquidationvalue": 32787.75, "unrealizedpnl": 5410.0, "exchangerate": 1, "timestamp": 1795539600}
        for currency in ("BASE", "USD", "EUR", "GBP")
    }
).encode()
_ACCOUNTS = b'[{"accountId": "U1000001", "currency": "USD"}]'


async def _guard(scope: Any, receive: Any, send: Any) -> None:
    body = _ACCOUNTS if scope["path"].endswith("/accounts") else _LEDGER
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"ib-source", b"cache"), (b"ib-age-ms", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _serve_guard(port: int) -> None:
    import uvicorn

    uvicorn.run(_guard, host="127.0.0.1", port=port, log_level="error", access_log=False, lifespan="off")


def _serve_mcp(port: int, guard_url: str, tools: int) -> None:
    """The product's server; ``tools`` other than 0 leaves one tool or adds copies of it."""
    from ib_mcp.http import serve
    from ib_mcp.server import server
    from ib_mcp.settings import HttpSettings
    from ib_mcp.tools.accounts import get_account_balances
    from ib_mcp.tools.base import Function

    def copy(number: int) -> Function:
        from types import FunctionType

        twin = FunctionType(
            get_account_balances.__code__,
            get_account_balances.__globals__,
            f"{TOOL}_{number}",
            get_account_balances.__defaults__,
        )
        twin.__dict__ |= get_account_balances.__dict__
        twin.__doc__, twin.__annotations__ = get_account_balances.__doc__, get_account_balances.__annotations__
        return twin

    if tools:
        server.TOOLS = (get_account_balances, *map(copy, range(tools - 1)))
    serve.serve_http(HttpSettings(guard_url=guard_url, guard_token="g", token=TOKEN, port=port))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["guard", port]:
            _serve_guard(int(port))
        case ["mcp", port, guard_url, tools]:
            _serve_mcp(int(port), guard_url, int(tools))
        case _:
            figures = measure()
            for name, value in figures.items():
                budget = f" (budget {BUDGETS[name]:g})" if name in BUDGETS else ""
                sys.stdout.write(f"{name}: {value:.2f}{budget}\n")
