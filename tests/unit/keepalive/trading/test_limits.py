"""Limits of orders: each one refuses what is beyond it, names its value and the order's, and lets the rest pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ib_keepalive.trading.facts import Price, Usage
from ib_keepalive.trading.intent import OrderIntent, read_cancel
from ib_keepalive.trading.limits import check, notional
from ib_keepalive.trading.policy import Policy, parse
from support.order_facts import (
    AAPL,
    ACCOUNT,
    BOND,
    CALL,
    ES,
    EUR,
    INSTRUMENTS,
    MSFT,
    PRICES,
    PUT,
    VOD,
    combination,
    facts,
    market,
    modify,
    place,
    policy,
    refused,
    ticket,
    working,
)


def results(read: Policy, order: OrderIntent, **known: Any) -> dict[str, bool]:
    return {each.limit: each.passed for each in check(read, order, facts(**known), Usage())}


# ---- modes and accounts


@pytest.mark.parametrize("mode", ["off", "preview"])
def test_off_and_preview_send_nothing(mode: str) -> None:
    assert results(policy(mode=mode), place(ticket()))["mode"] is False


@pytest.mark.parametrize("is_paper", [False, None])
def test_paper_takes_only_what_ibkr_calls_paper(*, is_paper: bool | None) -> None:
    assert results(policy(), place(ticket()))["mode"] is True
    assert results(policy(), place(ticket()), is_paper=is_paper)["mode"] is False


def test_live_takes_only_the_accounts_it_names() -> None:
    live = policy(mode="live", more='[live]\naccounts = ["U1234567"]')

    assert results(live, place(ticket(), account="U1234567"), is_paper=False)["live.accounts"] is True
    assert results(live, place(ticket()), is_paper=False)["live.accounts"] is False


@pytest.mark.parametrize("account", ["All", "DU7777777", "du0000001", "Family"])
def test_only_accounts_of_the_user_trade(account: str) -> None:
    assert results(policy(), place(ticket(), account=account))["accounts"] is False


def test_accounts_can_be_narrowed() -> None:
    narrowed = policy('accounts = ["U1234567"]')

    assert results(narrowed, place(ticket()))["accounts"] is False
    assert results(narrowed, place(ticket(), account="U1234567"))["accounts"] is True


def test_a_broken_policy_says_where_it_is_broken() -> None:
    (mode,) = [
        each
        for each in check(parse(b'mode = "paper"\nfoo = 1\n'), place(ticket()), facts(), Usage())
        if not each.passed
    ]

    assert mode.limit == "mode"
    assert "line 2, foo" in mode.sentence


# ---- lists


LISTS = {
    'symbols = ["AAPL"]': (ticket(MSFT), "symbols", "MSFT"),
    'symbols = ["MSFT", "AAPL@NYSE", "AAPL.EUR", "265598"]': (ticket(AAPL), "symbols", "AAPL"),
    'security_types = ["STK"]': (ticket(CALL), "security_types", "OPT"),
    'order_types = ["LMT"]': (market(), "order_types", "MKT"),
    'times_in_force = ["DAY"]': (ticket(tif="GTC"), "times_in_force", "GTC"),
    'sides = ["BUY"]': (ticket(side="SELL"), "sides", "SELL"),
}


@pytest.mark.parametrize("limit", LISTS)
def test_what_is_not_in_a_list_is_refused(limit: str) -> None:
    order, name, given = LISTS[limit]

    found = refused(place(order), limit)

    assert list(found) == [name]
    assert given in found[name].sentence
    assert all(str(value) in found[name].sentence for value in found[name].allowed)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["AAPL", "aapl", "AAPL@NASDAQ", "AAPL.USD", str(AAPL)])
def test_a_symbol_may_be_narrowed_to_an_exchange_a_currency_or_a_conid(name: str) -> None:
    assert not refused(place(ticket()), f'symbols = ["{name}"]')


def test_a_list_of_symbols_holds_for_every_way_of_naming_the_instrument() -> None:
    other = ticket(conidex=f"{MSFT}@NASDAQ") | {"conid": None}

    assert "symbols" in refused(place(other), 'symbols = ["AAPL"]')
    assert "symbols" in refused(place(ticket(PUT)), 'symbols = ["MSFT"]')


def test_every_leg_counts() -> None:
    spread = place(combination((AAPL, 1), (MSFT, -1)))

    assert "symbols" in refused(spread, 'symbols = ["AAPL"]')
    assert "sides" in refused(spread, 'sides = ["BUY"]')
    assert "security_types" in refused(place(combination((AAPL, 100), (CALL, -1))), 'security_types = ["STK"]')


def test_every_order_of_a_group_counts() -> None:
    group = place(ticket(isSingleGroup=True), ticket(MSFT, isSingleGroup=True))
    bracket = place(ticket(cOID="b"), market(side="SELL", parentId="b"))

    assert "symbols" in refused(group, 'symbols = ["AAPL"]')
    assert set(refused(bracket, 'sides = ["BUY"]\norder_types = ["LMT"]')) == {"sides", "order_types"}


def test_letter_case_gets_nothing_past_a_list() -> None:
    assert "sides" in refused(place(ticket(side="Sell")), 'sides = ["BUY"]')
    assert "order_types" in refused(place(market() | {"orderType": "mkt"}), 'order_types = ["LMT"]')
    assert "times_in_force" in refused(place(ticket(tif="gtc")), 'times_in_force = ["DAY"]')


@pytest.mark.parametrize(
    "lie", [{"secType": f"{CALL}:STK"}, {"secType": "STK"}, {"secType": f"{AAPL}@OPT"}, {"ticker": "AAPL"}]
)
def test_what_an_order_says_of_its_instrument_has_to_be_true(lie: dict[str, Any]) -> None:
    lies = ticket(MSFT if "ticker" in lie else CALL, **lie)

    assert "instrument" in refused(place(lies), 'symbols = ["AAPL", "MSFT"]')


@pytest.mark.parametrize("said", [{"secType": f"{AAPL}:STK"}, {"secType": f"{AAPL}@STK"}, {"ticker": "AAPL"}])
def test_what_an_order_says_truly_of_its_instrument_passes(said: dict[str, Any]) -> None:
    assert not refused(place(ticket(**said)), "")


def test_what_nobody_describes_is_refused() -> None:
    assert list(refused(place(ticket(5)), "")) == ["instrument"]
    assert list(refused(place(combination((AAPL, 1), (5, -1))), "")) == ["instrument"]


def test_a_type_of_order_whose_prices_nobody_knows_is_refused() -> None:
    assert "order_types" in refused(place(ticket(orderType="PEG MID")), "")


# ---- quantity and notional

QUANTITIES = {
    "units": (ticket(quantity=11), 11),
    "an amount of money": (market(quantity=None, cashQty=2200), 11),
    "an amount of money at a low limit": (ticket(quantity=None, cashQty=1100, price=100), 11),
    "legs": (combination((AAPL, 6), (MSFT, -1), quantity=2), 12),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_more_units_than_permitted_are_refused(name: str) -> None:
    order, units = QUANTITIES[name]

    found = refused(place(order), "quantity = 10")["quantity"]

    assert found.allowed == 10
    assert found.given == pytest.approx(units, rel=0.01)
    assert "10" in found.sentence
    assert not refused(place(order), "quantity = 13")


NOTIONALS = {
    "a limit bounds what is bought": (ticket(quantity=10, price=150), 1500),
    "what is sold may bring the market's price": (ticket(side="SELL", quantity=10, price=150), 2001),
    "a limit above the market bounds what is sold": (ticket(side="SELL", quantity=10, price=250), 2500),
    "the market": (market(quantity=10), 2001),
    "a stop above the market": (ticket(orderType="STP", price=220, quantity=10), 2200),
    "a trailing stop": (ticket(orderType="TRAIL", price=None, trailingAmt=10, trailingType="amt", quantity=10), 2101),
    "a trailing stop in percent": (
        ticket(orderType="TRAIL", price=None, trailingAmt=10, trailingType="%", quantity=10),
        2201.1,
    ),
    "a stop with a limit": (ticket(orderType="STOP_LIMIT", auxPrice=210, price=220, quantity=10), 2200),
    "an amount of money": (market(quantity=None, cashQty=3000), 3000),
    "an option": (ticket(CALL, price=9, quantity=2), 1800),
    "a written option by its strike": (ticket(PUT, side="SELL", price=9, quantity=2), 40_000),
    "a future": (ticket(ES, price=6000, quantity=2), 600_000),
    "pence": (ticket(VOD, price=80, quantity=1000), 1000),
    "a bond": (ticket(BOND, price=99, quantity=2), 1980),
    "a currency": (market(EUR, quantity=1000), 1100.1),
    "an amount of a currency, the dearer": (market(EUR, quantity=None, cashQty=1000), 1100),
    "a conversion": (market(EUR, quantity=None, fxQty=1000, isCcyConv=True), 1100),
    "all legs of a combination": (combination((AAPL, 1), (MSFT, -1), quantity=10, price=-200), 2001 + 4002),
    "a spread whose short leg is covered": (combination((CALL, 1), (CALL + 2, -1), price=8), 1020 + 210),
}


@pytest.mark.parametrize("name", NOTIONALS)
def test_a_larger_notional_than_permitted_is_refused(name: str) -> None:
    order, money = NOTIONALS[name]

    found = refused(place(order), f"notional = {money - 1}")["notional"]

    assert found.given == pytest.approx(money)
    assert "USD" in found.sentence
    assert not refused(place(order), f"notional = {money + 1}")
    assert notional(policy(), place(order), facts()) == pytest.approx(money)


def test_a_notional_equal_to_its_limit_passes_to_the_cent() -> None:
    assert not refused(place(ticket(quantity=3, price=0.1)), "notional = 0.3")


def test_an_option_that_is_held_is_sold_at_its_price() -> None:
    held = facts(positions={PUT: 2})

    assert refused(place(ticket(PUT, side="SELL", price=9, quantity=2)), "notional = 1", held)["notional"].given == 1800


def test_one_notional_is_not_split_into_a_group() -> None:
    both = [ticket(quantity=5, isSingleGroup=True), ticket(quantity=5, price=199, isSingleGroup=True)]

    assert refused(place(*both), "notional = 1500")["notional"].given == 1995
    assert refused(place(*both), "quantity = 9")["quantity"].given == 10


def test_one_notional_is_not_split_into_a_bracket() -> None:
    child = ticket(quantity=5, orderType="STP", price=210, parentId="b")

    found = refused(place(ticket(quantity=5, cOID="b"), child), "notional = 1500\nquantity = 9")

    assert (found["notional"].given, found["quantity"].given) == (2050, 10)


def test_what_ends_a_bracket_is_not_counted_twice() -> None:
    target = ticket(side="SELL", quantity=5, price=240, parentId="b")
    stop = ticket(side="SELL", quantity=5, orderType="STP", price=180, parentId="b")

    assert not refused(place(ticket(quantity=5, cOID="b"), target, stop), "notional = 1000\nquantity = 5")


def test_more_than_a_bracket_opens_is_counted() -> None:
    child = ticket(side="SELL", quantity=6, price=240, parentId="b")
    twice = [ticket(side="SELL", quantity=5, price=240 + n, parentId="b") for n in range(2)]

    for children in ([child], twice):
        assert "notional" in refused(place(ticket(quantity=5, cOID="b"), *children), "notional = 1000")


def test_a_target_and_a_stop_of_one_position_count_once() -> None:
    target = ticket(side="SELL", quantity=5, price=240, isSingleGroup=True)
    stop = ticket(side="SELL", quantity=5, orderType="STP", price=180, isSingleGroup=True)

    assert not refused(
        place(target, stop), "notional = 1200\nquantity = 5\nshort_selling = false", facts(positions={AAPL: 5})
    )


UNKNOWN = {
    "no price": (market(), {"prices": {}}, "no price"),
    "an old price": (market(), {"prices": PRICES | {AAPL: Price(61.0, last=PRICES[AAPL].last)}}, "61 s old"),
    "a price without figures": (market(), {"prices": PRICES | {AAPL: Price(1.0)}}, "no price"),
    "no rate": (ticket(VOD), {"rates": {}}, "no rate from GBP"),
    "no multiplier": (
        ticket(MSFT),
        {"instruments": {MSFT: replace(INSTRUMENTS[MSFT], multiplier=None)}},
        "multiplier",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_reckoned_is_refused(name: str) -> None:
    order, known, why = UNKNOWN[name]

    for limit in ("notional", "notional_per_day"):
        found = refused(place(order), f"{limit} = 1000000", facts(**known))[limit]
        assert found.given is None
        assert why in found.sentence
    assert notional(policy(), place(order), facts(**known)) is None
    assert not refused(place(order), "", facts(**known))


def test_the_oldest_price_is_the_owners_word() -> None:
    old = facts(prices=PRICES | {AAPL: Price(3000.0, last=PRICES[AAPL].last)})

    assert not refused(place(market()), "notional = 1000\nprice_age_s = 3600", old)


# ---- the market


DISTANCES = {
    "a purchase above the market": (ticket(price=220.11), 10),
    "a purchase below the market": (ticket(price=180.09), 10),
    "a sale below the market": (ticket(side="SELL", price=179.91), 10),
    "a stop that works at once": (ticket(orderType="STOP_LIMIT", auxPrice=100, price=220.11), 10),
    "a stop that works later": (ticket(orderType="STOP_LIMIT", auxPrice=300, price=330), 10),
    "a touch that works later": (ticket(orderType="LIT", auxPrice=100, price=110), 10),
    "a combination": (combination((AAPL, 1), (MSFT, -1), price=-139.89), 10),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_limit_far_from_the_market_is_refused(name: str) -> None:
    order, percent = DISTANCES[name]

    found = refused(place(order), f"price_distance_percent = {percent - 0.1}")["price_distance_percent"]

    assert found.given == pytest.approx(percent, rel=0.01)
    assert not refused(place(order), f"price_distance_percent = {percent + 0.1}")


def test_a_distance_needs_a_price_and_a_limit() -> None:
    assert "price_distance_percent" in refused(place(ticket()), "price_distance_percent = 5", facts(prices={}))
    assert not refused(place(market()), "price_distance_percent = 5", facts(prices={}))


def test_a_target_is_far_from_the_market_on_purpose() -> None:
    target = ticket(side="SELL", price=300, parentId="b")
    give_away = ticket(side="SELL", price=100, parentId="b")

    assert not refused(place(ticket(cOID="b"), target), "price_distance_percent = 5")
    assert "price_distance_percent" in refused(place(ticket(cOID="b"), give_away), "price_distance_percent = 5")


# ---- rates


def test_orders_a_minute_and_a_day() -> None:
    used = Usage(orders_per_minute=3, orders_per_day=9)

    assert not refused(place(ticket()), "orders_per_minute = 4\norders_per_day = 10", None, used)
    assert refused(place(ticket()), "orders_per_minute = 3", None, used)["orders_per_minute"].given == 4
    assert refused(place(ticket()), "orders_per_day = 9", None, used)["orders_per_day"].given == 10


def test_every_order_of_a_bracket_counts() -> None:
    bracket = place(ticket(cOID="b"), ticket(side="SELL", parentId="b"))

    assert "orders_per_minute" in refused(bracket, "orders_per_minute = 4", None, Usage(orders_per_minute=3))


def test_the_notional_of_a_day() -> None:
    used = Usage(notional_per_day=800)

    assert not refused(place(ticket()), "notional_per_day = 1000", None, used)
    assert refused(place(ticket()), "notional_per_day = 999", None, used)["notional_per_day"].given == 1000


# ---- changes


def test_a_change_is_held_against_every_limit() -> None:
    known = facts(pending=[working(AAPL, "BUY", 1)])
    larger = modify(ticket(quantity=20))

    assert set(refused(larger, "quantity = 10\nnotional = 1000", known)) == {"quantity", "notional"}
    assert "symbols" in refused(larger, 'symbols = ["MSFT"]', known)


def test_a_change_adds_what_it_enlarges() -> None:
    known = facts(pending=[working(AAPL, "BUY", 8, price=200)])

    assert refused(modify(ticket(quantity=10)), "notional_per_day = 1", known)["notional_per_day"].given == 400
    assert not refused(modify(ticket(quantity=5)), "notional_per_day = 1", known)


@pytest.mark.parametrize("other", [ticket(MSFT), ticket(side="SELL")])
def test_a_change_keeps_instrument_and_side(other: dict[str, Any]) -> None:
    assert "change" in refused(modify(other), "notional_per_day = 1000000", facts(pending=[working(AAPL, "BUY", 1)]))


def test_a_change_of_an_order_that_nobody_lists_counts_as_new() -> None:
    assert refused(modify(ticket(quantity=10)), "notional_per_day = 1")["notional_per_day"].given == 2000


# ---- what every refusal says


def test_a_refusal_names_the_limit_its_value_and_the_orders() -> None:
    sentence = refused(place(ticket(quantity=1500)), "quantity = 1000")["quantity"].sentence

    assert sentence == "quantity: the policy permits 1,000, and the order's is 1,500."
    assert ACCOUNT not in sentence


def test_a_cancellation_needs_only_mode_and_account() -> None:
    narrow = policy('symbols = ["MSFT"]\norders_per_day = 1')

    assert all(results(narrow, read_cancel(ACCOUNT, "7")).values())
    assert results(narrow, read_cancel(ACCOUNT, "-1"), is_paper=False)["mode"] is False
