"""The guard as a drop-in: ibind, a public Web API client, with no more than its URL and a token changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ibind import IbkrClient
from ibind.client.ibkr_definitions import snapshot_keys_to_ids
from ibind.support.errors import ExternalBrokerError

import stack

GUIDE = Path(__file__).parents[2] / "docs/guard.md"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Running]:
    with stack.up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture
def client(running: stack.Running) -> Iterator[IbkrClient]:
    """A client by the class that docs/guard.md shows."""
    shown: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)[0], shown)
    client = shown["GuardedClient"](
        running.guard_token, url=f"{running.guard_url}/v1/api/", max_retries=0, auto_register_shutdown=False
    )
    yield client
    client.close()


def test_health_of_the_session(client: IbkrClient) -> None:
    assert client.check_auth_status()
    assert client.check_health()


def test_accounts_and_positions(client: IbkrClient) -> None:
    account = client.portfolio_accounts().data[0]["accountId"]
    assert account in client.receive_brokerage_accounts().data["accounts"]

    positions = client.positions(account).data
    assert positions
    assert {row["acctId"] for row in positions} == {account}
    assert client.portfolio_summary(account).data["netliquidation"]["amount"]


def test_snapshot_by_symbol(client: IbkrClient) -> None:
    fields = snapshot_keys_to_ids(["last_price", "bid_price"])
    snapshot = client.live_marketdata_snapshot_by_symbol("AAPL", fields)
    assert float(snapshot["AAPL"]["last_price"].lstrip("CH")) > 0


def test_price_history(client: IbkrClient) -> None:
    conid = str(client.stock_conid_by_symbol("AAPL").data["AAPL"])
    assert client.marketdata_history_by_conid(conid, bar="1d", period="1w").data["data"]


def test_what_the_guard_forbids_is_an_error_of_the_client(client: IbkrClient, running: stack.Running) -> None:
    with pytest.raises(ExternalBrokerError, match="operation_forbidden"):
        client.logout()
    with pytest.raises(ExternalBrokerError, match="token_required") as refused:
        IbkrClient(url=f"{running.guard_url}/v1/api/", auto_register_shutdown=False).portfolio_accounts()
    assert refused.value.status_code == 401
