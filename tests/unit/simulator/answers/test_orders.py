"""Orders: rejections, questions one after another, fills, changes, and reading them back."""

from __future__ import annotations

from typing import Any

import pytest

from ib_simulator.world import World
from support.simulator import AAPL, LIVE, PAPER, SAVINGS, Asker, utc

PATH = {"accountId": PAPER}
FAR = {"conid": AAPL, "orderType": "LMT", "side": "BUY", "quantity": 5, "price": 150.0, "tif": "DAY"}
MARKET = {"conid": AAPL, "orderType": "MKT", "side": "BUY", "quantity": 5, "tif": "DAY"}


def place(ask: Asker, ticket: dict[str, Any], **more: Any) -> Any:
    return ask("place_orders", path=PATH, body={"orders": [ticket | more]})


def confirmed(ask: Asker, answer: Any) -> Any:
    """Say yes until there is no question left."""
    while isinstance(answer, list) and "id" in answer[0]:
        answer = ask("answer_order_question", path={"replyId": answer[0]["id"]}, body={"confirmed": True})
    return answer


def live_orders(ask: Asker, **query: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask.twice("list_live_orders", **query)["orders"]
    return found


def test_questions_come_one_after_another_until_the_order_is_placed() -> None:
    ask = Asker()
    first = place(ask, FAR, cOID="mine-1")
    assert first[0]["messageIds"] == ["o163"]
    second = ask("answer_order_question", path={"replyId": first[0]["id"]}, body={"confirmed": True})
    assert second[0]["messageIds"] == ["o354"]
    placed = ask("answer_order_question", path={"replyId": second[0]["id"]}, body={"confirmed": True})[0]
    assert placed["order_status"] == "Submitted"
    row = next(row for row in live_orders(ask) if row.get("order_ref") == "mine-1")
    assert (row["orderId"], row["status"], row["price"]) == (int(placed["order_id"]), "Submitted", "150.00")


def test_another_order_call_makes_a_question_void() -> None:
    ask = Asker()
    question = place(ask, FAR)[0]
    place(ask, FAR)
    body = ask("answer_order_question", path={"replyId": question["id"]}, body={"confirmed": True})
    assert ask.status == 400
    assert body == {"error": f"reply id not found: '{question['id']}'"}


def test_some_questions_are_prompts_whose_answer_tells_nothing() -> None:
    ask = Asker()
    ask("suppress_order_questions", body={"messageIds": ["o163", "o354"]})
    for text, placed in (("Cancel", 0), ("Submit", 1)):
        ask.world.orders.more_questions = [("p12", "Let IBKR manage the price?")]
        prompt = place(ask, FAR, cOID=f"prompt-{text}")
        assert (prompt["prompt"], prompt["messageId"], prompt["options"]) == (True, "p12", ["Submit", "Cancel"])
        ask("answer_order_question", path={"replyId": prompt["reqId"]}, body={"confirmed": True})
        assert ask.status == 400
        prompt = place(ask, FAR, cOID=f"prompt-{text}")
        answer = {"orderId": prompt["orderId"], "reqId": prompt["reqId"], "text": text}
        assert ask("answer_order_prompt", body=answer) == "Notification was processed"
        assert len([row for row in live_orders(ask) if row.get("order_ref") == f"prompt-{text}"]) == placed


def test_a_declined_order_is_discarded() -> None:
    ask = Asker()
    before = len(live_orders(ask))
    question = place(ask, FAR)[0]
    assert "error" in ask("answer_order_question", path={"replyId": question["id"]}, body={"confirmed": False})
    assert len(live_orders(ask)) == before


def test_suppressed_questions_are_not_asked_in_this_session() -> None:
    ask = Asker()
    ask("suppress_order_questions", body={"messageIds": ["o163", "o354"]})
    assert "order_id" in place(ask, FAR)[0]
    ask("reset_suppressed_questions")
    assert "id" in place(ask, FAR)[0]
    ask("suppress_order_questions", body={"messageIds": [f"o{number}" for number in range(52)]})
    assert ask.status == 400


def test_market_data_answers_the_question_about_it() -> None:
    ask = Asker()
    ask.snapshot(AAPL, fields="31")
    placed = place(ask, MARKET)[0]
    assert placed["order_status"] == "Filled"
    status = ask("get_order_status", path={"orderId": placed["order_id"]})
    assert (status["order_status"], status["cum_fill"]) == ("Filled", "5")
    ask("list_trades")
    trade = ask("list_trades")[0]
    assert (trade["order_id"], trade["side"], trade["size"]) == (int(placed["order_id"]), "B", 5.0)
    assert trade["price"] == status["average_price"]


def test_orders_wait_for_the_market_to_open() -> None:
    ask = Asker(now=utc("2026-11-21 15:00:00"))
    placed = confirmed(ask, place(ask, MARKET))[0]
    assert placed["order_status"] == "PreSubmitted"
    ask.now = utc("2026-11-23 14:30:01")
    assert ask("get_order_status", path={"orderId": placed["order_id"]})["order_status"] == "Filled"


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"quantity": "5"}, 400, "incorrect type"),
        ({"price": "150"}, 400, "incorrect type"),
        ({"price": float("nan")}, 400, "incorrect type"),
        ({"side": "HOLD"}, 400, "Invalid Side"),
        ({"orderType": "MAGIC"}, 400, "Invalid order type"),
        ({"conid": 1}, 400, "Invalid contract"),
        ({"acctId": LIVE}, 400, "acctId"),
        ({"quantity": None}, 400, "quantity"),
        ({"quantity": -5}, 200, "positive"),
        ({"price": None}, 200, "price"),
        ({"conid": 416904}, 200, "permission"),
        ({"conid": 520000084}, 200, "Manual order indicator"),
    ],
    ids=str,
)
def test_bad_tickets_are_refused(change: dict[str, Any], status: int, text: str) -> None:
    ask = Asker()
    body = place(ask, FAR, **change)
    assert (ask.status, text in body["error"]) == (status, True)


