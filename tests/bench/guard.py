"""What the guard adds to a call, and what an answer from its cache costs: figures of one run, on one machine.

``python -m tests.bench.guard`` runs the simulator and the keepalive as processes of their own and prints them.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import psutil

TOKEN = "token-of-the-benchmark"
PAIRS = 80
CALLERS = 16
SECONDS = 5.0
ADDED_P50_MS, ADDED_P99_MS = 1.5, 15.0
CACHED_CPU_US = 400.0
MEMORY_MB = 90.0


@dataclass(frozen=True)
class Rig:
    """``direct`` and ``guarded`` are base URLs of the same API; ``process`` is the keepalive."""

    direct: str
    guarded: str
    process: psutil.Process
    http: aiohttp.ClientSession


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [made.getsockname()[1] for made in sockets]
    for made in sockets:
        made.close()
    return ports


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Simulator without limits, keepalive, and a client that knows the token."""
    broker, control, data, own_control, login = _free_ports(5)
    environment = os.environ | {
        "IB_SIMULATOR_PORT": str(broker),
        "IB_SIMULATOR_CONTROL_PORT": str(control),
        "IB_SIMULATOR_LIMITS": "false",
        "IB_KEEPALIVE_GATEWAY_URL": f"http://127.0.0.1:{broker}",
        "IB_KEEPALIVE_TOKEN": TOKEN,
        "IB_KEEPALIVE_DATA_PORT": str(data),
        "IB_KEEPALIVE_CONTROL_PORT": str(own_control),
        "IB_KEEPALIVE_LOGIN_PORT": str(login),
    }
    quiet = asyncio.subprocess.DEVNULL
    parts = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", name, env=environment, stdout=quiet, stderr=quiet)
        for name in ("ib_simulator", "ib_keepalive")
    ]
    try:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            url = f"http://127.0.0.1:{data}"
            await _until_open(http, url)
            yield Rig(f"http://127.0.0.1:{broker}/v1/api", f"{url}/v1/api", psutil.Process(parts[1].pid), http)
    finally:
        for part in parts:
            part.terminate()
            await part.wait()


async def _until_open(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with http.get(f"{url}/status") as answer:
                    if (await answer.json())["state"] == "authenticated":
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def _get(rig: Rig, url: str, source: str | None = None) -> float:
    """Milliseconds of one good answer."""
    began = time.perf_counter()
    async with rig.http.get(url) as answer:
        content = await answer.read()
    took = (time.perf_counter() - began) * 1000
    if answer.status != 200 or (source and answer.headers.get("ib-source") != source):
        raise RuntimeError(f"{url}: {answer.status} {answer.headers.get('ib-source')} {content[:200]!r}")
    return took


async def _added(rig: Rig) -> dict[str, float]:
    """Pairs of the same history, directly and through the guard, slow enough that nothing waits for a turn."""
    direct, guarded = [], []
    for number in range(PAIRS):
        end = f"202610{number % 9 + 10}-{number // 9:02}:00:00"
        path = f"/iserver/marketdata/history?conid=265598&period=1w&bar=1d&startTime={end}"
        direct.append(await _get(rig, rig.direct + path))
        guarded.append(await _get(rig, rig.guarded + path, "upstream"))
        await asyncio.sleep(0.15)
    added = sorted(through - straight for straight, through in zip(direct, guarded, strict=True))
    return {
        "direct_p50_ms": statistics.median(direct),
        "added_p50_ms": statistics.median(added),
        "added_p99_ms": added[int(len(added) * 0.99)],
        "ratio_p50": statistics.median(guarded) / statistics.median(direct),
    }


async def _cached(rig: Rig, path: str) -> dict[str, float]:
    """As many answers from the cache as the callers can get."""
    await _get(rig, rig.guarded + path)
    answers, before, began = 0, rig.process.cpu_times(), time.perf_counter()

    async def caller() -> None:
        nonlocal answers
        while time.perf_counter() - began < SECONDS:
            await _get(rig, rig.guarded + path)
            answers += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    after = rig.process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return {"per_s": answers / (time.perf_counter() - began), "cpu_us": spent / answers * 1e6}


async def measure() -> dict[str, float]:
    """Milliseconds that the guard adds; answers a second and CPU of an answer from the cache; MB after all that."""
    async with rig() as made:
        async with made.http.get(f"{made.guarded}/portfolio/accounts") as answer:
            account = (await answer.json())[0]["id"]
        figures = await _added(made)
        for name, path in (
            ("ledger", f"/portfolio/{account}/ledger"),
            ("prices", "/iserver/marketdata/snapshot?conids=265598&fields=31"),
            ("status", "/iserver/auth/status"),
        ):
            figures |= {f"{name}_{key}": value for key, value in (await _cached(made, path)).items()}
        figures["memory_mb"] = made.process.memory_info().rss / 1e6
        return figures


if __name__ == "__main__":
    figures = asyncio.run(measure())
    sys.stdout.write(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=1) + "\n")
    sys.exit(
        figures["added_p50_ms"] > ADDED_P50_MS
        or figures["added_p99_ms"] > ADDED_P99_MS
        or figures["ledger_cpu_us"] > CACHED_CPU_US
        or figures["memory_mb"] > MEMORY_MB
    )
