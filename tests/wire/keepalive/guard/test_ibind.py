"""A public Web API client that is given nothing but a URL, the token in it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.guard import TOKEN, guarded, simulator


async def test_a_client_that_takes_only_a_url_reads_through_the_guard(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IBIND_LOG_TO_FILE", "false")
    from ibind import IbkrClient

    async with guarded(simulator().app) as guard:
        url = guard.client.base_url.copy_with(username="anybody", password=TOKEN, path="/v1/api/")
        client = IbkrClient(url=str(url), timeout=30, auto_register_shutdown=False)

        async def call(name: str, *args: Any, **more: Any) -> Any:
            return (await asyncio.to_thread(getattr(client, name), *args, **more)).data

        try:
            assert (await call("tickle"))["iserver"]["authStatus"]["authenticated"] is True
            assert (await call("initialize_brokerage_session"))["authenticated"] is True
            assert guard.session.asked == 1
            [account] = [row["accountId"] for row in await call("portfolio_accounts")]
            assert await call("positions", account)
            rows = await call("live_marketdata_snapshot", ["265598", "8314"], ["31", "7051"])
            assert [(row["conid"], bool(row["31"])) for row in rows] == [(265598, True), (8314, True)]
            assert await call("trades", days="7")
        finally:
            client.close()
