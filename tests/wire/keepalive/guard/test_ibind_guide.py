"""docs/guard.md for a public client, ibind: with only its URL and a token changed it reads through the guard."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from ibind import IbkrClient
from ibind.client.ibkr_definitions import snapshot_keys_to_ids

from support.guard import TOKEN, guarded, simulator

GUIDE = Path(__file__).parents[4] / "docs/guard.md"


def _as_the_guide_shows(url: str) -> IbkrClient:
    shown: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)[0], shown)
    client: IbkrClient = shown["GuardedClient"](TOKEN, url=url, auto_register_shutdown=False)
    return client


def _with_the_token_in_the_url(url: str) -> IbkrClient:
    return IbkrClient(url=url.replace("://", f"://any:{TOKEN}@"), auto_register_shutdown=False)


def _read(client: IbkrClient) -> None:
    account = client.portfolio_accounts().data[0]["accountId"]
    assert account in client.receive_brokerage_accounts().data["accounts"]

    positions = client.positions(account).data
    assert positions
    assert {row["acctId"] for row in positions} == {account}

    prices = client.live_marketdata_snapshot_by_symbol("AAPL", snapshot_keys_to_ids(["last_price"]))
    assert float(prices["AAPL"]["last_price"].lstrip("CH")) > 0
    client.close()


@pytest.mark.parametrize("connect", [_as_the_guide_shows, _with_the_token_in_the_url])
async def test_ibind_reads_accounts_positions_and_prices(connect: Any) -> None:
    async with guarded(simulator().app) as guard:
        # ibind blocks.
        await asyncio.to_thread(lambda: _read(connect(f"{guard.client.base_url}/v1/api/")))
