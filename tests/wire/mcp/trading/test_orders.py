"""Sending, changing, cancelling, following and stopping orders by tools."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_simulator.faults.faults import FaultSpec
from support.agent import Agent, agent
from support.trading import PAPER_POLICY

pytestmark = pytest.mark.looptime

AAPL = {"symbol": "AAPL", "side": "BUY", "quantity": 3, "limit": 251.25, "tif": "GTC"}


async def ticket(a: Agent, **words: Any) -> str:
    answer = await a.read("preview_order", **{**AAPL, **words})
    assert answer.body["ticket"], answer.text
    found: str = answer.body["ticket"]
    return found


async def placed(a: Agent, **words: Any) -> str:
    answer = await a.read("submit_order", ticket=await ticket(a, **words))
    assert answer.body["outcome"] == "working", answer.text
    found: str = answer.body["orders"][0]["order_id"]
    return found


def count(a: Agent, operation: str) -> int:
    return sum(request.endpoint == operation for request in a.simulator.requests)


async def test_a_ticket_sends_its_order_once(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        given = await ticket(a)
        first = (await a.read("submit_order", ticket=given)).body
        assert (first["mode"], first["outcome"]) == ("paper", "working")
        assert "repeated" not in first
        assert "get_order_status" in first["next"]
        again = (await a.read("submit_order", ticket=given)).body
        assert "nothing was sent now" in again["repeated"]
        assert again["orders"] == first["orders"]
        assert count(a, "place_orders") == 1


async def test_an_order_that_fills_is_told_with_its_fills(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        answer = (await a.read("submit_order", ticket=await ticket(a, limit=300))).body
        order_id = answer["orders"][0]["order_id"]
        # IBKR tells executions once in five seconds, and nothing the first time.
        for _ in range(5):
            await asyncio.sleep(6)
            status = await a.read("get_order_status", order_id=order_id)
            if isinstance(status.body["fills"], dict):
                break
        assert (status.body["mode"], status.body["status"], status.body["filled"]) == ("paper", "Filled", 3)
        fills = status.rows("fills")
        assert sum(fill["quantity"] for fill in fills) == 3
        assert fills[0]["time"].startswith("2026-11-24T")
        orders = (await a.read("get_account_orders", status="all")).body
        assert orders["mode"] == "paper"


async def test_an_order_is_followed_by_the_id_that_it_was_sent_under(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        order = (await a.read("submit_order", ticket=await ticket(a))).body["orders"][0]
        found = (await a.read("get_order_status", order_id=order["own_id"])).body
        assert (found["order_id"], found["own_id"], found["state"]) == (order["order_id"], order["own_id"], "working")
        assert found["sent"].startswith("2026-11-24T")
        refused = await a.call("get_order_status", order_id="never-sent")
        assert "No order was sent as never-sent" in refused.error["message"]


async def test_a_lost_answer_is_unknown_until_it_is_looked_up(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        a.simulator.faults.add(FaultSpec(kind="order_answer_lost", count=1))
        # Near enough to the market that IBKR has no question.
        given = await ticket(a, limit=285)
        answer = (await a.read("submit_order", ticket=given)).body
        assert answer["outcome"] == "outcome_unknown"
        assert "Do not send it again" in answer["next"]
        for _ in range(120):
            answer = (await a.read("submit_order", ticket=given)).body
            if answer["outcome"] != "outcome_unknown":
                break
            await asyncio.sleep(1)
        assert answer["outcome"] == "working"
        assert answer["repeated"]
        assert count(a, "place_orders") == 1


async def test_a_question_that_the_owner_does_not_answer_is_shown(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, policy='mode = "paper"\napproval = "none"\n') as a:
        answer = (await a.read("submit_order", ticket=await ticket(a))).body
        assert answer["outcome"] == "declined"
        assert answer["ibkr_asks"]["message_ids"] == ["o163"]
        assert "3%" in answer["ibkr_asks"]["untrusted"] or "away" in answer["ibkr_asks"]["untrusted"]
        assert "Show the user the question" in answer["next"]


async def test_a_change_is_previewed_and_sent_with_a_ticket_of_its_own(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        order_id = await placed(a)
        change = (await a.read("modify_order", order_id=order_id, quantity=4, limit=250)).body
        assert change["order"] == f"change of order {order_id}: BUY 4 AAPL, limit 250 USD, until cancelled"
        assert change["before"] == "BUY 3 AAPL, limit 251.25 USD, until cancelled"
        assert change["notional"]["amount"] == 1000
        assert count(a, "modify_order") == 0
        done = (await a.read("submit_order", ticket=change["ticket"])).body
        assert done["outcome"] == "working"
        status = (await a.read("get_order_status", order_id=order_id)).body
        assert (status["quantity"], status["limit"]) == (4, 250)


async def test_an_order_that_was_placed_elsewhere_is_changed_as_far_as_ibkr_tells_it(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        rows = (await a.read("get_account_orders")).rows("orders")
        theirs = next(row for row in rows if row["symbol"] == "IBM" and row["type"] == "Limit")
        change = (await a.read("modify_order", order_id=theirs["order_id"], quantity=theirs["quantity"] + 1)).body
        assert change["ticket"]
        assert f"limit {theirs['limit']} USD" in change["order"]
        trailing = next(row for row in rows if row["type"].startswith("Trailing"))
        refused = await a.call("modify_order", order_id=trailing["order_id"], quantity=1)
        assert "does not tell all of it" in refused.error["message"]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({}, "Nothing is to be changed"),
        ({"limit": 250.001}, "give 250.00 or 250.01"),
        ({"stop": 240}, "takes no stop"),
        ({"order_id": "42", "limit": 1}, "knows no order 42"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], hint: str) -> None:
    async with agent(trading=tmp_path) as a:
        order_id = await placed(a)
        refused = await a.call("modify_order", **{"order_id": order_id, **change})
        assert hint in refused.error["message"]


async def test_one_order_or_all_are_cancelled(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        order_id = await placed(a)
        answer = (await a.read("cancel_order", order_id=order_id)).body
        assert (answer["mode"], answer["outcome"], answer["cancelling"]) == ("paper", "cancel_requested", order_id)
        assert "may still fill" in answer["next"]
        again = (await a.read("cancel_order", order_id=order_id)).body
        assert again["outcome"] == "not_cancelled"
        assert (await a.read("cancel_order", all=True)).body["cancelling"] == "all"
        for given in ({}, {"order_id": order_id, "all": True}):
            assert "either order_id or all" in (await a.call("cancel_order", **given)).error["message"]


async def test_a_cancellation_says_that_a_machine_sent_it(tmp_path: Path) -> None:
    cancelled: list[str] = []

    def before(gateway: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("method") == "DELETE":
                cancelled.append(scope["query_string"].decode())
            await gateway(scope, receive, send)

        return noted

    async with agent(trading=tmp_path, before_gateway=before) as a:
        order_id = await placed(a, symbol="ES 202612", quantity=1, limit=6500)
        assert (await a.read("cancel_order", order_id=order_id)).body["outcome"] == "cancel_requested"
    assert cancelled == ["extOperator=ib-mcp&manualIndicator=false"]


async def test_an_agent_may_stop_but_not_start(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        given = await ticket(a)
        order_id = await placed(a, limit=252)
        stopped = (await a.read("stop_trading", reason="enough")).body
        assert stopped["stopped"]["reason"] == "enough"
        assert "Only the owner" in stopped["next"]
        refused = await a.call("submit_order", ticket=given)
        assert "Trading is stopped" in refused.error["message"]
        assert count(a, "place_orders") == 1
        assert (await a.read("cancel_order", order_id=order_id)).body["outcome"] == "cancel_requested"
        assert "Trading is stopped" in (await a.read("preview_order", **AAPL)).body["next"]


async def test_a_foreign_or_unknown_ticket_sends_nothing(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        for wrong in ("x" * 22, "../../stop", "short"):
            assert (await a.call("submit_order", ticket=wrong)).error["code"] == "invalid_request"
        assert count(a, "place_orders") == 0


async def test_a_token_without_trading_neither_sees_nor_calls_the_order_tools(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, settings={"scopes": "read"}) as a:
        assert "submit_order" not in {tool.name for tool in await a.client.list_tools()}
        assert (await a.call("preview_order", **AAPL)).error["code"] == "operation_forbidden"
        assert (await a.call("cancel_order", all=True)).error["code"] == "operation_forbidden"


async def test_an_agent_of_one_account_trades_in_it(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, settings={"accounts": "DU7420001"}) as a:
        order_id = await placed(a)
        change = (await a.read("modify_order", order_id=order_id, limit=250)).body
        assert (await a.read("submit_order", ticket=change["ticket"])).body["outcome"] == "working"
        assert (await a.read("cancel_order", order_id=order_id)).body["outcome"] == "cancel_requested"


async def test_an_agent_of_other_accounts_trades_in_none_of_these(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, settings={"accounts": "DU9"}) as a:
        for tool, given in (
            ("preview_order", {**AAPL, "account": "DU7420001"}),
            ("cancel_order", {"all": True, "account": "DU7420001"}),
            ("stop_trading", {"reason": "x", "cancel_orders": True}),
        ):
            assert (await a.call(tool, **given)).is_error, tool
        assert count(a, "cancel_order") == 0
        assert not (tmp_path / "stopped").exists()


async def test_call_endpoint_reaches_the_same_checks(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, policy=PAPER_POLICY + "[limits]\nquantity = 2\n") as a:
        order = {"conid": 265598, "orderType": "LMT", "side": "BUY", "quantity": 3, "price": 251, "tif": "DAY"}
        given = {"accountId": "DU7420001", "orders": [order]}
        refused = await a.call("call_endpoint", endpoint="place_orders", parameters=given)
        assert refused.error["code"] == "operation_forbidden"
        assert "quantity" in refused.error["message"]
