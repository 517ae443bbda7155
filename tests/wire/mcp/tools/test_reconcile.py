"""What the tools tell of one account adds up, in its base currency and from their answers alone."""

from __future__ import annotations

from typing import Any

import pytest

from ib_simulator.app import Simulator
from ib_simulator.world.accounts import ACCOUNTS, UserKey
from support.agent import Agent, agent

pytestmark = pytest.mark.looptime

# Columns of the balances, and the classes of positions that make them up.
COLUMNS = {
    ("stocks",): ("STK",),
    ("options",): ("OPT",),
    ("future_options",): ("FOP",),
    ("bonds", "treasury_bonds", "treasury_bills"): ("BOND", "BILL"),
    ("funds", "money_funds"): ("FUND",),
    ("commodities",): ("CMDTY",),
    ("warrants",): ("WAR", "IOPT"),
    ("crypto",): ("CRYPTO",),
}
BESIDE = {"currency", "net_liquidation", "settled_cash", "futures_pnl", "unrealized_pnl", "realized_today"}
EVERY = [(user, account.id) for user, accounts in ACCOUNTS.items() for account in accounts]


def _at_one_moment(simulator: Simulator) -> None:
    """Prices do not move between the calls; nor would IBKR's windows of pacing, so that there are none."""
    simulator.clock.run(1e-6)
    simulator.limits.enabled = False


async def _everything(a: Agent, account: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Balances, positions and summary."""
    balances = (await a.read("get_account_balances", account=account)).body
    positions = (await a.read("get_account_positions", account=account, limit=1000)).rows("positions")
    return balances, positions, (await a.read("get_account_summary", account=account)).body


@pytest.mark.parametrize(("user", "account"), EVERY)
async def test_balances_positions_and_summary_of_every_account_agree(user: UserKey, account: str) -> None:
    async with agent(user, prepare=_at_one_moment) as a:
        balances, positions, summary = await _everything(a, account)
        total = balances["total"]
        worth = total["net_liquidation"]
        # Each position and each column is rounded to a cent.
        cents = 0.02 * len(positions) + 0.05

        assert sum(amount for name, amount in total.items() if name not in BESIDE) == pytest.approx(worth, abs=0.01)
        assert summary["figures"]["net_liquidation"] == pytest.approx(worth, abs=0.05)
        assert summary["figures"]["cash"] == pytest.approx(total["cash"], abs=0.05)
        assert summary["currency"] == balances["base_currency"]
        assert total["unrealized_pnl"] == pytest.approx(
            (await a.read("get_account_positions", account=account)).body["totals"]["unrealized_pnl"], abs=cents
        )

        for columns, kinds in COLUMNS.items():
            held = sum(row["base_value"] for row in positions if row["class"] in kinds)
            assert held == pytest.approx(sum(total.get(column, 0) for column in columns), abs=cents), columns
        # Contracts for difference have no column: only their profit counts.
        assert total.get("other", 0) == pytest.approx(await _profit_of_cfds(a, account), abs=cents)


async def _profit_of_cfds(a: Agent, account: str) -> float:
    answer = await a.read("get_account_positions", account=account, asset_class="CFD")
    profit: float = answer.body["totals"].get("unrealized_pnl", 0.0)
    return profit


@pytest.mark.parametrize(("user", "account"), EVERY)
async def test_currencies_make_up_the_whole_and_positions_their_columns(user: UserKey, account: str) -> None:
    async with agent(user, prepare=_at_one_moment) as a:
        answer = await a.read("get_account_balances", account=account)
        rows = answer.rows("balances")
        worth = answer.body["total"]["net_liquidation"]
        assert sum(row["in_base"] for row in rows) == pytest.approx(worth, rel=1e-6, abs=1.0)
        assert sum(row["share"] for row in rows) == pytest.approx(1, abs=0.001)
        for row in rows:
            parts = sum(amount for name, amount in row.items() if name in answer.body["total"] and name not in BESIDE)
            assert parts == pytest.approx(row["net_liquidation"], abs=0.01), row["currency"]


@pytest.mark.parametrize(("user", "account"), EVERY)
async def test_value_is_position_times_price_times_multiplier(user: UserKey, account: str) -> None:
    async with agent(user, prepare=_at_one_moment) as a:
        answer = await a.read("get_account_positions", account=account, limit=1000)
        for row in answer.rows("positions"):
            value = row["position"] * row["price"] * row["multiplier"]
            assert value == pytest.approx(row["value"], rel=0.001, abs=0.02), row
        grouped = await a.read("get_account_positions", account=account, group_by="currency")
        for name in ("value", "unrealized_pnl"):
            parts = sum(row[name] or 0 for row in grouped.rows("groups"))
            assert parts == pytest.approx(answer.body["totals"][name], abs=0.5)
