"""Ways around the owner's limits, tried as raw requests: each is refused and nothing reaches the broker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from support.guard import asked, error_of
from support.simulated import simulated
from support.simulator import AAPL, IBM, PAPER
from support.trading import PAPER_POLICY, Traded, order, traded

pytestmark = pytest.mark.looptime

LIMITS = """[limits]
symbols = ["AAPL"]
security_types = ["STK"]
order_types = ["LMT", "STP"]
times_in_force = ["DAY", "GTC"]
sides = ["BUY"]
quantity = 10
notional = 1500
"""
# What changes orders, or the questions that the broker asks about them.
CHANGING = (
    "place_orders", "modify_order", "cancel_order", "answer_order_question", "answer_order_prompt",
    "suppress_order_questions", "reset_suppressed_questions", "draft_model_investment", "submit_model_transfers",
    "select_account",
)  # fmt: skip

REFUSALS = ("operation_forbidden", "invalid_request", "operation_unknown", "upstream_error")

ORDERS: dict[str, Any] = {
    "a number as text": order(quantity="5"),
    "a price as text": order(price="100"),
    "a negative quantity": order(quantity=-5),
    "no quantity": order(quantity=0),
    "true as a quantity": order(quantity=True),
    "a list as a quantity": order(quantity=[5]),
    "two amounts": order(cashQty=5),
    "money beyond the limit": order(quantity=None, cashQty=1501),
    "a currency amount beyond the limit": order(quantity=None, fxQty=1501, isCcyConv=True),
    "two instruments": order(conidex=f"{IBM}@NYSE"),
    "another instrument by exchange": order(conid=None, conidex=f"{IBM}@NYSE"),
    "another instrument by conid and a lying symbol": order(conid=IBM, ticker="AAPL"),
    "a lying type": order(conid=IBM, secType=f"{IBM}:STK"),
    "a combination with a leg that is not permitted": order(conid=None, conidex=f"28812380;;;{AAPL}/1,{IBM}/1"),
    "a combination that sells": order(conid=None, conidex=f"28812380;;;{AAPL}/-1"),
    "a combination of one leg many times": order(conid=None, conidex=f"28812380;;;{AAPL}/1,{AAPL}/9"),
    "a combination with a large ratio": order(conid=None, conidex=f"28812380;;;{AAPL}/11", quantity=1),
    "a combination under a number of nobody": order(conid=None, conidex=f"{IBM};;;{AAPL}/1"),
    "a combination that is none": order(conid=None, conidex="28812380;;;AAPL/1"),
    "the other side in other letters": order(side="Sell"),
    "a key in other letters": {**order(), "Quantity": 500},
    "another account in the ticket": order(acctId="DU7420002"),
    "an allocation": order(allocationMethod="NetLiq"),
    "accounts of an advisor": order(jsonPayload={"accounts": ["DU7420002"]}),
    "a customer's account": order(customerAccount="DU7420002"),
    "a type in other letters": order(orderType="mkt"),
    "a type that nobody knows": order(orderType="SNAP MKT"),
    "a time in force in other letters": order(tif="ioc"),
    "no time in force": order(tif=None),
    "a stop far above": order(orderType="STP", price=1_000.0),
    "a client order id that is a number": order(cOID=5),
    "too long a client order id": order(cOID="x" * 65),
}
GROUPS: dict[str, list[Any]] = {
    "two orders that split the notional": [
        order(isSingleGroup=True, quantity=9),
        order(isSingleGroup=True, quantity=9),
    ],
    "two unrelated orders": [order(quantity=5), order(quantity=5)],
    "a bracket that doubles": [
        order(cOID="b", quantity=9),
        order(parentId="b", quantity=9, orderType="STP", price=150.0),
    ],
    "a bracket that sells": [order(cOID="b"), order(parentId="b", side="SELL", price=300.0)],
    "an order beside a bracket": [order(cOID="b"), order(parentId="c")],
    "nothing": [],
    "no object": ["BUY 5 AAPL"],
    "an object within": [{"orders": [order()]}],
}
_TEXT = '{"conid":265598,"orderType":"LMT","side":"BUY","quantity":5,"price":100,"tif":"DAY"}'
BODIES = {
    "a number that is none": '{{"orders":[{}]}}'.format(_TEXT.replace("5,", "NaN,")),
    "a number without an end": '{{"orders":[{}]}}'.format(_TEXT.replace("100", "1e400")),
    "a name twice": '{{"orders":[{}]}}'.format(_TEXT.replace("265598", '265598,"conid":8314')),
    "orders twice": '{{"orders":[{}],"orders":[{}]}}'.format(_TEXT, _TEXT.replace("265598", "8314")),
    "a bare list": f"[{_TEXT}]",
    "very deep": '{"orders":' + "[" * 5000 + "]" * 5000 + "}",
}
PATHS = {
    "all accounts": ("POST", "/iserver/account/All/orders", {"orders": [order()]}),
    "another account": ("POST", "/iserver/account/DU7420002/orders", {"orders": [order()]}),
    "an account in other letters": ("POST", f"/iserver/account/{PAPER.lower()}/orders", {"orders": [order()]}),
    "a group": ("POST", "/iserver/account/Family/orders", {"orders": [order()]}),
    "a change of all orders": ("POST", f"/iserver/account/{PAPER}/order/-1", order()),
    "a change in another account": ("POST", "/iserver/account/DU7420002/order/1", order()),
    "a cancellation in another account": ("DELETE", "/iserver/account/DU7420002/order/1", None),
    "everything of another account": ("DELETE", "/iserver/account/DU7420002/order/-1", None),
    "an answer to a question of nobody": (
        "POST",
        "/iserver/reply/00000000-0000-0000-0000-000000000000",
        {"confirmed": True},
    ),
    "an answer to a prompt": ("POST", "/iserver/notification", {"orderId": 1, "reqId": "1", "text": "Yes"}),
    "no more questions": ("POST", "/iserver/questions/suppress", {"messageIds": ["o163"]}),
    "questions as before": ("POST", "/iserver/questions/suppress/reset", {}),
    "a model's orders": ("POST", "/fa/model/invest-divest", {"reqID": 1, "model": "m", "accountList": []}),
    "a model's transfer": ("POST", "/fa/model/submit-transfers", {"reqID": 1, "fpOrderId": 1}),
    "another account for everybody": ("POST", "/iserver/account", {"acctId": "DU7420002"}),
}


async def refused_unsent(t: Traded, method: str, path: str, **more: Any) -> None:
    response = await t.g.client.request(method, f"/v1/api{path}", **more)

    assert 400 <= response.status_code < 500, response.text
    assert error_of(response)["code"] in (
        "operation_forbidden",
        "invalid_request",
        "operation_unknown",
        "upstream_error",
    )
    assert sum(asked(t.broker, operation) for operation in CHANGING) == 0


def without_none(given: Any) -> Any:
    return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


@pytest.mark.parametrize("name", ORDERS)
async def test_an_order_that_lies_is_refused(name: str, tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + LIMITS) as t:
        body = {"orders": [without_none(ORDERS[name])]}
        await refused_unsent(t, "POST", f"/iserver/account/{PAPER}/orders", json=body)


@pytest.mark.parametrize("name", GROUPS)
async def test_a_group_that_hides_something_is_refused(name: str, tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + LIMITS) as t:
        await refused_unsent(t, "POST", f"/iserver/account/{PAPER}/orders", json={"orders": GROUPS[name]})


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_readers_take_differently_is_refused(name: str, tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + LIMITS) as t:
        await refused_unsent(t, "POST", f"/iserver/account/{PAPER}/orders", content=BODIES[name])


@pytest.mark.parametrize("name", PATHS)
async def test_a_way_beside_the_orders_is_refused(name: str, tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + LIMITS) as t:
        method, path, body = PATHS[name]
        await refused_unsent(t, method, path, **({} if body is None else {"json": body}))


async def test_the_order_that_all_this_varies_is_permitted(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + LIMITS) as t:
        await t.watch()
        response = await t.raw("POST", "orders", json={"orders": [order()]})
        assert response.status_code == 200
        assert asked(t.broker, "place_orders") == 1


async def test_what_was_read_is_what_is_sent(tmp_path: Path) -> None:
    """A name that stands twice counts once, and the broker gets it once."""
    async with traded(simulated(), tmp_path, PAPER_POLICY) as t:
        await t.watch()
        text = json.dumps({"orders": [order(price=285.0)]}).replace('"quantity": 5', '"quantity": 5000, "quantity": 4')
        response = await t.raw("POST", "orders", content=text)

        assert response.status_code in (200, 400)
        assert [each.quantity for each in t.placed()] in ([], [4])


async def test_a_change_is_no_way_around_the_limits(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + LIMITS.replace("1500", "3000")) as t:
        await t.watch()
        placed = await t.raw("POST", "orders", json={"orders": [order(price=285.0)]})
        order_id = placed.json()[0]["order_id"]
        for larger in ({"quantity": 11}, {"price": 700.0}, {"side": "SELL"}, {"orderType": "MKT"}, {"conid": IBM}):
            response = await t.raw("POST", f"order/{order_id}", json={**order(price=285.0), **larger})
            assert error_of(response)["code"] == "operation_forbidden", larger
        (ours,) = t.placed()
        assert (ours.quantity, asked(t.broker, "modify_order")) == (5, 0)


async def test_a_stop_holds_while_a_question_is_open(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (question,) = (await t.raw("POST", "orders", json={"orders": [order()]})).json()
        await t.client.post("/trading/stop", json={"reason": "odd prices"})

        answer = await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})

        assert "odd prices" in answer.text
        assert t.placed() == []


async def test_a_policy_that_narrows_while_a_question_is_open_counts(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (question,) = (await t.raw("POST", "orders", json={"orders": [order()]})).json()
        t.say('mode = "preview"')

        await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})

        assert t.placed() == []


async def test_somebody_elses_question_cannot_be_answered(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (question,) = (await t.raw("POST", "orders", json={"orders": [order()]})).json()
        foreign = await t.g.post(
            f"/iserver/reply/{question['id']}", json={"confirmed": True}, headers={"ib-caller": "mallory"}
        )

        assert foreign.status_code == 400
        assert t.placed() == []


async def test_orders_at_the_same_moment_share_one_limit(tmp_path: Path) -> None:
    async with traded(
        simulated(), tmp_path, PAPER_POLICY + "[limits]\norders_per_day = 3\nnotional_per_day = 2000\n"
    ) as t:
        await t.watch()
        wishes = [t.raw("POST", "orders", json={"orders": [order(price=100 + n, quantity=5)]}) for n in range(8)]
        answers = await asyncio.gather(*wishes)
        for answer in answers:
            if answer.status_code == 200 and "messageIds" in answer.text:
                await t.raw("POST", f"/iserver/reply/{answer.json()[0]['id']}", json={"confirmed": True})

        assert len(t.placed()) <= 3


async def test_the_day_does_not_begin_anew_when_the_clock_is_set(tmp_path: Path) -> None:
    broker = simulated()
    async with traded(broker, tmp_path, PAPER_POLICY + "[limits]\norders_per_day = 1\n") as t:
        await t.watch()
        assert (await t.raw("POST", "orders", json={"orders": [order(price=285.0)]})).status_code == 200
        wall = t.trading.ledger._wall
        for hours in (-48, -2, 23):
            t.trading.ledger._wall = lambda hours=hours: wall() + hours * 3600  # type: ignore[misc]
            response = await t.raw("POST", "orders", json={"orders": [order(price=284.0)]})
            assert "orders_per_day" in error_of(response)["message"], hours
        t.trading.ledger._wall = lambda: wall() + 25 * 3600
        assert (await t.raw("POST", "orders", json={"orders": [order(price=284.0)]})).status_code == 200


async def test_orders_that_come_to_nothing_count_too(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + "[limits]\norders_per_minute = 2\n") as t:
        await t.watch()
        for _ in range(2):
            (question,) = (await t.raw("POST", "orders", json={"orders": [order()]})).json()
            await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": False})

        assert "orders_per_minute" in error_of(await t.raw("POST", "orders", json={"orders": [order()]}))["message"]
        await asyncio.sleep(61)
        assert (await t.raw("POST", "orders", json={"orders": [order()]})).status_code == 200
