"""Warnings in words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.trading import cautions
from ib_mcp.trading.cautions import Market
from ib_mcp.trading.contract_rules import parse
from ib_mcp.trading.order import Order
from ib_mcp.trading.tickets import bracket

Make = Callable[..., Order]
OPEN: dict[str, Any] = {"timing": "live", "is_open": True, "bid": Decimal(240), "ask": Decimal("240.1")}
SHUT = OPEN | {"is_open": False, "is_open_extended": False, "next_open": 1795617000.0}


def of_market(order: Order, **more: Any) -> str:
    return " ".join(cautions.of_market(order, Market(**OPEN | more)))


def test_a_quiet_order_gets_no_warning(order: Make) -> None:
    assert of_market(order(limit=239)) == ""
    assert list(cautions.of_position(order(limit=239), Decimal(0))) == []


@pytest.mark.parametrize(
    ("words", "more", "sentence"),
    [
        ({"limit": "240.1"}, {}, "at or above the ask, 240.1: it would be filled at once"),
        ({"limit": 240, "side": "SELL"}, {}, "at or below the bid, 240:"),
        ({"limit": 200}, {}, "is 16.7% below the market, 240.05"),
        ({"type": "stop", "stop": 239}, {}, "the stop 239 would be triggered at once"),
        ({"type": "stop", "stop": 241, "side": "SELL"}, {}, "triggered at once"),
        ({"type": "mit", "stop": 241}, {}, "triggered at once"),
        ({"type": "stop", "stop": 300}, {}, "The stop 300 is 25.0% above the market"),
        ({"type": "market"}, {}, "filled at whatever price"),
        ({"limit": 239}, {"timing": "delayed"}, "delayed by 15 to 20 minutes"),
        ({"limit": 239}, {"timing": "not_subscribed"}, "no market-data subscription"),
        ({"limit": 239}, {"age_s": 300.0}, "300 s old"),
        ({"limit": 239}, {"bid": None, "ask": None}, "no price at present"),
        (
            {"limit": 239},
            SHUT,
            "The market is closed: the order waits until it opens. It opens at 2026-11-25T14:30:00Z.",
        ),
        ({"limit": 239, "tif": "IOC"}, SHUT, "an IOC order is cancelled at once"),
        ({"limit": 239}, SHUT | {"is_open_extended": True}, "works in regular hours only"),
        ({"limit": 239, "outside_hours": True}, SHUT | {"is_open_extended": True}, "prices are thin"),
    ],
)
def test_hours_and_prices(order: Make, words: dict[str, Any], more: dict[str, Any], sentence: str) -> None:
    assert sentence in of_market(order(**words), **more)


@pytest.mark.parametrize(
    ("words", "held", "sentence"),
    [
        ({"side": "SELL", "type": "market"}, 4, "10 are sold and 4 held: this sells short (-6 after it)"),
        ({"side": "SELL", "type": "market"}, None, "may sell short"),
        ({"side": "SELL", "type": "market", "cash": 50}, 0, "Nothing is held"),
        ({"type": "market"}, -4, "short position of -4 into a long one of 6"),
        ({"side": "SELL", "symbol": "AAPL 20261218 C 280", "type": "market"}, 0, "writes options"),
    ],
)
def test_positions(order: Make, words: dict[str, Any], held: int | None, sentence: str) -> None:
    known = None if held is None else Decimal(held)
    assert sentence in " ".join(cautions.of_position(order(**words), known))


def test_the_order_itself(order: Make) -> None:
    rules = parse({"sizeIncrement": 100})
    assert "best-effort" in " ".join(cautions.of_order(order(cash=500, type="market"), rules))
    assert "regular hours only" in " ".join(cautions.of_order(order(quantity="1.5", type="market"), rules))
    assert "steps of 100" in " ".join(cautions.of_order(order(symbol="HSBA@LSE", limit=5), rules))
    assert list(cautions.of_order(order(limit=5), rules)) == []
    coins = order(symbol="BTC", quantity="0.5", limit=5)
    assert list(cautions.of_order(coins, rules)) == []


def test_a_bracket_that_ends_with_the_day_or_has_one_side(order: Make) -> None:
    day = bracket(order(limit=240), Decimal(250), None)
    assert list(cautions.of_group(day, "bracket")) == [
        "The closing orders end with the day: with GTC the position stays protected.",
        "The bracket has no stop_loss.",
    ]
    assert not list(cautions.of_group(bracket(order(limit=240, tif="GTC"), Decimal(250), Decimal(230)), "bracket"))
