"""The tool that docs/endpoints.md names for an operation asks IBKR with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_mcp.guard.client import GuardClient
from ib_mcp.reference.reach import TOOLS_OF, reach
from ib_mcp.tools.endpoint_calls import ORDERS
from ib_simulator.world.accounts import ACCOUNTS
from ibkr import catalogue
from support.agent import agent

pytestmark = pytest.mark.looptime

LIVE = ACCOUNTS["live"][0].id
ALERT = {"action": "create", "symbol": "AAPL", "operator": ">=", "price": 1, "account": LIVE}
ORDERS_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("preview_order", {"symbol": "AAPL", "side": "BUY", "quantity": 1, "limit": 250}),
    ("cancel_order", {"order_id": "1200000702"}),
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("list_accounts", {}),
    ("get_account_summary", {"account": LIVE}),
    ("get_account_balances", {"account": LIVE}),
    ("get_account_positions", {"account": LIVE}),
    ("get_account_orders", {"account": LIVE}),
    ("get_account_trades", {"account": LIVE}),
    ("get_account_performance", {"account": LIVE}),
    ("get_account_transactions", {"account": LIVE, "symbol": "KO"}),
    ("search_contracts", {"query": "IBM"}),
    ("get_contract_details", {"symbol": "AAPL"}),
    ("get_contract_details", {"symbol": "EUR.USD"}),
    ("get_option_chain", {"symbol": "AAPL"}),
    ("get_price_snapshot", {"symbols": ["AAPL"]}),
    ("get_price_history", {"symbol": "AAPL"}),
    ("run_scanner", {"find": "gainers"}),
    ("run_scanner", {"type": "TOP_PERC_GAIN"}),
    ("get_watchlists", {}),
    ("get_notifications", {}),
    ("get_order_status", {"order_id": "1200000702"}),
    ("edit_watchlist", {"action": "create", "watchlist": "Chips", "symbols": ["NVDA"], "account": LIVE}),
    ("get_watchlists", {"watchlist": "Chips"}),
    ("edit_watchlist", {"action": "delete", "watchlist": "Chips", "account": LIVE}),
]


async def test_each_operation_is_asked_by_the_tool_that_is_named_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    call = GuardClient.call

    async def noted(self: GuardClient, operation: str, **given: Any) -> Any:
        asked.append(operation)
        return await call(self, operation, **given)

    monkeypatch.setattr(GuardClient, "call", noted)
    # The guard answers for the session by itself, and sends what a ticket stands for.
    by_guard = {
        "open_brokerage_session": "reopen_session",
        "place_orders": "submit_order",
        "modify_order": "submit_order",
    }
    seen = set(by_guard.items())
    async with agent(trading=tmp_path) as a:
        for tool, arguments in ORDERS_CALLS:
            asked.clear()
            await a.call(tool, **arguments)
            seen |= {(operation, tool) for operation in asked}
    async with agent("live", allow_writes=True) as a:
        for tool, arguments in CALLS:
            asked.clear()
            await a.call(tool, **arguments)
            seen |= {(operation, tool) for operation in asked}
        made = await a.read("edit_alert", **ALERT)
        alert = str(made.body["created"]["alert_id"])
        of_alert = [
            ("edit_alert", ALERT),
            ("get_alerts", {"alert_id": alert, "account": LIVE}),
            ("edit_alert", {"action": "activate", "alert_id": alert, "account": LIVE}),
            ("edit_alert", {"action": "delete", "alert_id": alert, "account": LIVE}),
        ]
        for tool, arguments in of_alert:
            asked.clear()
            await a.call(tool, **arguments)
            seen |= {(operation, tool) for operation in asked}
    assert set(TOOLS_OF.items()) - seen == set()


def test_every_operation_that_may_be_reached_says_how() -> None:
    for row in catalogue.load():
        may = row.status != "unsupported" and (row.effect in ("read", "write") or row.id in ORDERS)
        assert bool(reach(row)) == (may or row.id in TOOLS_OF), row.id
