"""What a name means is asked anew after an hour: IBKR renames tickers, and a month may get a second expiry."""

from __future__ import annotations

import asyncio

import pytest

from support.agent import agent

pytestmark = pytest.mark.looptime


async def test_a_name_is_looked_up_again_after_an_hour_and_not_before() -> None:
    async with agent() as it:

        def asked() -> int:
            return sum(request.endpoint == "search_stocks" for request in it.simulator.requests)

        await it.read("get_contract_details", symbol="AAPL")
        once = asked()
        await asyncio.sleep(1800)
        await it.read("get_contract_details", symbol="AAPL")
        assert asked() == once
        await asyncio.sleep(1801)
        await it.read("get_contract_details", symbol="AAPL")
        assert asked() > once
