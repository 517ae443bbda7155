"""A change of a working order: the whole ticket again, with what is different."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.trading.modification import Change, changed, changed_ticket, order_of, sent_ticket, told_ticket
from ib_mcp.trading.order import Order
from ib_mcp.trading.order_types import TYPES
from ib_mcp.trading.tickets import ticket_of
from ibkr.errors import InvalidRequest
from support.order_words import KNOWN, TYPE_CASES

Make = Callable[..., Order]
ACCOUNT, OPERATOR = "DU0000001", "desk"
BY_CONID = {contract.conid: contract for contract in KNOWN.values() if not contract.asked_exchange}


@pytest.mark.parametrize("name", TYPES)
def test_a_ticket_is_read_back_as_the_order_that_it_came_from(order: Make, name: str) -> None:
    words, _ = TYPE_CASES[name]
    made = order(type=name, tif="GTC", **words)
    assert order_of(ticket_of(made, ACCOUNT, OPERATOR), BY_CONID) == made


@pytest.mark.parametrize(
    "words",
    [
        {"cash": 500, "type": "market"},
        {"symbol": "ES 202612", "limit": 6500, "outside_hours": True},
        {"symbol": "AAPL on IEX", "limit": 5},
        {"symbol": "EUR.USD", "type": "market", "convert": True, "cash": 5},
        {"legs": ["1 AAPL 20261218 C 280", "-1 AAPL 20261218 C 290"], "limit": "-0.5"},
        {"limit": 5, "algo": "Adaptive", "algo_parameters": {"adaptivePriority": "Urgent"}},
    ],
)
def test_what_is_not_changed_stays(order: Make, words: dict[str, Any]) -> None:
    was = order(**words)
    before = ticket_of(was, ACCOUNT, OPERATOR) | {"cOID": "own", "parentId": "parent"}
    read = order_of(before, BY_CONID)
    becomes = changed(read, Change(tif="GTC"), Decimal(0))
    expected = {name: value for name, value in before.items() if name != "cOID"} | {"tif": "GTC"}
    assert changed_ticket(before, read, becomes, ACCOUNT, OPERATOR) == expected


def test_what_is_changed_is_in_the_new_ticket(order: Make) -> None:
    was = order(type="stop_limit", stop=250, limit=251, outside_hours=True)
    before = ticket_of(was, ACCOUNT, OPERATOR)
    change = Change(quantity=Decimal(4), limit=Decimal(253), stop=Decimal(252), outside_hours=False)
    after = changed_ticket(before, was, changed(was, change, Decimal(3)), ACCOUNT, OPERATOR)
    assert (after["quantity"], after["price"], after["auxPrice"]) == (4, 253, 252)
    assert "outsideRTH" not in after


@pytest.mark.parametrize(
    ("words", "change", "hint"),
    [
        ({"limit": 5}, Change(), "Nothing is to be changed"),
        ({"limit": 5}, Change(quantity=Decimal(3)), "3 are filled already"),
        ({"limit": 5}, Change(trail="1"), "takes no trail"),
        ({"cash": 5, "type": "market"}, Change(quantity=Decimal(9)), "amount of money"),
    ],
)
def test_changes_that_cannot_be(order: Make, words: dict[str, Any], change: Change, hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        changed(order(**words), change, Decimal(3))


def test_the_ticket_that_was_sent_last_is_the_one_that_counts() -> None:
    first, profit = {"cOID": "p", "quantity": 1}, {"parentId": "p", "quantity": 1}
    placed = {"kind": "place", "orders": [first, profit], "outcome": {"orders": [{"order_id": "1"}, {"order_id": "2"}]}}
    change = {"kind": "modify", "order_id": "1", "orders": [{"quantity": 5}], "outcome": None}
    assert sent_ticket([change, placed], "1") == {"quantity": 5}
    assert sent_ticket([change, placed], "2") == profit
    assert sent_ticket([change, placed], "3") is None


STATUS = {
    "order_type": "LIMIT",
    "total_size": "25",
    "conid": 265598,
    "side": "S",
    "tif": "GTC",
    "limit_price": "1,299.10",
}


def test_an_order_from_elsewhere_is_read_from_its_status() -> None:
    assert told_ticket(STATUS | {"outside_rth": True}, ACCOUNT, "7") == {
        "acctId": ACCOUNT, "conid": 265598, "orderType": "LMT", "side": "SELL", "quantity": 25, "tif": "GTC",
        "price": 1299.1, "outsideRTH": True,
    }  # fmt: skip
    stop = told_ticket(STATUS | {"order_type": "STP", "limit_price": "", "stop_price": "250"}, ACCOUNT, "7")
    assert (stop["orderType"], stop["price"]) == ("STP", 250)


@pytest.mark.parametrize("odd", [{"order_type": "TRAIL"}, {"total_size": "0"}, {"conidex": "28812380;;;1/1,2/-1"}])
def test_an_order_that_ibkr_does_not_tell_whole_is_not_changed(odd: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="does not tell all of it"):
        told_ticket(STATUS | odd, ACCOUNT, "7")
