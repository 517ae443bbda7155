"""What an order is worth, and whose mistake a sentence is about."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.trading.cautions import Market
from ib_mcp.trading.contract_rules import parse
from ib_mcp.trading.in_words import roles
from ib_mcp.trading.order import Order
from ib_mcp.trading.preview import notional
from ib_mcp.trading.tickets import bracket

Make = Callable[..., Order]
MARKET = Market(bid=Decimal(10), ask=Decimal(11))
OPTION, OTHER = "AAPL 20261218 C 280", "AAPL 20261218 C 290"


@pytest.mark.parametrize(
    ("words", "magnifier", "worth"),
    [
        ({"limit": 9}, None, 90),
        ({"type": "stop", "stop": 12}, None, 120),
        ({"type": "market"}, None, 110),
        ({"type": "market", "side": "SELL"}, None, 100),
        ({"type": "midprice", "limit": 50}, None, 110),
        ({"type": "market", "cash": 77}, None, 77),
        ({"symbol": "HSBA@LSE", "limit": 650}, 100, 65),
        ({"symbol": OPTION, "limit": 2, "quantity": 3}, None, 600),
        ({"legs": [f"1 {OPTION}", f"-1 {OTHER}"], "limit": "-1.5", "quantity": 2}, None, 300),
        ({"legs": ["100 AAPL", f"-1 {OPTION}"], "limit": 270}, None, None),
    ],
)
def test_an_order_is_worth_what_it_would_be_filled_at(
    order: Make, words: dict[str, Any], magnifier: int | None, worth: int | None
) -> None:
    assert notional(order(**words), MARKET, parse({"priceMagnifier": magnifier})) == worth


def test_a_sentence_names_the_order_that_it_is_about(order: Make) -> None:
    parent = order(limit=240)
    assert roles(bracket(parent, Decimal(250), Decimal(230)), "bracket") == ["", "take_profit: ", "stop_loss: "]
    assert roles([parent, parent], "oca") == ["", "oca 1: "]
