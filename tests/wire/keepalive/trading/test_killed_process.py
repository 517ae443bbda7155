"""The process is killed while an order is on its way: the next one finds out what became of it, and sends nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from ib_simulator.faults.faults import FaultSpec
from support.api_server import free_port
from support.guard import asked, simulator
from support.serve import serve
from support.simulator import AAPL, PAPER
from support.trading import PAPER_POLICY, order

TOKEN = "token-of-tests"


@asynccontextmanager
async def keepalive(
    gateway_url: str, volume: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """The process, ready, and a client of its data port."""
    port = free_port()
    given: Mapping[str, Any] = {
        "GATEWAY_URL": gateway_url, "TOKEN": TOKEN, "DATA_PORT": port, "CONTROL_PORT": 0, "LOGIN_PORT": 0,
        "TRADING_FILE": volume / "policy.toml", "TRADING_DIR": volume, "RECORD_FILE": volume / "record.json",
    }  # fmt: skip
    environment = os.environ | {f"IB_KEEPALIVE_{name}": str(value) for name, value in given.items()}
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ib_keepalive", env=environment, stdout=quiet, stderr=quiet
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
        ) as client:
            await until_open(client)
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_open(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/status")).json()["state"] == "authenticated":
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


async def test_an_order_on_its_way_when_the_process_was_killed_is_known_after_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(PAPER_POLICY)
    broker = simulator(FaultSpec(kind="hang", endpoint="place_orders", count=1, processed=True))
    path = f"/v1/api/iserver/account/{PAPER}/orders"
    body = {"orders": [order(price=285.0, cOID="mine-1")]}
    async with serve(broker.app) as gateway_url:
        async with keepalive(gateway_url, tmp_path) as (process, client):
            await client.get(f"/v1/api/iserver/marketdata/snapshot?conids={AAPL}&fields=31")
            sending = asyncio.create_task(client.post(path, json=body))
            async with asyncio.timeout(60):
                while not asked(broker, "place_orders"):  # noqa: ASYNC110 - another process asks
                    await asyncio.sleep(0.05)
            process.kill()
            await asyncio.gather(sending, return_exceptions=True)
        async with keepalive(gateway_url, tmp_path) as (_, client):
            async with asyncio.timeout(60):
                while True:
                    (row,) = (await client.get("/trading/orders?client_order_id=mine-1")).json()["orders"]
                    if row["state"] == "known":
                        break
                    await asyncio.sleep(0.5)
            again = await client.post(path, json=body)

    (placed,) = [each for each in broker.orders() if each["client_order_id"] == "mine-1"]
    assert row["outcome"]["outcome"] in ("working", "filled")
    assert again.headers["ib-repeated"] == "true"
    assert again.json()[0]["order_id"] == str(placed["order_id"])
    assert asked(broker, "place_orders") == 1
