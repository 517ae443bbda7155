"""How many bytes of a model's attention the commonest answers take: the largest that each may be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.agent import agent

pytestmark = pytest.mark.looptime

# Of the simulator's paper account, which holds some 280 positions in ten currencies.
MOST: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("list_accounts", {}, 200),
    ("get_account_summary", {}, 800),
    ("get_account_balances", {}, 2500),
    ("get_account_positions", {"limit": 20}, 4000),
    ("get_account_positions", {"sort": "value", "limit": 10}, 3000),
    ("get_account_positions", {"sort": "daily_pnl", "limit": 10}, 3000),
    ("get_account_positions", {"expires_within_days": 30, "limit": 15}, 3000),
    ("get_account_positions", {"symbol": "AAPL"}, 3000),
    ("get_account_positions", {"group_by": "class"}, 1500),
    ("get_account_positions", {"group_by": "currency"}, 1500),
    ("get_account_positions", {"group_by": "sector"}, 2000),
    ("get_account_positions", {"group_by": "underlying", "limit": 20}, 2000),
    ("get_account_orders", {}, 2500),
    ("get_account_trades", {}, 2000),
    ("get_account_performance", {"period": "YTD"}, 800),
    ("get_account_performance", {"period": "1Y", "rows": "monthly", "benchmark": "SPY"}, 2000),
    ("get_account_transactions", {"symbol": "AAPL", "days": 90}, 2000),
    ("get_price_snapshot", {"symbols": ["AAPL"]}, 500),
    ("get_price_snapshot", {"symbols": ["AAPL", "MSFT", "NVDA", "AMZN", "TSLA", "META", "NFLX", "IBM"]}, 1700),
    ("get_price_snapshot", {"symbols": ["AAPL", "MSFT", "NVDA"], "fields": ["upcoming_earnings", "delta"]}, 700),
    ("get_price_history", {"symbol": "AAPL"}, 1700),
    ("get_price_history", {"symbol": "NVDA", "period": "1y"}, 15000),
    ("get_price_history", {"symbol": ["AAPL", "MSFT", "NVDA", "IBM"], "period": "1m"}, 2200),
    ("get_option_chain", {"symbol": "AAPL"}, 700),
    ("get_option_chain", {"symbol": "AAPL", "greeks": True}, 1800),
    ("get_option_chain", {"symbol": ["AAPL", "MSFT", "NVDA", "TSLA", "META"], "days": "30-45", "delta": 0.3}, 2500),
    ("get_contract_details", {"symbol": "AAPL"}, 500),
    ("get_contract_details", {"symbol": "NYSE", "hours": True}, 1100),
    ("search_contracts", {"query": "AAPL"}, 400),
    ("run_scanner", {}, 1700),
)


@pytest.mark.parametrize(("tool", "arguments", "most"), MOST, ids=lambda value: str(value)[:60])
async def test_the_commonest_questions_have_short_answers(tool: str, arguments: dict[str, Any], most: int) -> None:
    async with agent() as a:
        answer = await a.read(tool, **arguments)
        assert len(answer.text.encode()) <= most
        if tool == "get_account_positions" and "group_by" not in arguments:
            assert answer.rows("positions")


@pytest.mark.parametrize(("trading", "most"), [(False, 12_000), (True, 16_000)])
async def test_all_tools_with_their_arguments_are_described_in_few_kilobytes(trading: bool, most: int) -> None:
    async with agent(None, settings={"trading": trading}) as a:
        tools = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in await a.client.list_tools()]
        assert len(json.dumps(tools, separators=(",", ":")).encode()) <= most
