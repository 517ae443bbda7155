"""IBKR's own order calls for other clients: its bodies and questions, the owner's rules, one order at a time."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.guard import asked, error_of
from support.simulated import simulated
from support.trading import PAPER_POLICY, STOCKS, order, traded

pytestmark = pytest.mark.looptime

NEAR, FAR = order(price=285.0), order(price=100.0)


async def test_an_order_and_its_change_and_cancellation_get_the_brokers_own_answers(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (placed,) = (await t.raw("POST", "orders", json={"orders": [NEAR]})).json()
        assert placed["order_status"]
        (ours,) = t.placed()
        assert placed["order_id"] == str(ours.id)

        (changed,) = (await t.raw("POST", f"order/{ours.id}", json={**NEAR, "quantity": 6})).json()
        assert changed["order_id"] == str(ours.id)
        assert ours.quantity == 6

        cancelled = (await t.raw("DELETE", f"order/{ours.id}")).json()
        assert cancelled["msg"] == "Request was submitted"
        (ours,) = t.placed()
        assert ours.status in ("Cancelled", "PendingCancel", "PreCancelled")


async def test_a_question_goes_to_the_client_and_its_answer_to_the_broker(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (question,) = (await t.raw("POST", "orders", json={"orders": [FAR]})).json()
        assert question["messageIds"] == ["o163"]
        assert not t.placed()

        (placed,) = (await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})).json()

        assert placed["order_id"] == str(t.placed()[0].id)
        late = await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})
        assert late.status_code == 400
        assert "reply id not found" in error_of(late)["message"]


async def test_a_question_that_the_policy_does_not_name_cannot_be_confirmed(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, 'mode = "paper"\napproval = "none"\n') as t:
        await t.watch()
        (question,) = (await t.raw("POST", "orders", json={"orders": [FAR]})).json()
        refused = await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})

        assert refused.status_code == 403
        assert "o163" in error_of(refused)["message"]
        assert not t.placed()
        assert (await t.raw("POST", "orders", json={"orders": [NEAR]})).status_code == 200


async def test_a_question_that_nobody_answers_is_declined_and_lets_the_others_go(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        clock = asyncio.get_running_loop().time
        (question,) = (await t.raw("POST", "orders", json={"orders": [FAR]})).json()
        asked_at = clock()
        assert (await t.raw("POST", "orders", json={"orders": [NEAR]})).status_code == 200

        assert 9 < clock() - asked_at < 12
        assert len(t.placed()) == 1
        assert asked(t.broker, "answer_order_question") == 1
        late = await t.raw("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})
        assert late.status_code == 400


async def test_a_cancellation_does_not_wait_for_a_question_or_for_other_orders(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (first,) = (await t.raw("POST", "orders", json={"orders": [NEAR]})).json()
        await t.raw("POST", "orders", json={"orders": [FAR]})
        clock = asyncio.get_running_loop().time
        began = clock()
        waiting = asyncio.create_task(
            t.raw("POST", "orders", json={"orders": [{**NEAR, "side": "SELL", "price": 290.0}]})
        )
        await asyncio.sleep(0.1)
        cancelled = await t.raw("DELETE", f"order/{first['order_id']}")

        assert cancelled.status_code == 200
        assert clock() - began < 2
        await waiting
        order_of_calls = [r.endpoint for r in t.broker.requests if r.endpoint in ("cancel_order", "place_orders")]
        assert order_of_calls[-2:] == ["cancel_order", "place_orders"]


async def test_everything_is_cancelled_while_trading_is_stopped(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        await t.raw("POST", "orders", json={"orders": [NEAR]})
        await t.raw("POST", "orders", json={"orders": [{**NEAR, "side": "SELL", "price": 292.0}]})

        stopped = await t.client.post("/trading/stop", json={"reason": "enough", "cancel_orders": True})

        assert stopped.json()["stopped"]["reason"] == "enough"
        assert {row["outcome"] for row in stopped.json()["cancelled"]} == {"cancelled"}
        assert all(each.status != "Submitted" for each in t.placed())
        refused = await t.raw("POST", "orders", json={"orders": [NEAR]})
        assert "stopped" in error_of(refused)["message"]
        assert (await t.client.get("/trading/status")).json()["effective_mode"] == "off"


async def test_what_needs_a_persons_approval_is_not_placed_by_the_brokers_own_calls(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY.replace("none", "ask")) as t:
        refused = await t.raw("POST", "orders", json={"orders": [NEAR]})
        assert "submit_order" in error_of(refused)["action"]
        assert not asked(t.broker, "place_orders")


async def test_the_questions_of_the_broker_are_not_switched_off_for_everybody(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        suppressed = await t.raw("POST", "/iserver/questions/suppress", json={"messageIds": ["o163"]})
        assert suppressed.status_code == 403
        assert not asked(t.broker, "suppress_order_questions")


async def test_a_what_if_reads_the_price_first_and_places_nothing(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, 'mode = "preview"\n') as t:
        answer = (await t.raw("POST", "orders/whatif", json={"orders": [NEAR]})).json()
        assert answer["amount"]["total"]
        assert answer["warn"] is None
        again = (await t.raw("POST", "orders/whatif", json={"orders": [NEAR]})).json()
        assert again["amount"]
        assert asked(t.broker, "get_price_snapshot") <= 4
        assert not t.placed()


@pytest.mark.parametrize("mode", ["off", "preview"])
async def test_without_a_mode_that_places_nothing_is_placed(tmp_path: Path, mode: str) -> None:
    async with traded(simulated(), tmp_path, f'mode = "{mode}"\n') as t:
        refused = await t.raw("POST", "orders", json={"orders": [NEAR]})
        assert refused.status_code == 403
        assert f"mode is {mode}" in error_of(refused)["message"]
        assert not asked(t.broker, "place_orders")


async def test_orders_holdings_and_balances_that_were_kept_are_read_anew_after_an_order(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        await t.raw("GET", "/iserver/account/orders")
        for _ in range(2):
            await t.raw("GET", "summary")
        before = asked(t.broker, "get_brokerage_account_summary")
        assert before == 1
        (placed,) = (await t.raw("POST", "orders", json={"orders": [NEAR]})).json()
        await t.raw("GET", "summary")
        rows = (await t.raw("GET", "/iserver/account/orders")).json()["orders"]

        assert asked(t.broker, "get_brokerage_account_summary") == before + 1
        assert placed["order_id"] in {str(row["orderId"]) for row in rows}


async def test_a_hundred_orders_in_a_minute_stay_within_what_the_broker_takes(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        clock = asyncio.get_running_loop().time
        began = clock()
        # IBKR takes 20 working orders of an instrument on each side.
        kinds = [(conid, *side) for conid in STOCKS.values() for side in (("BUY", 50.0), ("SELL", 2000.0))]
        wishes = [(*kinds[number % 6], number // 6) for number in range(100)]
        orders = [order(conid=conid, side=side, price=price + more) for conid, side, price, more in wishes]
        tickets = [await t.ticket(each) for each in orders]
        outcomes = await asyncio.gather(*(t.submit(ticket, **{"ib-deadline-ms": "100000"}) for ticket in tickets))

        assert {answer.json()["outcome"] for answer in outcomes} == {"working"}
        assert clock() - began < 60
        assert len(t.placed()) == 100


async def test_an_order_that_would_not_get_its_turn_in_time_is_refused_unsent(tmp_path: Path) -> None:
    slow = FaultSpec(kind="latency", endpoint="place_orders", seconds=8)
    async with traded(simulated(slow), tmp_path) as t:
        await t.watch()
        first = asyncio.create_task(t.raw("POST", "orders", json={"orders": [NEAR]}))
        await asyncio.sleep(0.5)
        mine = {**NEAR, "cOID": "mine-2"}
        late = await t.raw("POST", "orders", json={"orders": [mine]}, headers={"ib-deadline-ms": "3000"})
        assert late.status_code == 429
        await first
        assert not t.placed("mine-2")
        # Nothing of it is remembered: it may be sent now.
        t.broker.faults.remove()
        assert (await t.raw("POST", "orders", json={"orders": [mine]})).status_code == 200
        assert len(t.placed("mine-2")) == 1


async def test_a_client_that_sends_the_same_again_when_its_time_is_over_gets_one_order(tmp_path: Path) -> None:
    slow = FaultSpec(kind="latency", endpoint="place_orders", seconds=8)
    async with traded(simulated(slow), tmp_path) as t:
        await t.watch()
        for _ in range(3):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    placed = await t.raw("POST", "orders", json={"orders": [NEAR]})
        (ours,) = t.placed()
        assert placed.json()[0]["order_id"] == str(ours.id)
        # Once it was told, the same is another order.
        await t.raw("POST", "orders", json={"orders": [NEAR]})
        assert len(t.placed()) == 2


async def test_orders_are_cancelled_where_nothing_can_be_written_down(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        (placed,) = (await t.raw("POST", "orders", json={"orders": [NEAR]})).json()
        database = t.trading.ledger._database
        kept, database._connection = database._connection, sqlite3.connect(":memory:")
        (tmp_path / "audit.jsonl").unlink()
        (tmp_path / "audit.jsonl").mkdir()
        try:
            assert (await t.raw("POST", "orders", json={"orders": [NEAR]})).status_code == 403
            cancelled = await t.raw("DELETE", f"order/{placed['order_id']}")
            assert cancelled.json()["msg"] == "Request was submitted"
            assert t.placed()[0].status in ("Cancelled", "PendingCancel")
        finally:
            database._connection = kept


async def test_an_approval_that_is_wanted_since_counts_when_the_turn_has_come(tmp_path: Path) -> None:
    async with traded(simulated(FaultSpec(kind="latency", endpoint="place_orders", seconds=5)), tmp_path) as t:
        await t.watch()
        first = asyncio.create_task(t.raw("POST", "orders", json={"orders": [NEAR]}))
        ticket = await t.ticket(order(side="SELL", price=295.0))
        waiting = [
            asyncio.create_task(t.raw("POST", "orders", json={"orders": [{**NEAR, "conid": STOCKS["IBM"]}]})),
            asyncio.create_task(t.submit(ticket)),
        ]
        await asyncio.sleep(1)
        t.say(PAPER_POLICY.replace("none", "page"))
        assert (await first).status_code == 200
        assert [(await task).status_code for task in waiting] == [403, 403]
        assert len(t.placed()) == 1
        assert (await t.submit(ticket)).json()["outcome"] == "approval_needed"
