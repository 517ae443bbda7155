"""IBKR's bodies as facts: what is missing or odd becomes unknown, and errs to the side of refusing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ib_keepalive.trading.readings import (
    read_accounts,
    read_base,
    read_instruments,
    read_is_paper,
    read_pending,
    read_positions,
    read_prices,
    read_rate,
    with_divisor,
)
from ibkr.session import Mode


def test_groups_and_the_account_of_all_are_no_accounts() -> None:
    body = {"accounts": ["U1111111", "U2222222", "All", "Family"], "groups": ["Family"]}

    assert read_accounts(body) == {"U1111111", "U2222222"}


@pytest.mark.parametrize("body", [None, [], {}, {"accounts": "U1111111"}, {"accounts": [None, 5, {}]}])
def test_no_accounts_are_none(body: Any) -> None:
    assert read_accounts(body) == frozenset()


@pytest.mark.parametrize(
    ("told", "mode", "expected"),
    [
        (True, "paper", True),
        (True, "unknown", True),
        (None, "paper", True),
        (True, "live", False),
        (False, "paper", False),
        (False, "unknown", False),
        (None, "unknown", None),
        ("true", "unknown", None),
    ],
)
def test_paper_is_what_nobody_denies(told: object, mode: Mode, expected: bool | None) -> None:
    assert read_is_paper({"isPaper": told}, mode) is expected


def test_the_base_currency_is_that_of_the_account() -> None:
    body = [{"accountId": "U1", "currency": "EUR"}, {"accountId": "U2", "currency": "USD"}]

    assert (read_base(body, "U2"), read_base(body, "U3"), read_base(None, "U2")) == ("USD", "", "")


def test_a_rate_is_above_nothing() -> None:
    assert read_rate({"rate": 1.25}) == Decimal("1.25")
    assert [read_rate(body) for body in ({"rate": 0}, {"rate": -1}, {"rate": None}, {}, None)] == [None] * 5


def instrument(**more: Any) -> Any:
    row = {"conid": 1, "ticker": "AAPL", "assetClass": "STK", "currency": "USD", "multiplier": 0.0, "expiry": None}
    return next(read_instruments({"secdef": [row | more]}), None)


def test_an_instrument_is_as_ibkr_describes_it() -> None:
    option = instrument(
        assetClass="OPT", multiplier=100.0, putOrCall="C", strike="250", expiry="20270115", undConid=265598
    )

    assert (option.multiplier, option.right, option.strike) == (100, "C", 250)
    assert (option.maturity, option.underlying) == ("20270115", 265598)
    assert instrument().multiplier == 1


def test_a_derivative_without_a_multiplier_has_none() -> None:
    assert instrument(assetClass="FUT").multiplier is None
    assert instrument(assetClass="OPT", multiplier="?").multiplier is None


@pytest.mark.parametrize("gap", [{"conid": None}, {"ticker": None}, {"assetClass": ""}, {"currency": 5}])
def test_what_is_not_described_in_full_is_no_instrument(gap: dict[str, Any]) -> None:
    assert instrument(**gap) is None


def test_the_divisor_of_pence_is_told_by_the_order_rules() -> None:
    pence = instrument(currency="GBP")

    assert pence.divisor is None
    assert with_divisor(pence, {"priceMagnifier": 100}).divisor == 100
    assert with_divisor(pence, {"rules": {"priceMagnifier": 100}}).divisor == 100
    assert with_divisor(pence, {}).divisor == 1
    assert with_divisor(pence, None).divisor is None
    assert instrument(currency="GBP", assetClass="CASH").divisor == 1
    assert instrument(assetClass="FUT", multiplier=50).divisor is None


NOW = 1_800_000_000.0


def price(**more: Any) -> Any:
    row = {"conid": 1, "_updated": (NOW - 5) * 1000, "6509": "RpB", "31": "200.5", "84": "200", "86": "201"}
    return read_prices([row | more], since_s=0.5, wall=NOW).get(1)


def test_a_price_has_its_age() -> None:
    assert (price().age_s, price().last, price().bid, price().ask) == (5.0, Decimal("200.5"), 200, 201)
    assert price(_updated=NOW * 1000).age_s == 0.5
    assert price(_updated=(NOW + 60) * 1000).age_s == 0.5


@pytest.mark.parametrize("letters", ["DPB", "Y"])
def test_delayed_prices_are_that_much_older(letters: str) -> None:
    assert price(**{"6509": letters}).age_s == 905


def test_the_close_of_the_day_before_is_a_day_old() -> None:
    assert price(**{"31": "C200", "84": "-1", "86": "0"}).age_s > 86400
    assert (price(**{"31": "C200"}).age_s, price(**{"31": "C200"}).last) == (5, None)


def test_what_is_not_offered_is_no_price() -> None:
    nothing = price(**{"84": "-1", "86": "0.00", "31": ""})

    assert (nothing.bid, nothing.ask, nothing.last) == (None, None, None)
    assert read_prices([{"conid": 1, "31": "5"}], since_s=0, wall=NOW) == {}
    assert read_prices(None, since_s=0, wall=NOW) == {}


def test_positions_of_models_add_up() -> None:
    assert read_positions([{"conid": "1", "position": 5}, {"conid": 1, "position": -2.5}]) == {1: Decimal("2.5")}
    assert read_positions([]) == {}


@pytest.mark.parametrize("body", [None, {}, [{"conid": 1}], [{"conid": "x", "position": 1}], [[]], [{"position": 1}]])
def test_positions_that_cannot_be_read_are_unknown(body: Any) -> None:
    assert read_positions(body) is None


def order(**more: Any) -> dict[str, Any]:
    row = {
        "acct": "U1", "orderId": 7, "conid": 1, "side": "SELL", "remainingQuantity": 4.0, "totalSize": 10.0,
        "status": "Submitted", "origOrderType": "LMT", "price": "200.00", "order_ref": "mine",
    }  # fmt: skip
    return row | more


def test_an_order_that_works_is_pending() -> None:
    (one,) = read_pending({"orders": [order()]}, "U1") or []

    assert (one.conid, one.side, one.remaining, one.total) == (1, "SELL", 4, 10)
    assert (one.order_id, one.order_type, one.price, one.client_order_id) == ("7", "LMT", 200, "mine")


@pytest.mark.parametrize("status", ["Filled", "Cancelled", "Inactive"])
def test_what_is_done_is_not_pending(status: str) -> None:
    assert read_pending({"orders": [order(status=status)]}, "U1") == []


@pytest.mark.parametrize("status", ["PendingCancel", "PreCancelled", "PendingSubmit", "WarnState", "", None])
def test_what_may_still_be_filled_is_pending(status: object) -> None:
    assert len(read_pending({"orders": [order(status=status)]}, "U1") or []) == 1


def test_orders_of_other_accounts_do_not_count() -> None:
    assert read_pending({"orders": [order(acct="U2")]}, "U1") == []


def test_an_order_for_money_may_sell_any_number() -> None:
    (one,) = read_pending({"orders": [order(totalCashSize=500.0)]}, "U1") or []

    assert one.remaining == Decimal("Infinity")
    assert one.total == 0


def test_the_legs_of_a_combination_are_pending_each() -> None:
    row = order(conidex="28812380;;;11/1,22/-2", conid=28812380, side="SELL", remainingQuantity=3, totalSize=3)

    legs = read_pending({"orders": [row]}, "U1") or []

    assert [(leg.conid, leg.side, leg.remaining) for leg in legs] == [(11, "SELL", 3), (22, "BUY", 6)]


@pytest.mark.parametrize("body", [None, [], {}, {"orders": None}])
def test_no_list_of_orders_is_unknown(body: Any) -> None:
    assert read_pending(body, "U1") is None
