"""The order helpers of a public client find what they expect: place with questions, change, cancel, live orders."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.guard import TOKEN, simulator
from support.simulator import AAPL, PAPER
from support.trading import traded


async def test_the_order_helpers_of_a_public_client_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBIND_LOG_TO_FILE", "false")
    from ibind import IbkrClient, OrderRequest, QuestionType
    from ibind.support.errors import ExternalBrokerError

    async with traded(simulator(), tmp_path, on_sockets=True) as t:
        url = t.client.base_url.copy_with(username="anybody", password=TOKEN, path="/v1/api/")
        client = IbkrClient(url=str(url), timeout=30, auto_register_shutdown=False, account_id=PAPER)

        async def call(name: str, *args: Any, **more: Any) -> Any:
            return (await asyncio.to_thread(getattr(client, name), *args, **more)).data

        answers = {
            QuestionType.PRICE_PERCENTAGE_CONSTRAINT: True,
            QuestionType.MISSING_MARKET_DATA: True,
            "The limit price is more than": True,
            "without market data": True,
            "market data": True,
        }
        wish = OrderRequest(
            conid=AAPL, side="BUY", quantity=5, order_type="LMT", price=100.0, acct_id=PAPER, coid="mine-1", tif="GTC"
        )
        try:
            preview = await call("whatif_order", wish)
            assert preview["amount"]
            placed = await call("place_order", wish, answers)
            (ours,) = t.placed("mine-1")
            assert placed["order_id"] == str(ours.id)
            assert await call("place_order", wish, answers) == placed

            wish.quantity = 7
            changed = await call("modify_order", placed["order_id"], wish, answers)
            assert changed["order_id"] == placed["order_id"]
            assert ours.quantity == 7

            rows = (await call("live_orders"))["orders"]
            assert "mine-1" in {row.get("order_ref") for row in rows}
            assert (await call("order_status", placed["order_id"]))["order_status"]
            assert (await call("cancel_order", placed["order_id"]))["msg"] == "Request was submitted"

            wish.coid, wish.quantity = "mine-2", 0
            with pytest.raises(ExternalBrokerError):
                await call("place_order", wish, answers)
            assert not t.placed("mine-2")
        finally:
            client.close()
