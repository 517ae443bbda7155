"""Orders in words, as a person approves them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.trading.in_words import describe, describe_all
from ib_mcp.trading.order import Order
from ib_mcp.trading.tickets import bracket
from ib_mcp.trading.wording import OrderWords, group_of
from ibkr.errors import InvalidRequest

Make = Callable[..., Order]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"limit": "240.50"}, "BUY 10 AAPL, limit 240.50 USD, for the day"),
        ({"type": "market", "cash": 500}, "BUY AAPL for 500 USD, at the market, for the day"),
        (
            {"type": "stop", "stop": 230, "side": "SELL", "tif": "GTC"},
            "SELL 10 AAPL, stop at 230 USD, then at the market, until cancelled",
        ),
        ({"type": "lit", "stop": 230, "limit": 229}, "limit if touched at 230 USD, then limit 229 USD"),
        ({"type": "trailing", "trail": "2%"}, "trailing stop 2% behind the market, then at the market"),
        ({"type": "midprice", "limit": 241}, "at the midprice, at most 241 USD"),
        ({"limit": 240, "outside_hours": True}, "for the day, also outside regular hours"),
        (
            {"limit": 240, "algo": "Adaptive", "algo_parameters": {"adaptivePriority": "Urgent"}},
            "by IBKR's algo Adaptive (adaptivePriority Urgent)",
        ),
        (
            {"symbol": "EUR.USD", "type": "market", "convert": True, "cash": 1000},
            "BUY EUR for 1000 USD (currency conversion)",
        ),
        (
            {"legs": ["1 AAPL 20261218 C 280", "-1 AAPL 20261218 C 290"], "limit": 3, "quantity": 2},
            "BUY 2 x (+1 AAPL 20261218 C 280 -1 AAPL 20261218 C 290), limit 3 USD",
        ),
    ],
)
def test_an_order_is_told_whole(order: Make, words: dict[str, Any], told: str) -> None:
    assert told in describe(order(**words))


def test_pence_are_called_pence(order: Make) -> None:
    assert "limit 650 GBP/100" in describe(order(symbol="HSBA@LSE", limit=650), "GBP/100")


def test_a_group_says_what_each_is_to_the_others(order: Make) -> None:
    lines = describe_all(bracket(order(limit=240), Decimal(250), Decimal(230)), "bracket")
    assert lines[1].startswith("once that is filled: SELL 10 AAPL, limit 250")
    assert describe_all([order(limit=1)], "oca")[0].startswith("one cancels all: ")


def test_other_orders_of_a_group_are_as_the_first_where_they_say_nothing() -> None:
    first = OrderWords(symbol="AAPL", side="SELL", quantity=10, limit=260, tif="GTC")
    _, second, third = group_of(first, [{"type": "stop", "stop": 230}, {"symbol": "MSFT", "cash": 5, "limit": 3}])
    assert second == OrderWords(symbol="AAPL", side="SELL", quantity=10, type="stop", stop=230, tif="GTC")
    assert third == OrderWords(symbol="MSFT", side="SELL", cash=5, limit=3, tif="GTC")
    with pytest.raises(InvalidRequest, match="Order 1 of oca: price"):
        group_of(first, [{"price": 5}])


def test_words_are_read_as_models_write_them() -> None:
    read = OrderWords(symbol="AAPL", side="buy", quantity="10", type="Stop Limit", stop=1, limit=2, tif="gtc")
    assert (read.side, read.type, read.tif, read.quantity) == ("BUY", "stop_limit", "GTC", Decimal(10))
