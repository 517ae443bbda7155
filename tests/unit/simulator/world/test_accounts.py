"""Accounts and holdings: ambiguity on the live side, every asset class, nothing expired."""

from __future__ import annotations

import pytest

from ib_simulator.world import World
from ib_simulator.world.market import today
from support.simulator import FRIDAY, LIVE, PAPER, SAVINGS, utc


def test_the_paper_user_has_one_account_and_the_live_user_two() -> None:
    assert [account.id for account in World(7, "paper").accounts] == [PAPER]
    assert [account.id for account in World(7, "live").accounts] == [LIVE, SAVINGS]


def test_positions_are_of_every_class() -> None:
    world = World(7, "paper")
    kinds = {holding.contract.kind for holding in world.holdings(world.accounts[0], FRIDAY)}
    assert kinds >= {"STK", "OPT", "FUT", "CASH", "BOND", "CRYPTO"}


@pytest.mark.parametrize("seed", [1, 7, 99])
@pytest.mark.parametrize(
    "moment", ["2026-01-02 15:00:00", "2026-11-30 23:00:00", "2027-03-31 04:30:00", "2030-06-15 12:00:00"]
)
def test_nothing_held_has_expired(seed: int, moment: str) -> None:
    world = World(seed, "paper")
    for holding in world.holdings(world.accounts[0], utc(moment)):
        if holding.contract.is_derivative:
            assert holding.contract.expires_at > utc(moment)


def test_a_month_keeps_its_holdings_whenever_they_are_asked_for() -> None:
    early, late = World(7, "paper"), World(7, "paper")
    first = early.holdings(early.accounts[0], utc("2027-03-01 12:00:00"))
    second = late.holdings(late.accounts[0], utc("2027-03-31 23:30:00"))
    assert first == second


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_an_account_is_worth_its_cash_and_positions(mode: str) -> None:
    world = World(7, "paper" if mode == "paper" else "live")
    for account in world.accounts:
        value = world.valuation(account, FRIDAY)
        assert value.net_liquidation == pytest.approx(value.cash + value.market_value + value.accrued_interest())
        assert value.net_liquidation > value.maintenance_margin > 0
        assert len(account.cash) == 3
        for row in value.rows:
            contract = row.holding.contract
            assert row.value == pytest.approx(row.holding.quantity * row.price * contract.multiplier)
            assert row.unrealized == pytest.approx(
                row.holding.quantity * contract.multiplier * (row.price - row.holding.cost)
            )


def test_trades_fall_into_trading_hours() -> None:
    world = World(7, "paper")
    found = world.trades(world.accounts[0], FRIDAY, 7)
    assert len(found) > 5
    assert found == sorted(found, key=lambda trade: trade.at, reverse=True)
    for trade in found:
        assert trade.at <= FRIDAY
        assert trade.contract.market.is_open(trade.at)
        assert (today(FRIDAY) - today(trade.at)).days < 7
