"""Sales held against what the broker says is held and working, with its own order engine behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.agent import GUARD_TOKEN, Agent, agent
from support.simulator import AAPL, PAPER
from support.trading import PAPER_POLICY

pytestmark = pytest.mark.looptime

LIMITS = PAPER_POLICY + "[limits]\nnotional = 100000000\nquantity = 100000\norders_per_day = 100000\n"


@dataclass
class Client:
    """A raw client of the guard that says yes to the broker's questions."""

    http: httpx.AsyncClient
    a: Agent

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        response = await self.http.request(method, f"/v1/api/iserver/account/{PAPER}/{path}", **more)
        while response.status_code == 200 and "messageIds" in response.text:
            reply = f"/v1/api/iserver/reply/{response.json()[0]['id']}"
            response = await self.http.post(reply, json={"confirmed": True})
        return response

    async def place(self, side: str, quantity: float, *, more: tuple[dict[str, Any], ...] = (), **changes: Any) -> Any:
        """The broker's answer, or the message of the refusal."""
        kind = {"orderType": "LMT", "price": 200.0} if "orderType" not in changes else {}
        first = {"conid": AAPL, "side": side, "quantity": quantity, "tif": "GTC", **kind, **changes}
        response = await self.send("POST", "orders", json={"orders": [first, *more]})
        return response.json() if response.status_code == 200 else response.json()["error"]["message"]

    async def held(self) -> float:
        rows = (await self.http.get(f"/v1/api/portfolio2/{PAPER}/positions")).json()
        return float(next((row["position"] for row in rows if int(row["conid"]) == AAPL), 0.0))


@asynccontextmanager
async def client(tmp_path: Path, policy: str = LIMITS) -> AsyncIterator[Client]:
    async with agent(trading=tmp_path, policy=policy) as a:
        headers = {"Authorization": f"Bearer {GUARD_TOKEN}", "ib-caller": "robot", "ib-deadline-ms": "60000"}
        transport = httpx.ASGITransport(a.keepalive.data)
        async with httpx.AsyncClient(
            base_url="http://guard.test", transport=transport, headers=headers, timeout=None
        ) as http:
            yield Client(http, a)


def is_short(answer: Any) -> bool:
    return isinstance(answer, str) and "short_selling" in answer


async def test_working_sales_are_not_for_sale_again_until_they_are_cancelled(tmp_path: Path) -> None:
    async with client(tmp_path) as c:
        held = await c.held()
        (first,) = await c.place("SELL", held - 10, price=400.0)
        (second,) = await c.place("SELL", 6, price=400.0)
        assert is_short(await c.place("SELL", 5, price=400.0))
        assert (await c.place("SELL", 4, price=400.0))[0]["order_id"]

        assert (await c.send("DELETE", f"order/{second['order_id']}")).status_code == 200
        await asyncio.sleep(10)

        answer = await c.place("SELL", 5, price=400.0)
        assert not isinstance(answer, str), answer
        assert is_short(await c.place("SELL", 2, price=400.0))
        assert first["order_id"]


async def test_what_was_sold_is_not_sold_again(tmp_path: Path) -> None:
    async with client(tmp_path) as c:
        held = await c.held()
        assert (await c.place("SELL", held, orderType="MKT"))[0]["order_id"]
        for _ in range(6):
            assert is_short(await c.place("SELL", 1, orderType="MKT"))
            await asyncio.sleep(3)
        assert await c.held() == 0


async def test_what_was_bought_may_be_sold(tmp_path: Path) -> None:
    async with client(tmp_path) as c:
        held = await c.held()
        assert is_short(await c.place("SELL", held + 5, price=400.0))
        assert (await c.place("BUY", 5, orderType="MKT"))[0]["order_id"]
        await asyncio.sleep(10)

        assert (await c.place("SELL", held + 5, price=400.0))[0]["order_id"]


async def test_a_brackets_stop_may_be_moved_and_not_enlarged(tmp_path: Path) -> None:
    async with client(tmp_path) as c:
        stop = {"conid": AAPL, "orderType": "STP", "side": "SELL", "quantity": 5, "price": 150.0, "tif": "GTC"}
        target = {**stop, "orderType": "LMT", "price": 400.0}
        children = ({**target, "parentId": "b"}, {**stop, "parentId": "b"})
        placed = await c.place("BUY", 5, more=children, cOID="b", price=280.0)
        assert len(placed) == 3, placed
        moved = placed[2]["order_id"]

        assert (await c.send("POST", f"order/{moved}", json={**stop, "price": 155.0})).status_code == 200
        await asyncio.sleep(6)
        refused = await c.send("POST", f"order/{moved}", json={**stop, "quantity": 50_000})

        assert is_short(refused.json()["error"]["message"])


async def test_many_orders_in_a_row_are_checked_within_the_brokers_pace(tmp_path: Path) -> None:
    async with client(tmp_path) as c:
        began = asyncio.get_running_loop().time()
        for number in range(50):
            answer = await c.place("SELL" if number % 2 else "BUY", 1, orderType="MKT", tif="DAY")
            assert isinstance(answer, list), answer

        assert asyncio.get_running_loop().time() - began < 60
        refused = [request for request in c.a.simulator.requests if request.status == 429]
        assert refused == []
