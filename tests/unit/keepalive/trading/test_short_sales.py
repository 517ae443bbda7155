"""Selling what is not held, and writing options without cover: counted with everything that may still be sold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ib_keepalive.trading.facts import Facts
from ib_keepalive.trading.intent import OrderIntent
from support.order_facts import (
    AAPL,
    CALL,
    ES,
    EUR,
    HIGH_CALL,
    LATER_CALL,
    MSFT,
    PUT,
    combination,
    facts,
    market,
    modify,
    place,
    refused,
    ticket,
    working,
)


def is_short(order: OrderIntent, known: Facts) -> bool:
    return "short_selling" in refused(order, "short_selling = false", known)


def is_naked(order: OrderIntent, known: Facts) -> bool:
    return "naked_options" in refused(order, "naked_options = false", known)


def sell(conid: int, quantity: float, **more: Any) -> OrderIntent:
    return place(market(conid, "SELL", quantity, **more))


def test_no_more_is_sold_than_is_held() -> None:
    assert not is_short(sell(AAPL, 10), facts(positions={AAPL: 10}))
    assert is_short(sell(AAPL, 11), facts(positions={AAPL: 10}))
    assert is_short(sell(AAPL, 1), facts())
    assert is_short(sell(AAPL, 1), facts(positions={AAPL: -5}))
    assert not is_short(place(market(quantity=1000)), facts())


def test_parts_of_a_unit_are_told_as_such() -> None:
    known = facts(positions={AAPL: Decimal("0.00402")})
    refusal = refused(sell(AAPL, 0.01), "short_selling = false", known)["short_selling"]
    assert "0.01 AAPL" in refusal.sentence
    assert "0.00402 are held" in refusal.sentence


def test_several_working_sales_count_together() -> None:
    known = facts(positions={AAPL: 10}, pending=[working(AAPL, "SELL", 4), working(AAPL, "SELL", 4, "8")])

    assert not is_short(sell(AAPL, 2), known)
    assert is_short(sell(AAPL, 3), known)


def test_working_purchases_and_other_instruments_give_nothing_to_sell() -> None:
    assert is_short(sell(AAPL, 1), facts(pending=[working(AAPL, "BUY", 10)]))
    assert is_short(sell(AAPL, 1), facts(positions={MSFT: 10}))


def test_an_amount_of_money_sells_as_many_as_it_may_come_to() -> None:
    assert is_short(place(market(AAPL, "SELL", None, cashQty=2200)), facts(positions={AAPL: 10}))
    assert not is_short(place(market(AAPL, "SELL", None, cashQty=1800)), facts(positions={AAPL: 10}))


def test_a_bracket_sells_what_it_bought() -> None:
    entry = ticket(quantity=10, cOID="b")
    target = ticket(side="SELL", quantity=10, price=240, parentId="b")
    stop = ticket(side="SELL", quantity=10, orderType="STP", price=180, parentId="b")

    assert not is_short(place(entry, target, stop), facts())
    assert is_short(place(entry, target, target | {"price": 250}), facts())
    assert is_short(place(entry, target | {"quantity": 11}), facts())
    assert is_short(place(entry, market(MSFT, "SELL", 10, parentId="b")), facts())


def test_a_lone_child_of_an_earlier_order_sells_what_is_held() -> None:
    assert is_short(sell(AAPL, 10, parentId="earlier"), facts(pending=[working(AAPL, "BUY", 10)]))


def test_a_group_sells_once() -> None:
    target = ticket(side="SELL", quantity=10, price=240, isSingleGroup=True)
    stop = ticket(side="SELL", quantity=10, orderType="STP", price=180, isSingleGroup=True)
    known = facts(positions={AAPL: 10})

    assert not is_short(place(target, stop), known)
    assert is_short(place(target, target), known)
    assert is_short(place(target, market(AAPL, "SELL", 1, isSingleGroup=True)), known)


def test_a_change_sells_no_more_than_is_held() -> None:
    known = facts(positions={AAPL: 10}, pending=[working(AAPL, "SELL", 6, "7"), working(AAPL, "SELL", 4, "8")])

    assert not is_short(modify(ticket(side="SELL", quantity=6, price=210)), known)
    assert is_short(modify(ticket(side="SELL", quantity=7)), known)


def test_the_legs_of_a_combination_count() -> None:
    pair = place(combination((AAPL, 1), (MSFT, -2), quantity=5))

    assert is_short(pair, facts(positions={MSFT: 9}))
    assert not is_short(pair, facts(positions={MSFT: 10}))
    assert is_short(place(combination((AAPL, 1), (MSFT, -1), side="SELL")), facts(positions={MSFT: 10}))


def test_a_future_that_is_sold_anew_is_a_short_sale() -> None:
    assert is_short(sell(ES, 1), facts())
    assert not is_short(sell(ES, 1), facts(positions={ES: 1}))


def test_selling_a_currency_is_none() -> None:
    assert not is_short(sell(EUR, 1000), facts())


def test_what_was_not_read_is_refused() -> None:
    assert is_short(sell(AAPL, 1), facts(positions=None))
    assert is_short(sell(AAPL, 1), facts(positions={AAPL: 5}, pending=None))
    assert is_naked(sell(CALL, 1), facts(positions=None))
    assert is_naked(sell(CALL, 1), facts(positions={CALL: 5}, pending=None))


def test_an_option_is_sold_or_covered() -> None:
    assert is_naked(sell(CALL, 1), facts())
    assert not is_naked(sell(CALL, 2), facts(positions={CALL: 2}))
    assert is_naked(sell(CALL, 3), facts(positions={CALL: 2}))
    assert not is_naked(place(market(CALL, "BUY", 5)), facts())
    assert not is_naked(sell(CALL, 1), facts(positions={AAPL: 100}))
    assert is_naked(sell(CALL, 2), facts(positions={AAPL: 199}))
    assert is_naked(sell(CALL, 1), facts(positions={MSFT: 100}))
    assert is_naked(sell(CALL, 1), facts(positions={PUT: 1}))


def test_a_put_is_covered_by_puts_only() -> None:
    assert is_naked(sell(PUT, 1), facts(positions={AAPL: 100}))
    assert not is_naked(sell(PUT, 1), facts(positions={PUT: 1}))


def test_a_later_option_covers_an_earlier_one_and_not_the_other_way() -> None:
    assert not is_naked(sell(CALL, 1), facts(positions={LATER_CALL: 1}))
    assert is_naked(sell(LATER_CALL, 1), facts(positions={CALL: 1}))
    assert not is_naked(place(combination((LATER_CALL, 1), (CALL, -1))), facts())
    assert is_naked(place(combination((LATER_CALL, 1), (CALL, -1), side="SELL")), facts())


def test_a_spread_covers_itself_as_far_as_it_goes() -> None:
    assert not is_naked(place(combination((CALL, 1), (HIGH_CALL, -1))), facts())
    assert not is_naked(place(combination((CALL, 1), (HIGH_CALL, -1), side="SELL")), facts())
    assert is_naked(place(combination((CALL, 1), (HIGH_CALL, -2))), facts())
    assert not is_naked(place(combination((AAPL, 100), (CALL, -1))), facts())
    assert is_naked(place(combination((AAPL, 99), (CALL, -1))), facts())
    assert is_naked(place(combination((CALL, 1), (PUT, -1))), facts())


def test_cover_counts_once() -> None:
    known = facts(positions={AAPL: 100, CALL: -1})
    assert is_naked(sell(HIGH_CALL, 1), known)

    promised = facts(positions={AAPL: 100}, pending=[working(CALL, "SELL", 1)])
    assert is_naked(sell(HIGH_CALL, 1), promised)


def test_cover_is_not_sold_away() -> None:
    assert is_naked(sell(AAPL, 1), facts(positions={AAPL: 100, CALL: -1}))
    assert not is_naked(sell(AAPL, 50), facts(positions={AAPL: 150, CALL: -1}))
    assert is_naked(sell(CALL, 1), facts(positions={CALL: 1, HIGH_CALL: -1}))
    assert is_naked(sell(HIGH_CALL, 1), facts(positions={AAPL: 100}, pending=[working(AAPL, "SELL", 1)]))


def test_what_somebody_wrote_elsewhere_forbids_nothing_else() -> None:
    known = facts(positions={CALL: -5, MSFT: 10})

    assert not is_naked(sell(MSFT, 10), known)
    assert not is_naked(place(market(CALL, "BUY", 2)), known)
    assert is_naked(sell(CALL, 1), known)


def test_a_change_of_a_written_option_that_is_no_larger_passes() -> None:
    known = facts(pending=[working(CALL, "SELL", 2)])

    assert not is_naked(modify(ticket(CALL, "SELL", 2, price=11)), known)
    assert is_naked(modify(ticket(CALL, "SELL", 3, price=11)), known)


def test_two_spreads_of_a_group_cover_one_another_not() -> None:
    spread = combination((CALL, 1), (HIGH_CALL, -1)) | {"isSingleGroup": True}
    other = combination((PUT, 1), (HIGH_CALL, -1)) | {"isSingleGroup": True}

    assert is_naked(place(spread, other), facts())


def test_cover_that_one_option_gains_is_none_for_another() -> None:
    # As a bracket that waits for its entry is listed: sales of what is not held yet.
    known = facts(pending=[working(CALL, "SELL", 3)])

    assert is_naked(place(combination((CALL, 1), (PUT, -1))), known)
    assert is_naked(place(combination((CALL, 1), (LATER_CALL, -1))), known)
    assert not is_naked(place(combination((CALL, 1), (HIGH_CALL, -1))), known)


def test_a_brackets_entry_is_not_made_smaller_than_what_ends_it() -> None:
    entry, target = working(AAPL, "BUY", 5, "1"), working(AAPL, "SELL", 5, "2")
    stop = working(AAPL, "SELL", 5, "3", kind="STP")
    known = facts(pending=[entry, target, stop])

    assert is_short(modify(ticket(quantity=4), "1"), known)
    assert not is_short(modify(ticket(quantity=5, price=210), "1"), known)
    assert not is_short(modify(ticket(quantity=4), "1"), facts(pending=[entry]))
    assert not is_short(modify(ticket(quantity=4), "1"), facts(positions={AAPL: 5}, pending=[entry, target, stop]))
