"""Many orders in a row hold the pace that IBKR allows."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from support.agent import agent

pytestmark = pytest.mark.looptime

ORDERS = 100


async def test_a_hundred_orders_in_a_minute_hold_the_pace(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        words = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "tif": "GTC"}
        await a.read("preview_order", **words, limit=285)
        a.simulator.requests.clear()
        began = asyncio.get_running_loop().time()
        outcomes: Counter[str] = Counter()
        for number in range(ORDERS):
            # IBKR takes 20 working orders of one side in an instrument; these are filled at once.
            preview = await a.read("preview_order", **words, limit=288 + number / 100)
            outcomes[(await a.read("submit_order", ticket=preview.body["ticket"])).body["outcome"]] += 1
        took_s = asyncio.get_running_loop().time() - began
        statuses = Counter(request.status for request in a.simulator.requests)
        assert sum(outcomes.values()) == ORDERS
        assert took_s <= 60
        assert statuses[429] == 0
