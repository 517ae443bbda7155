"""What is wrong with an order by the contract's rules, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ib_mcp.trading.contract_rules import parse, problems
from ib_mcp.trading.order import Order

Make = Callable[..., Order]
ACCOUNT = "DU0000001"
STOCK = {
    "orderTypes": ["limit", "market", "stop", "stop_limit", "midprice"],
    "orderTypesOutside": ["limit", "stop_limit"],
    "ibAlgoTypes": ["limit"],
    "fraqTypes": ["market", "limit"],
    "fraqInt": 4,
    "cqtTypes": ["market", "limit"],
    "tifTypes": ["IOC/MARKET,LIMIT,a", "GTC/o,a", "OPG/LIMIT,a", "DAY/o,a"],
    "sizeIncrement": 100,
    "incrementRules": [{"lowerEdge": 0.0, "increment": 0.0001}, {"lowerEdge": 1.0, "increment": 0.01}],
    "canTradeAcctIds": [ACCOUNT],
    "overnightEligible": True,
    "error": None,
}
COIN = STOCK | {"sizeIncrement": 0.00000001, "fraqTypes": [], "fraqInt": 0}


def said(order: Order, **changed: Any) -> str:
    return " ".join(problems(order, parse(STOCK | changed), ACCOUNT))


@pytest.mark.parametrize(
    "words",
    [
        {"limit": "240.01"},
        {"limit": "0.1234"},
        {"limit": 240, "tif": "OVT"},
        {"limit": 240, "outside_hours": True},
        {"type": "market", "quantity": "0.0001", "tif": "IOC"},
        {"type": "market", "cash": "99.99"},
        {"type": "market", "quantity": 3},
        {"limit": 240, "algo": "Adaptive"},
    ],
)
def test_what_the_rules_allow(order: Make, words: dict[str, Any]) -> None:
    assert said(order(**words)) == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"limit": "240.005"}, "limit 240.005 is not a multiple of the price increment 0.01: give 240.00 or 240.01."),
        ({"limit": "0.12345"}, "give 0.1234 or 0.1235"),
        ({"type": "mit", "stop": 230}, "takes no market if touched order for AAPL; it takes market, limit, stop"),
        ({"type": "market", "outside_hours": True}, "not taken outside regular hours; only limit, stop_limit are"),
        ({"type": "stop", "stop": 250, "tif": "IOC"}, "IOC is not taken with a stop order, only with market, limit"),
        ({"type": "market", "tif": "OPG"}, "OPG is not taken with a market order"),
        ({"limit": 1, "tif": "PAX"}, "takes no PAX for AAPL; it takes DAY, GTC, IOC, OPG, OVT, OND"),
        ({"type": "stop", "stop": 250, "quantity": "1.5"}, "in whole units of 1; give 1 or 2"),
        ({"type": "stop", "stop": 250, "quantity": "0.5"}, "the least is 1"),
        ({"type": "market", "quantity": "0.00005"}, "in steps of 0.0001; the least is 0.0001"),
        ({"type": "stop", "stop": 250, "cash": 100}, "not taken for a stop order in AAPL; with market, limit it is"),
        ({"type": "market", "algo": "Vwap"}, "take no market order; they take limit"),
    ],
)
def test_what_ibkr_would_refuse_is_told_with_what_it_takes(order: Make, words: dict[str, Any], sentence: str) -> None:
    assert sentence in said(order(**words))


def test_all_that_is_wrong_is_told_at_once(order: Make) -> None:
    found = problems(order(limit="240.005", quantity="1.00005", tif="PAX"), parse(STOCK), ACCOUNT)
    assert len(found) == 3


def test_a_coin_is_traded_in_its_smallest_part(order: Make) -> None:
    assert problems(order(quantity="0.00000003", type="market"), parse(COIN), ACCOUNT) == []
    (only,) = problems(order(quantity="0.000000015", type="market"), parse(COIN), ACCOUNT)
    assert "0.00000001 or 0.00000002" in only


def test_of_a_combination_ibkr_itself_says_what_it_does_not_take(order: Make) -> None:
    legs = ["1 AAPL 20261218 C 280", "-1 AAPL 20261218 C 290"]
    assert said(order(legs=legs, limit="0.123")) == ""
    assert "in whole units" in said(order(legs=legs, limit=1, quantity="1.5"))


def test_an_instrument_or_account_that_may_not_trade(order: Make) -> None:
    assert said(order(type="market"), error="No trading permission") == (
        "IBKR takes no orders for AAPL: No trading permission."
    )
    assert "DU0000009 may" in said(order(type="market"), canTradeAcctIds=["DU0000009"])


def test_an_answer_without_rules_forbids_nothing(order: Make) -> None:
    assert problems(order(limit="240.005", quantity=1, tif="OVT"), parse({}), ACCOUNT) == []
