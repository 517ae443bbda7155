"""IBKR's tickets of what agents write: one for each type of order, and the groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.trading.order import Order
from ib_mcp.trading.order_types import TYPES
from ib_mcp.trading.tickets import bracket, ticket_of, tickets_of
from ibkr.errors import InvalidRequest
from support.order_words import TYPE_CASES

Make = Callable[..., Order]
ACCOUNT = "DU0000001"


def ticket(order: Order) -> dict[str, Any]:
    """Without what is the same in all of them."""
    made = ticket_of(order, ACCOUNT, "desk")
    assert made.pop("acctId") == ACCOUNT
    return made


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_its_prices_where_ibkr_wants_them(order: Make, name: str) -> None:
    words, expected = TYPE_CASES[name]
    made = ticket(order(type=name, **words))
    assert made == {"conid": 265598, "side": "BUY", "quantity": 10, "tif": "DAY"} | expected


@pytest.mark.parametrize("name", TYPES)
def test_prices_that_are_missing_or_do_not_belong_are_refused(order: Make, name: str) -> None:
    words, _ = TYPE_CASES[name]
    for price in ("limit", "stop", "trail"):
        if price in TYPES[name].needs:
            with pytest.raises(InvalidRequest, match=rf"needs .*{price}"):
                order(type=name, **{key: value for key, value in words.items() if key != price})
        elif price not in TYPES[name].may:
            with pytest.raises(InvalidRequest, match=rf"takes no {price}"):
                order(type=name, **words, **{price: 250})


def test_a_trailing_stop_may_say_where_it_begins(order: Make) -> None:
    made = ticket(order(type="trailing", trail=2, stop=235))
    assert (made["price"], made["trailingAmt"], made["trailingType"]) == (235, 2, "amt")


def test_a_stop_limit_sends_both_prices_as_numbers(order: Make) -> None:
    made = json.dumps(ticket(order(type="stop_limit", stop="250.10", limit="251.00")))
    assert '"price": 251,' in made
    assert '"auxPrice": 250.1,' in made


@pytest.mark.parametrize("amount", ["0.1", "123456789.123456", "0.00000001", "1000000"])
def test_numbers_are_sent_as_they_were_given(order: Make, amount: str) -> None:
    assert Decimal(json.dumps(ticket(order(quantity=amount, type="market"))["quantity"])) == Decimal(amount)


def test_money_instead_of_units(order: Make) -> None:
    made = ticket(order(cash="500.5", type="market"))
    assert made["cashQty"] == 500.5
    assert "quantity" not in made


def test_a_conversion_spends_or_buys_an_amount(order: Make) -> None:
    pair = {"symbol": "EUR.USD", "type": "market", "convert": True}
    base = {"conid": 12087792, "orderType": "MKT", "side": "BUY", "tif": "DAY", "isCcyConv": True}
    assert ticket(order(**pair, cash=1000)) == base | {"fxQty": 1000}
    assert ticket(order(**pair, quantity=1000)) == base | {"quantity": 1000}
    for wrong, hint in (
        ({"side": "SELL", "cash": 5}, "that of EUR"),
        ({"type": "limit", "limit": 1.1}, "at the market only"),
        ({"symbol": "AAPL"}, "Only a currency pair"),
    ):
        with pytest.raises(InvalidRequest, match=hint):
            order(**{**pair, **wrong})


def test_a_future_says_that_a_machine_sent_it(order: Make) -> None:
    made = ticket(order(symbol="ES 202612", quantity=1, type="market"))
    assert made["manualIndicator"] is False
    assert made["extOperator"] == "desk"
    assert "manualIndicator" not in ticket(order(type="market"))


def test_a_named_exchange_is_kept_and_everything_else_routed(order: Make) -> None:
    assert ticket(order(symbol="AAPL on IEX", type="market"))["conidex"] == "265598@IEX"
    assert ticket(order(symbol="HSBA@LSE", type="market"))["conid"] == 8001


def test_an_algo_comes_with_its_parameters(order: Make) -> None:
    made = ticket(order(limit=240, algo="Adaptive", algo_parameters={"adaptivePriority": "Patient"}))
    assert made["strategy"] == "Adaptive"
    assert made["strategyParameters"] == {"adaptivePriority": "Patient"}


def test_a_spread_is_named_by_its_legs(order: Make) -> None:
    legs = ["1 AAPL 20261218 C 280", "SELL 1 AAPL 20261218 C 290"]
    made = ticket(order(legs=legs, quantity=2, limit="-1.25", outside_hours=True))
    assert made["conidex"] == "28812380;;;7001/1,7002/-1"
    assert "conid" not in made
    assert (made["price"], made["outsideRTH"]) == (-1.25, True)


@pytest.mark.parametrize(
    ("legs", "hint"),
    [
        (["1 AAPL"], "2 to 6 legs"),
        (["AAPL", "1 HSBA@LSE"], "cannot be read"),
        (["0 AAPL", "1 HSBA@LSE"], "cannot be read"),
        (["2 AAPL 20261218 C 280", "-2 AAPL 20261218 C 290"], "common divisor 2"),
        (["1 AAPL", "-2 AAPL"], "same instrument"),
    ],
)
def test_legs_that_make_no_combination(order: Make, legs: list[str], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        order(legs=legs, type="market")


@pytest.mark.parametrize(
    ("legs", "hint"),
    [
        (["1 AAPL", "-1 HSBA@LSE"], "several currencies: GBP, USD"),
        (["1 SAP@IBIS", "-1 ALV@IBIS"], "no way to trade combinations in EUR"),
        (["1 HSBA@LSE", "-1 VUSA@SETS"], "several exchanges"),
    ],
)
def test_combinations_that_ibkr_cannot_trade(order: Make, legs: list[str], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        ticket(order(legs=legs, type="market"))


def test_a_combination_abroad_names_its_exchange(order: Make) -> None:
    made = ticket(order(legs=["1 HSBA@LSE", "-1 BP.@LSE"], type="market"))
    assert made["conidex"] == "58666491@LSE;;;8001/1,8002/-1"


def test_a_bracket_closes_what_it_opens(order: Make) -> None:
    orders = bracket(order(limit=240, tif="GTC", outside_hours=True), Decimal(262), Decimal("231.5"))
    parent, profit, loss = tickets_of(orders, "bracket", ACCOUNT, "desk", "brk-42")
    shared = {"acctId": ACCOUNT, "conid": 265598, "quantity": 10, "tif": "GTC"}
    extended = {"outsideRTH": True}
    assert parent == {**shared, **extended, "orderType": "LMT", "side": "BUY", "price": 240, "cOID": "brk-42"}
    assert profit == {**shared, **extended, "orderType": "LMT", "side": "SELL", "price": 262, "parentId": "brk-42"}
    assert loss == {**shared, "orderType": "STP", "side": "SELL", "price": 231.5, "parentId": "brk-42"}


@pytest.mark.parametrize(
    ("words", "profit", "loss", "hint"),
    [
        ({"limit": 240}, 235, None, "take_profit 235 has to be above"),
        ({"limit": 240}, None, 245, "stop_loss 245 has to be below"),
        ({"limit": 240, "side": "SELL"}, 245, None, "take_profit 245 has to be below"),
        ({"type": "market"}, 200, 210, "take_profit has to be above stop_loss"),
        ({"type": "market", "cash": 500}, 300, None, "needs quantity"),
    ],
)
def test_a_bracket_the_wrong_way_round(
    order: Make, words: dict[str, Any], profit: int | None, loss: int | None, hint: str
) -> None:
    prices = [None if price is None else Decimal(price) for price in (profit, loss)]
    with pytest.raises(InvalidRequest, match=hint):
        bracket(order(**words), *prices)


def test_a_group_of_which_one_cancels_all(order: Make) -> None:
    orders = [order(limit=240), order(type="stop", stop=260)]
    made = tickets_of(orders, "oca", ACCOUNT, "desk", "unused")
    assert [each["isSingleGroup"] for each in made] == [True, True]
    assert not any("cOID" in each or "parentId" in each for each in made)


def test_an_index_cannot_be_traded(order: Make) -> None:
    with pytest.raises(InvalidRequest, match="SPX is an index") as refused:
        order(symbol="SPX", type="market")
    assert "ES 202612" in refused.value.action


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"quantity": 1, "cash": 1, "type": "market"}, "either quantity"),
        ({"type": "trailing", "trail": "a little"}, "trail 'a little'"),
        ({"type": "trailing", "trail": "0"}, "trail '0'"),
        ({"type": "trailing", "trail": "100%"}, "100% or more"),
        ({"type": "relative", "trail": "2%"}, "not percent"),
        ({"limit": -5}, "above 0"),
        ({"limit": 5, "algo_parameters": {"a": 1}}, "belong to an algo"),
    ],
)
def test_orders_without_sense(order: Make, words: dict[str, Any], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        order(**words)
