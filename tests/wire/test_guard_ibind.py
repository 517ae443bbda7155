"""A public Web API client in front of the guard, with nothing changed but its URL and the token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from guarding import TOKEN, guarded, simulator

if TYPE_CHECKING:
    from ibind import IbkrClient


@pytest_asyncio.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[IbkrClient]:
    monkeypatch.setenv("IBIND_LOG_TO_FILE", "false")
    from ibind import IbkrClient

    async with guarded(simulator().app) as guard:
        made = IbkrClient(url=f"{guard.client.base_url}/v1/api/", timeout=30, auto_register_shutdown=False)
        made._session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield made
        made.close()


async def call(method: Any, *args: Any, **more: Any) -> Any:
    """A method of the client, which blocks, outside the event loop."""
    result = await asyncio.to_thread(method, *args, **more)
    return getattr(result, "data", result)


async def test_it_finds_the_session_open(client: IbkrClient):
    assert await call(client.check_health) is True
    assert await call(client.check_auth_status) is True
    assert (await call(client.tickle))["iserver"]["authStatus"]["authenticated"] is True
    assert (await call(client.initialize_brokerage_session))["authenticated"] is True


async def test_it_reads_accounts_positions_and_prices(client: IbkrClient):
    [account] = [row["accountId"] for row in await call(client.portfolio_accounts)]
    assert (await call(client.receive_brokerage_accounts))["accounts"] == [account]
    positions = await call(client.positions, account)
    assert {"AAPL"} <= {row["contractDesc"] for row in positions}
    rows = await call(client.live_marketdata_snapshot, ["265598", "8314"], ["31", "7051"])
    assert [row["conid"] for row in rows] == [265598, 8314]
    assert all(row["31"] and row["7051"] for row in rows)
    by_symbol = await call(client.live_marketdata_snapshot_by_symbol, "AAPL", ["31"])
    assert by_symbol["AAPL"]["last_price"]


async def test_it_reads_history_trades_and_contracts(client: IbkrClient):
    bars = await call(client.marketdata_history_by_conid, "265598", "1d", period="1w")
    assert bars["data"]
    assert await call(client.trades, days="7")
    assert (await call(client.search_contract_by_symbol, "AAPL"))[0]["conid"] == "265598"


async def test_it_cannot_end_the_session_or_trade(client: IbkrClient):
    from ibind.support.errors import ExternalBrokerError

    with pytest.raises(ExternalBrokerError) as refused:
        await call(client.logout)
    assert refused.value.status_code == 403
    with pytest.raises(ExternalBrokerError) as refused:
        await call(client.cancel_order, "-1", "DU7420001")
    assert refused.value.status_code == 403
