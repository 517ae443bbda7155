"""An agent limited to one account of an adviser hears of no other, by whatever way it asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ibkr import catalogue
from support.agent import Agent, agent
from support.calls import CASES
from support.simulator import AAPL, PAPER
from wire.mcp.http.test_http import HANDSHAKE, MODERN, StubGuard, answered, question, serving

pytestmark = pytest.mark.looptime

OWN, OTHERS = "U7430002", ("U7430001", "U7430003", "AccountAlias")
LIMIT = {"accounts": OWN, "default_account": "U7430001"}

# As an agent may ask, with what a token without a limit is told; and every account that could be told of.
TOOLS: list[tuple[str, dict[str, Any]]] = [
    ("list_accounts", {}),
    ("get_account_summary", {}),
    ("get_account_balances", {}),
    ("get_account_positions", {}),
    ("get_account_orders", {}),
    ("get_account_trades", {"days": 7}),
    ("get_account_performance", {}),
    ("get_account_transactions", {"symbol": "AAPL"}),
    ("get_alerts", {}),
    ("get_contract_details", {"symbol": "AAPL", "rules": True}),
    ("get_price_snapshot", {"symbols": ["AAPL"], "fields": ["last", "position", "unrealized_pnl"]}),
    ("get_watchlists", {}),
    ("get_notifications", {}),
    ("diagnose", {}),
]


def silent(text: str) -> None:
    for name in OTHERS:
        assert name not in text, text[:600]


async def test_tools_tell_of_the_own_account_only() -> None:
    async with agent("odd", settings=LIMIT) as a:
        told = {name: await a.call(name, **arguments) for name, arguments in TOOLS}
    for answer in told.values():
        silent(answer.text)
    assert [row["account"] for row in told["list_accounts"].rows("accounts")] == [OWN]
    for name in ("get_account_summary", "get_account_positions", "get_account_orders", "get_account_trades"):
        assert not told[name].is_error, told[name].text
        assert told[name].body["account"] == OWN
    # Notifications name accounts in their texts, or not, as IBKR likes.
    assert told["get_notifications"].error["code"] == "operation_forbidden"


@pytest.mark.parametrize("tool", ["get_account_summary", "get_account_positions", "get_account_orders", "get_alerts"])
async def test_another_account_is_as_unknown_as_one_that_does_not_exist(tool: str) -> None:
    async with agent("odd", settings=LIMIT) as a:
        refused = {name: await a.call(tool, account=name) for name in ("U7430001", "U9999999")}
    told = [answer.error["message"].replace(name, "X") for name, answer in refused.items()]
    assert told[0] == told[1]
    assert all(answer.error["action"] == f"Give account, one of: {OWN}." for answer in refused.values())


def _asked(given: dict[str, Any], account: str) -> dict[str, Any]:
    """The arguments of a case, about this account."""
    flat = {**given.get("path", {}), **given.get("body", {}), **given}
    flat.pop("path", None), flat.pop("body", None)

    def put(value: Any) -> Any:
        return account if value == PAPER else [put(one) for one in value] if isinstance(value, list) else value

    return {name: put(value) for name, value in flat.items()}


async def test_no_operation_of_the_catalogue_tells_of_another_account() -> None:
    readable = [(name, given) for name, given, _ in CASES if catalogue.load()[name].effect == "read"]
    assert len(readable) > 50
    answers = 0
    async with agent("odd", settings=LIMIT) as a:
        for name, given in readable:
            for account in (OWN, "U7430001"):
                asked = _asked(given, account)
                answer = await a.call("call_endpoint", endpoint=name, parameters=asked)
                text = (
                    answer.text.replace("U7430001", "") if "U7430001" in str(asked) and answer.is_error else answer.text
                )
                silent(text)
                answers += not answer.is_error
    assert answers > 30


async def test_resources_tell_of_the_own_account_only() -> None:
    async with agent("odd", settings=LIMIT) as a:
        for uri in ("ibkr://accounts", "ibkr://positions", f"ibkr://positions/{OWN}"):
            (found,) = await a.client.read_resource(uri)
            silent(found.text)
            assert OWN in found.text
        with pytest.raises(Exception, match="There is no account"):
            await a.client.read_resource("ibkr://positions/U7430001")


async def test_prices_hide_the_own_position_fields_since_they_are_of_the_selected_account() -> None:
    asked = {"endpoint": "get_price_snapshot", "parameters": {"conids": AAPL, "fields": "31,73,75,76"}}
    async with agent("odd", settings=LIMIT) as limited:
        cut = await _snapshot(limited, asked)
    assert "31" in cut
    assert not cut.keys() & {"73", "75", "76"}


async def _snapshot(a: Agent, asked: dict[str, Any]) -> dict[str, Any]:
    await a.call("call_endpoint", **asked)
    (row,) = (await a.read("call_endpoint", **asked)).body["result"]
    return dict(row)


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_what_one_agent_was_told_is_not_kept_for_another(wire: str) -> None:
    lines = "token-of-the-owner name=owner\ntoken-of-a-guest name=guest accounts=U1000002"
    both, one = ["U1000001", "U1000002"], ["U1000002"]
    async with serving(StubGuard(), token=lines) as client:
        for token, seen in (("owner", both), ("guest", one), ("owner", both)):
            token = "token-of-the-owner" if token == "owner" else "token-of-a-guest"
            asked = question("tools/call", wire, token=token, name="list_accounts", arguments={})
            answer = answered(await client.post("/mcp", **asked))
            found = json.loads(answer["content"][0]["text"])["accounts"]
            assert [row[0] for row in found["rows"]] == seen


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
@pytest.mark.parametrize(
    "call",
    [
        ("edit_watchlist", {"action": "delete", "watchlist": "none"}),
        ("call_endpoint", {"endpoint": "delete_watchlist", "parameters": {"id": "1"}}),
    ],
)
async def test_a_call_beyond_the_scopes_is_answered_with_those_it_takes(wire: str, call: tuple[str, Any]) -> None:
    async with serving(token="token-of-a-guest", allow_writes=True) as client:
        asked = question("tools/call", wire, token="token-of-a-guest", name=call[0], arguments=call[1])
        response = await client.post("/mcp", **asked)
        assert response.status_code == 403
        challenge = response.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="ibkr:read ibkr:write"' in challenge
        assert "ibkr:write" in response.json()["error"]["message"]
        # One that exceeds no scope, on the same connection.
        asked = question("tools/call", wire, token="token-of-a-guest", name="list_accounts", arguments={})
        assert answered(await client.post("/mcp", **asked))["isError"] is False