@pytest.mark.parametrize("body", [None, {}, {"orders": []}, {"orders": "x"}, [FAR]], ids=str)
def test_a_body_without_orders_is_refused(body: Any) -> None:
    ask = Asker()
    ask("place_orders", path=PATH, body=body)
    assert ask.status == 400


def test_a_handle_is_taken_once() -> None:
    ask = Asker()
    confirmed(ask, place(ask, FAR, cOID="twice"))
    body = place(ask, FAR, cOID="twice")
    assert ask.status == 200
    assert "already registered" in body["error"]


def test_a_bracket_is_placed_as_one() -> None:
    ask = Asker()
    orders = [FAR | {"cOID": "parent"}, FAR | {"side": "SELL", "price": 400.0, "parentId": "parent"}]
    placed = confirmed(ask, ask("place_orders", path=PATH, body={"orders": orders}))
    assert len(placed) == 2
    assert [ask("get_order_status", path={"orderId": row["order_id"]})["order_status"] for row in placed] == [
        "Submitted",
        "PreSubmitted",
    ]


def test_an_order_can_be_changed_and_cancelled_once() -> None:
    ask = Asker()
    order_id = confirmed(ask, place(ask, FAR, cOID="keep"))[0]["order_id"]
    path = PATH | {"orderId": order_id}
    confirmed(ask, ask("modify_order", path=path, body=FAR | {"price": 155.0}))
    row = next(row for row in live_orders(ask) if row["orderId"] == int(order_id))
    assert (row["price"], row["order_ref"]) == ("155.00", "keep")
    assert "error" in ask("modify_order", path=path, body=FAR | {"conid": 8314})
    assert ask("cancel_order", path=path) == {
        "msg": "Request was submitted",
        "order_id": int(order_id),
        "conid": AAPL,
        "account": PAPER,
    }
    assert "error" in ask("cancel_order", path=path)
    assert "error" in ask("modify_order", path=path, body=FAR)
    assert ask.status == 200


def test_minus_one_cancels_everything() -> None:
    ask = Asker()
    ask("cancel_order", path=PATH | {"orderId": "-1"})
    ask.now += 1
    assert {row["status"] for row in live_orders(ask)} <= {"Filled", "Cancelled", "Inactive"}


@pytest.mark.parametrize("endpoint_id", ["cancel_order", "modify_order"])
def test_unknown_orders_answer_200_with_an_error(endpoint_id: str) -> None:
    ask = Asker()
    body = ask(endpoint_id, path=PATH | {"orderId": "42"}, body=FAR)
    assert (ask.status, body) == (200, {"error": "OrderID 42 doesn't exist"})


def test_the_first_lists_of_a_session_are_empty() -> None:
    ask = Asker()
    assert ask("list_live_orders") == {"orders": [], "snapshot": False}
    assert len(ask("list_live_orders")["orders"]) > 5
    assert ask("list_live_orders", force="true") == {"orders": [], "snapshot": False}
    assert ask("list_live_orders")["snapshot"] is True
    assert ask("list_trades", days=7) == []
    assert ask("list_trades", days=7)
    ask("list_trades", days=8)
    assert ask.status == 400


def test_orders_are_filtered_by_status() -> None:
    ask = Asker()
    assert {row["status"] for row in live_orders(ask, filters="filled,cancelled")} == {"Filled", "Cancelled"}
    changed = [row["lastExecutionTime_r"] for row in live_orders(ask, filters="sort_by_time")]
    assert len(set(changed)) > 5
    assert changed == sorted(changed, reverse=True)
    assert live_orders(ask, accountId=LIVE) == []
    ask("list_live_orders", filters="nonsense")
    assert ask.status == 400


def test_the_status_of_an_order_needs_the_right_account() -> None:
    world = World(7, "live")
    ask = Asker(world=world)
    order_id = str(live_orders(ask)[0]["orderId"])
    assert ask("get_order_status", path={"orderId": order_id})["account"] == LIVE
    ask("select_account", body={"acctId": SAVINGS})
    ask("get_order_status", path={"orderId": order_id})
    assert ask.status == 503
    ask("get_order_status", path={"orderId": "42"})
    assert ask.status == 503


def test_a_preview_shows_cost_margin_and_position() -> None:
    ask = Asker()
    body = ask("preview_orders", path=PATH, body={"orders": [FAR]})
    assert body["amount"]["amount"] == "750.00 USD (5 Shares)"
    assert "market data" in body["warn"]
    assert body["error"] is None
    held, change, after = (float(body["position"][name].replace(",", "")) for name in ("current", "change", "after"))
    assert (change, after) == (5, held + 5)
    ask.snapshot(AAPL, fields="31")
    assert ask("preview_orders", path=PATH, body={"orders": [FAR]})["warn"] is None
    big = ask("preview_orders", path=PATH, body={"orders": [FAR | {"quantity": 10_000_000}]})
    assert "enough funds" in big["error"]


def test_a_preview_places_nothing() -> None:
    ask = Asker()
    before = live_orders(ask)
    ask("preview_orders", path=PATH, body={"orders": [MARKET]})
    assert live_orders(ask) == before
