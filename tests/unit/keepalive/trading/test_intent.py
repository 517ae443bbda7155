"""Orders are read strictly: what no limit could see, or what IBKR would read otherwise, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ib_keepalive.trading.intent import read_cancel, read_modify, read_place
from ibkr.errors import InvalidRequest

ORDER: dict[str, Any] = {
    "acctId": "DU0000001", "conid": 265598, "orderType": "LMT", "side": "BUY", "quantity": 3, "price": 151.25,
    "tif": "DAY", "cOID": "mine-1",
}  # fmt: skip


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in ORDER.items() if name not in names} | changes


def test_an_order_keeps_what_it_was_given() -> None:
    intent = read_place("DU0000001", [ORDER], caller="anna", sign_in=4)

    assert intent.orders == (ORDER,)
    assert intent.client_order_ids == ("mine-1",)
    assert (intent.kind, intent.caller, intent.sign_in) == ("place", "anna", 4)


def test_account_and_side_are_written_as_the_broker_writes_them() -> None:
    intent = read_place("DU0000001", [without("acctId", side="Sell")])

    assert intent.orders[0]["acctId"] == "DU0000001"
    assert intent.orders[0]["side"] == "SELL"


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (without("conid"), "conid or by conidex"),
        (without(conidex="265598@NASDAQ"), "one of them"),
        (without(conid="265598"), "whole number"),
        (without(conid=True), "whole number"),
        (without(side="HOLD"), "BUY or SELL"),
        (without("quantity"), "exactly one of"),
        (without(cashQty=100), "exactly one of"),
        (without(quantity="3"), "must be a number"),
        (without(quantity=-3), "above 0"),
        (without(quantity=float("inf")), "must be a number"),
        (without(price="151.25"), "must be a number"),
        (without("orderType"), "needs orderType"),
        (without(outsideRTH="yes"), "true or false"),
        (without(Quantity=900), "IBKR writes quantity"),
        (without(acctId="DU0000002"), "account of the address"),
        (without(allocationMethod="AvailableEquity"), "other accounts"),
        (without(customerAccount="U7777777"), "other accounts"),
        (without(cOID="x" * 65), "1 to 64"),
        (without(cOID=7), "1 to 64"),
        ("buy", "JSON object"),
    ],
)
def test_what_is_wrong_is_named(order: Any, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_place("DU0000001", [order])

    assert words in refused.value.message


def test_a_bracket_goes_together_and_its_children_get_no_id_of_their_own() -> None:
    child = without("cOID", parentId="mine-1", side="SELL")

    intent = read_place("DU0000001", [ORDER, child, child]).with_client_order_ids(lambda: "made")

    assert [order.get("cOID") for order in intent.orders] == ["mine-1", None, None]


def test_each_order_of_a_group_gets_an_id() -> None:
    made = iter(["a", "b"])
    grouped = without("cOID", isSingleGroup=True)

    intent = read_place("DU0000001", [grouped, grouped]).with_client_order_ids(lambda: next(made))

    assert intent.client_order_ids == ("a", "b")


def test_unrelated_orders_do_not_go_together() -> None:
    with pytest.raises(InvalidRequest, match="only as a bracket"):
        read_place("DU0000001", [ORDER, without(cOID="mine-2")])
    with pytest.raises(InvalidRequest):
        read_place("DU0000001", [])


def test_a_change_and_a_cancellation_name_an_order() -> None:
    assert read_modify("DU0000001", "17", ORDER).order_id == "17"
    assert read_cancel("DU0000001", "17").kind == "cancel"
    assert read_cancel("DU0000001", "-1").kind == "cancel_all"
    for order_id in ("-1", "x", ""):
        with pytest.raises(InvalidRequest):
            read_modify("DU0000001", order_id, ORDER)
    with pytest.raises(InvalidRequest):
        read_cancel("DU0000001", "-2")
