"""How many bytes of a model's attention the commonest answers about an account take: the largest that each may be."""

from __future__ import annotations

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
)


@pytest.mark.parametrize(("tool", "arguments", "most"), MOST, ids=lambda value: str(value)[:60])
async def test_the_commonest_questions_have_short_answers(tool: str, arguments: dict[str, Any], most: int) -> None:
    async with agent() as a:
        answer = await a.read(tool, **arguments)
        assert len(answer.text.encode()) <= most
        if tool == "get_account_positions" and "group_by" not in arguments:
            assert answer.rows("positions")
