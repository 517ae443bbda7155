"""What IBKR's answers and lists say about an order; what they do not say is not guessed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ib_keepalive.trading.entries import Entry, unwritten
from ib_keepalive.trading.intent import read_cancel, read_modify, read_place
from ib_keepalive.trading.outcome import Outcome, Question, is_registered, read_placed
from ib_keepalive.trading.sightings import Sighting, recognise

ORDER: dict[str, Any] = {
    "conid": 265598, "orderType": "LMT", "side": "BUY", "quantity": 10, "price": 100.0, "tif": "GTC", "cOID": "a",
}  # fmt: skip
CHILD = {name: value for name, value in ORDER.items() if name != "cOID"} | {"side": "SELL", "parentId": "a"}
ROW = {"orderId": 17, "order_ref": "a", "conid": 265598, "side": "BUY", "status": "Submitted", "totalSize": 10.0,
       "filledQuantity": 0.0, "remainingQuantity": 10.0, "price": "100.00"}  # fmt: skip


def entry(kind: str, *orders: dict[str, Any]) -> Entry:
    intents = {
        "place": lambda: read_place("DU1234567", list(orders)),
        "modify": lambda: read_modify("DU1234567", "17", orders[0]),
        "cancel": lambda: read_cancel("DU1234567", "17"),
        "cancel_all": lambda: read_cancel("DU1234567", "-1"),
    }
    intent = intents[kind]()
    return replace(unwritten(intent, 1), orders=tuple(dict(order) for order in intent.orders), state="unknown")


def seen(made: Entry, *rows: dict[str, Any], trades: Any = (), is_last: bool = False) -> str | None:
    outcome = recognise(made, Sighting(rows, trades), is_last=is_last)
    return None if outcome is None else outcome.outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Submitted", "working"),
        ("PreSubmitted", "working"),
        ("PendingSubmit", "working"),
        ("Filled", "filled"),
        ("Inactive", "rejected"),
        ("Cancelled", "cancelled"),
        ("NewWord", "working"),
    ],
)
def test_an_answer_with_an_order_is_its_outcome(status: str, outcome: str) -> None:
    heard = read_placed([{"order_id": "17", "order_status": status, "encrypt_message": "1"}], ["a"])
    assert isinstance(heard, Outcome)
    assert (heard.outcome, heard.orders[0].order_id, heard.orders[0].client_order_id) == (outcome, "17", "a")


def test_questions_prompts_and_refusals_are_told_apart() -> None:
    asked = read_placed([{"id": "u-1", "message": ["Sure?"], "messageIds": ["o163"], "messageOptions": ["Yes"]}], ["a"])
    assert isinstance(asked, Question)
    assert (asked.reply_id, asked.message_ids, asked.text) == ("u-1", ("o163",), "Sure?")
    prompt = read_placed(
        {"orderId": 17, "reqId": "9", "text": "Use it?", "options": ["Yes", "No"], "prompt": True, "messageId": "p12"},
        ["a"],
    )
    assert isinstance(prompt, Question)
    assert (prompt.prompt, prompt.message_ids) == ({"orderId": 17, "reqId": "9"}, ("p12",))
    refused = read_placed({"error": "No margin"}, ["a"])
    assert isinstance(refused, Outcome)
    assert (refused.outcome, refused.message) == ("rejected", "IBKR: No margin")
    assert is_registered({"error": "Order couldn't be submitted: Local order ID=a is already registered."})


@pytest.mark.parametrize("body", [[], {}, None, "done", [3], [{"status": "fine"}]])
def test_an_answer_that_says_nothing_is_no_outcome(body: Any) -> None:
    assert read_placed(body, ["a"]) is None


def test_a_bracket_keeps_which_answer_is_whose() -> None:
    rows = [{"order_id": str(number), "order_status": "Submitted"} for number in (17, 18, 19)]
    heard = read_placed(rows, ["a", None, None])
    assert isinstance(heard, Outcome)
    assert [(o.client_order_id, o.order_id) for o in heard.orders] == [("a", "17"), (None, "18"), (None, "19")]


def test_a_lost_order_is_known_by_its_id_in_orders_or_executions_only() -> None:
    lost = entry("place", ORDER)
    assert seen(lost, ROW) == "working"
    assert seen(lost, {**ROW, "status": "Filled", "filledQuantity": 10.0, "remainingQuantity": 0.0}) == "filled"
    assert seen(lost, {**ROW, "filledQuantity": 4.0, "remainingQuantity": 6.0}) == "partly_filled"
    assert seen(lost, trades=[{"order_ref": "a", "size": 10.0}]) == "filled"
    assert seen(lost, {**ROW, "order_ref": "b"}) is None
    assert seen(lost, {**ROW, "order_ref": "b"}, is_last=True) == "not_placed"


def test_the_children_of_a_lost_bracket_are_found_beside_their_parent() -> None:
    children = [{**ROW, "orderId": number, "side": "SELL", "order_ref": None} for number in (18, 19, 5)]
    outcome = recognise(entry("place", ORDER, CHILD, CHILD), Sighting([ROW, *children], ()), is_last=False)
    assert outcome is not None
    assert [order.order_id for order in outcome.orders] == ["17", "18", "19"]


def test_a_lost_change_is_known_by_what_the_order_is_now() -> None:
    lost = entry("modify", {**ORDER, "price": 99.0})
    assert seen(lost, ROW) is None
    assert seen(lost, {**ROW, "price": "99.00"}) == "working"
    unchanged = recognise(lost, Sighting([ROW], ()), is_last=True)
    assert unchanged is not None
    assert "not made" in unchanged.message


def test_a_lost_cancellation_is_known_by_the_status_of_the_order() -> None:
    lost, everything = entry("cancel"), entry("cancel_all")
    assert seen(lost, ROW) is None
    assert seen(lost, {**ROW, "status": "PendingCancel"}) == "cancelled"
    assert seen(lost, {**ROW, "status": "Filled", "remainingQuantity": 0.0}) == "filled"
    assert seen(lost, ROW, is_last=True) == "working"
    assert seen(everything, ROW) is None
    assert seen(everything, {**ROW, "status": "Cancelled"}) == "cancelled"
    assert seen(everything, ROW, is_last=True) == "working"
