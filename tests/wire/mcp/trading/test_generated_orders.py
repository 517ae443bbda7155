"""Order calls as tools generated of a document: under the same policy, ledger and scopes as by call_endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ib_mcp.tools.endpoint_calls import ORDERS
from support import documents
from support.agent import Agent, agent
from support.simulator import AAPL, PAPER
from support.trading import PAPER_POLICY

pytestmark = pytest.mark.looptime

# Two of them have a tool of ours of the same name.
GENERATED = {"preview_orders", "place_orders", "call_modify_order", "call_cancel_order", "answer_order_question"}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (path := tmp_path / "all.json").write_text(json.dumps(documents.of_catalogue()), "utf-8")
    return str(path)


@pytest.fixture
def trading(tmp_path: Path) -> Path:
    (folder := tmp_path / "trading").mkdir()
    return folder


def order(client_order_id: str, **changes: Any) -> dict[str, Any]:
    ticket = {"conid": AAPL, "orderType": "LMT", "side": "BUY", "quantity": 1, "price": 285, "tif": "GTC"}
    return {"accountId": PAPER, "orders": [{**ticket, "cOID": client_order_id, **changes}]}


def sent(a: Agent, operation: str) -> int:
    return sum(request.endpoint == operation for request in a.simulator.requests)


async def test_they_are_there_only_where_this_server_may_trade(spec: str, trading: Path) -> None:
    assert {name.removeprefix("call_") for name in GENERATED} == ORDERS
    async with agent(trading=trading, settings={"spec": spec}) as a:
        tools = {tool.name: tool for tool in await a.client.list_tools()}
        assert tools.keys() >= GENERATED
        for name in GENERATED - {"preview_orders"}:
            assert tools[name].annotations.read_only_hint is False, name
    async with agent(settings={"spec": spec}) as a:
        assert not {tool.name for tool in await a.client.list_tools()} & GENERATED


async def test_a_token_without_the_scope_neither_sees_nor_calls_them(spec: str, trading: Path) -> None:
    async with agent(trading=trading, settings={"spec": spec, "scopes": "read"}) as a:
        assert not {tool.name for tool in await a.client.list_tools()} & GENERATED
        assert (await a.call("place_orders", **order("mine-1"))).error["code"] == "operation_forbidden"
        assert not sent(a, "place_orders")


@pytest.mark.parametrize(
    ("policy", "changes", "said"),
    [
        ("", {}, "off"),
        (PAPER_POLICY.replace("paper", "preview"), {}, "preview"),
        (PAPER_POLICY + "[limits]\nquantity = 2\n", {"quantity": 3}, "quantity"),
        (PAPER_POLICY + '[limits]\nsides = ["SELL"]\n', {}, "sides"),
        (PAPER_POLICY.replace('"none"', '"page"'), {}, "approv"),
    ],
    ids=["off", "preview", "quantity", "sides", "approval"],
)
async def test_what_the_policy_refuses_is_refused_alike(
    spec: str, trading: Path, policy: str, changes: dict[str, Any], said: str
) -> None:
    async with agent(trading=trading, policy=policy, settings={"spec": spec}) as a:
        called = await a.call("call_endpoint", endpoint="place_orders", parameters=order("mine-1", **changes))
        generated = await a.call("place_orders", **order("mine-2", **changes))
        assert called.error["code"] == generated.error["code"] == "operation_forbidden"
        assert called.error["message"] == generated.error["message"]
        assert said in generated.error["message"]
        assert not sent(a, "place_orders")


async def test_an_order_goes_out_once_whichever_way_it_is_given(spec: str, trading: Path) -> None:
    async with agent(trading=trading, settings={"spec": spec}) as a:
        first = (await a.read("place_orders", **order("mine-1"))).body["result"]
        while "order_id" not in first[0]:
            # IBKR asks, and whoever placed by IBKR's own calls answers by them.
            answered = await a.read("answer_order_question", replyId=first[0]["id"], confirmed=True)
            first = answered.body["result"]
        number = first[0]["order_id"]
        again = await a.read("call_endpoint", endpoint="place_orders", parameters=order("mine-1"))
        assert again.body["result"][0]["order_id"] == number
        assert sent(a, "place_orders") == 1
        cancelled = await a.read("call_cancel_order", accountId=PAPER, orderId=number)
        assert "msg" in cancelled.body["result"]
        assert sent(a, "cancel_order") == 1


async def test_a_margin_preview_is_the_same_both_ways(spec: str, trading: Path) -> None:
    async with agent(trading=trading, settings={"spec": spec}) as a:
        given = order("mine-1")
        called = await a.read("call_endpoint", endpoint="preview_orders", parameters=given)
        generated = await a.read("preview_orders", **given)
        assert called.body["result"].keys() == generated.body["result"].keys()
        assert "initial" in generated.body["result"]
        assert not sent(a, "place_orders")
