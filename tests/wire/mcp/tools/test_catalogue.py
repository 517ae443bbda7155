"""What an agent is offered: tools, their descriptions and size, resources and prompts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from ib_mcp.server.server import INSTRUCTIONS, TOOLS
from ib_mcp.tags import KNOWN
from ib_mcp.tools.base import tags_of
from support.agent import Answer, agent

pytestmark = pytest.mark.looptime

READING = {
    "get_session_status",
    "reopen_session",
    "list_accounts",
    "get_account_summary",
    "get_account_balances",
    "get_account_positions",
    "get_account_orders",
    "get_account_trades",
    "get_account_performance",
    "get_account_transactions",
    "search_contracts",
    "get_contract_details",
    "get_option_chain",
    "get_price_snapshot",
    "get_price_history",
    "run_scanner",
    "get_watchlists",
    "get_alerts",
    "get_notifications",
    "get_order_status",
    "find_endpoint",
    "call_endpoint",
    "diagnose",
}


async def test_the_tools_have_the_names_of_the_design() -> None:
    async with agent(None) as a:
        assert {tool.name for tool in await a.client.list_tools()} == READING


async def test_every_tool_says_what_it_does_and_whether_it_changes_anything() -> None:
    async with agent(None) as a:
        for tool in await a.client.list_tools():
            assert tool.title
            assert 20 < len(tool.description or "") < 160, tool.name
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is (tool.name != "reopen_session")
            assert tool.annotations.idempotent_hint is (None if tool.annotations.read_only_hint else True)
            assert tool.annotations.open_world_hint is True


async def test_schemas_hold_nothing_that_a_model_does_not_need() -> None:
    async with agent(None) as a:
        for tool in await a.client.list_tools():
            assert tool.output_schema is None
            text = json.dumps(tool.input_schema)
            for noise in ('"title"', '"null"', "null", 'additionalProperties": false', "$defs"):
                assert noise not in text, (tool.name, noise)


async def test_every_tool_belongs_to_a_known_toolset() -> None:
    assert all(tags_of(function) and tags_of(function) <= set(KNOWN) for function in TOOLS)


async def test_toolsets_are_chosen_by_tag() -> None:
    async with agent(None, settings={"include_tags": "Portfolio, market data"}) as a:
        names = {tool.name for tool in await a.client.list_tools()}
        assert {"list_accounts", "get_price_snapshot"} <= names
        assert names.isdisjoint({"get_alerts", "call_endpoint", "get_session_status"})
        assert (await a.call("get_alerts")).error["code"] == "operation_unknown"
        assert {str(resource.uri) for resource in await a.client.list_resources()} == {
            "ibkr://accounts",
            "ibkr://positions",
        }
    async with agent(None, settings={"exclude_tags": ("Endpoints",)}) as a:
        names = {tool.name for tool in await a.client.list_tools()}
        assert names == READING - {"find_endpoint", "call_endpoint"}


async def test_an_answer_is_sent_once_as_text() -> None:
    async with agent() as a:
        answers: list[Answer] = [
            await a.call("get_account_balances"),
            await a.call("get_price_history", symbol="AAPL", chart=True),
            await a.call("get_account_balances", account="nobody"),
            await a.call("no_such_tool"),
        ]
        for answer in answers:
            assert json.loads(answer.text) == answer.body


@pytest.mark.parametrize(
    ("tool", "arguments", "hint"),
    [
        ("get_account_positions", {"acount": "U1"}, "acount"),
        ("get_account_positions", {"limit": 0}, "limit"),
        ("get_price_snapshot", {}, "symbols"),
        ("get_price_snapshot", {"symbols": []}, "symbols"),
        ("get_order_status", {"order_id": "-1"}, "order_id"),
        ("get_account_performance", {"period": "5Y"}, "period"),
    ],
)
async def test_wrong_arguments_are_named_in_a_short_error(tool: str, arguments: dict[str, Any], hint: str) -> None:
    async with agent() as a:
        refused = await a.call(tool, **arguments)
        assert refused.error["code"] == "invalid_request"
        assert hint in refused.error["message"]
        assert len(refused.text) < 400
        assert "pydantic" not in refused.text


async def test_numbers_and_lists_are_understood_as_text_too() -> None:
    async with agent() as a:
        both = [
            await a.read("get_price_snapshot", symbols="AAPL, 8314"),
            await a.read("get_price_snapshot", symbols=["AAPL", 8314]),
        ]
        assert [row["symbol"] for row in both[0].rows("prices")] == ["AAPL", "IBM"]
        assert [row["symbol"] for row in both[1].rows("prices")] == ["AAPL", "IBM"]
        assert len((await a.read("get_account_positions", limit="2")).rows("positions")) == 2


async def test_resources_hold_the_same_as_the_tools() -> None:
    async with agent() as a:

        async def read(uri: str) -> Any:
            (content,) = await a.client.read_resource(uri)
            return json.loads(content.text)

        assert (await read("ibkr://session"))["state"] == "authenticated"
        account = (await read("ibkr://accounts"))["default"]
        assert (await read(f"ibkr://positions/{account}"))["positions"] == (await read("ibkr://positions"))["positions"]
        assert {"get_ledger", "place_orders"} <= {row["endpoint"] for row in await read("ibkr://endpoints")}
        assert (await read("ibkr://endpoints/get_ledger"))["endpoints"][0]["parameters"] == "accountId*"
        with pytest.raises(MCPError, match="invalid_request"):
            await read("ibkr://positions/nobody")


async def test_prompts_name_tools_that_exist() -> None:
    async with agent(None) as a:
        arguments = {"portfolio_review": {}, "pre_trade_check": {"symbol": "AAPL", "quantity": "10"}}
        assert {prompt.name for prompt in await a.client.list_prompts()} == set(arguments)
        for name, given in arguments.items():
            (message,) = (await a.client.get_prompt(name, given)).messages
            words = set(message.content.text.replace(",", " ").replace(";", " ").split())
            named = {word for word in words if word.startswith("get_")}
            assert named
            assert named <= READING


def test_instructions_are_short() -> None:
    assert len(INSTRUCTIONS) < 1000
