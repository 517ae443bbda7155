"""Writes that are no orders: tools, call_endpoint and generated tools, with their switch and their scope."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_mcp.auth import granted
from ib_mcp.server.server import TOOLS, WRITING_TOOLS
from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from ib_simulator.world.accounts import ACCOUNTS
from ibkr import catalogue
from support import documents
from support.agent import Agent, agent, connected
from support.answers import body_of
from support.calls import CASES

pytestmark = pytest.mark.looptime

LIVE = ACCOUNTS["live"][0].id
OWN = {function.__name__ for function in TOOLS}
EDITS = {function.__name__ for function in WRITING_TOOLS}
WRITES = {row.id: row for row in catalogue.load() if row.effect == "write" and row.status != "unsupported"}


async def names(a: Agent) -> set[str]:
    return {tool.name for tool in await a.client.list_tools()}


def asked(a: Agent, operation: str) -> int:
    return sum(request.endpoint == operation for request in a.simulator.requests)


def edit(a: Agent, action: str, watchlist: str, *symbols: str) -> Any:
    return a.call("edit_watchlist", action=action, watchlist=watchlist, **({"symbols": symbols} if symbols else {}))


async def symbols_of(a: Agent, watchlist: str) -> list[str]:
    return [row["symbol"] for row in (await a.read("get_watchlists", watchlist=watchlist)).rows("instruments")]


async def test_editing_tools_are_listed_only_where_writes_are_on() -> None:
    async with agent(None) as a:
        assert await names(a) == OWN
        assert (await edit(a, "delete", "x")).error["code"] == "operation_unknown"
    async with agent(None, allow_writes=True) as a:
        tools = {tool.name: tool for tool in await a.client.list_tools()}
        assert set(tools) == OWN | EDITS
        for name in (*EDITS, "call_endpoint"):
            assert tools[name].annotations is not None
            assert tools[name].annotations.read_only_hint is False
            assert tools[name].annotations.destructive_hint is True
        assert len(json.dumps([tool.model_dump(mode="json") for tool in tools.values()])) < 25_000


async def test_a_watchlist_is_made_changed_and_deleted() -> None:
    async with agent(allow_writes=True) as a:
        before = {row["id"] for row in (await a.read("get_watchlists")).rows("watchlists")}
        made = (await edit(a, "create", "Chips", "NVDA", "AMD")).body["watchlist"]
        assert made["id"] not in before
        assert made["instruments"] == 2
        assert await symbols_of(a, "chips") == ["NVDA", "AMD"]
        await edit(a, "add", "Chips", "MSFT", "AMD")
        assert await symbols_of(a, "Chips") == ["NVDA", "AMD", "MSFT"]
        await edit(a, "remove", made["id"], "NVDA", "MSFT")
        assert await symbols_of(a, "Chips") == ["AMD"]
        assert (await edit(a, "delete", "Chips")).body["deleted"]["id"] == made["id"]
        assert {row["id"] for row in (await a.read("get_watchlists")).rows("watchlists")} == before


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (("create", "Favourites"), "There is a watchlist"),
        (("add", "Favourites"), "needs symbols"),
        (("delete", "Favourites", "AAPL"), "takes no symbols"),
        (("add", "no such list", "AAPL"), "There is no watchlist"),
        (("add", "Favourites", "NOSUCHNAME"), "NOSUCHNAME"),
    ],
)
async def test_a_wrong_edit_of_a_watchlist_sends_nothing(given: tuple[str, ...], hint: str) -> None:
    async with agent(allow_writes=True) as a:
        refused = await edit(a, *given)
        assert hint in refused.error["message"]
        assert not asked(a, "save_watchlist")
        assert not asked(a, "delete_watchlist")


async def test_an_alert_is_set_switched_and_deleted() -> None:
    async with agent("live", allow_writes=True) as a:
        given = {"symbol": "AAPL", "operator": "<=", "price": "200.5", "until": "2026-12-31", "account": LIVE}
        made = await a.read("edit_alert", action="create", **given)
        alert = str(made.body["created"]["alert_id"])
        read = await a.read("get_alerts", alert_id=alert, account=LIVE)
        (condition,) = read.rows("conditions")
        assert (condition["symbol"], condition["operator"], condition["value"]) == ("AAPL", "<=", 200.5)
        assert read.body["time_in_force"] == "GTD"
        await a.read("edit_alert", action="deactivate", alert_id=alert, account=LIVE)
        assert (await a.read("get_alerts", alert_id=alert, account=LIVE)).body["active"] is False
        await a.read("edit_alert", action="delete", alert_id=alert, account=LIVE)
        assert (await a.call("get_alerts", alert_id=alert, account=LIVE)).error["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"action": "create", "symbol": "AAPL"}, "needs operator, price"),
        ({"action": "create", "symbol": "AAPL", "operator": ">=", "price": 1, "alert_id": "5"}, "takes no alert_id"),
        ({"action": "create", "symbol": "AAPL", "operator": ">=", "price": -1}, "price"),
        ({"action": "delete"}, "takes alert_id"),
        ({"action": "delete", "alert_id": "0"}, "alert_id"),
        ({"action": "delete", "alert_id": "5"}, "There is no alert 5"),
        ({"action": "activate", "alert_id": "5", "price": 3}, "takes alert_id alone"),
    ],
)
async def test_a_wrong_edit_of_an_alert_sends_nothing(given: dict[str, Any], hint: str) -> None:
    async with agent(allow_writes=True) as a:
        refused = await a.call("edit_alert", **given)
        assert refused.error["code"] == "invalid_request"
        assert hint in refused.error["message"]
        assert not {"save_alert", "delete_alert", "activate_alert"} & {one.endpoint for one in a.simulator.requests}


async def test_an_alert_that_ibkr_refuses_with_status_200_is_an_error() -> None:
    body = {"success": False, "text": "Alert name can't be changed"}
    fault = FaultSpec(kind="answer", endpoint="save_alert", status=200, body=body)
    async with agent(allow_writes=True, prepare=lambda simulator: _add(simulator, fault)) as a:
        refused = await a.call("edit_alert", action="create", symbol="AAPL", operator=">=", price=1)
        assert refused.error["code"] == "upstream_error"
        assert "can't be changed" in refused.error["message"]


def _add(simulator: Simulator, fault: FaultSpec) -> None:
    simulator.faults.add(fault)


async def test_an_edit_whose_answer_was_lost_says_so_and_is_not_repeated() -> None:
    fault = FaultSpec(kind="reset", endpoint="save_watchlist", processed=True)
    async with agent(allow_writes=True, prepare=lambda simulator: _add(simulator, fault)) as a:
        refused = await edit(a, "create", "Chips", "NVDA")
        assert refused.error["code"] == "outcome_unknown"
        assert "Do not send it again" in refused.error["action"]
        assert asked(a, "save_watchlist") == 1
        # It was done, and reading shows it.
        assert await symbols_of(a, "Chips") == ["NVDA"]


@pytest.mark.parametrize("ends", ["hangs", "breaks", "refuses"])
async def test_a_guard_that_goes_away_during_a_write_leaves_its_outcome_unknown(ends: str) -> None:
    seen: list[str] = []

    async def answered(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        match ends:
            case "hangs":
                await asyncio.sleep(3600)
            case "breaks":
                raise httpx.ReadError("gone")
        raise httpx.ConnectError("refused")

    given = {"endpoint": "delete_watchlist", "parameters": {"id": "100"}}
    async with connected(httpx.MockTransport(answered), {"allow_writes": True, "deadline_s": 5}) as (_, client):
        found = body_of(await client.call_tool("call_endpoint", given, raise_on_error=False))
    assert found["error"]["code"] == ("upstream_unreachable" if ends == "refuses" else "outcome_unknown")
    assert seen == ["DELETE"]


def known(name: str, given: dict[str, Any]) -> dict[str, Any]:
    row = catalogue.load()[name]
    wanted = {*row.path_parameters, *(one.name for one in (*row.query, *row.body))}
    flat = {**given, **given.get("path", {}), **given.get("body", {})}
    return {key: value for key, value in flat.items() if key in wanted}


async def test_every_write_goes_by_call_endpoint_and_as_a_generated_tool(tmp_path: Path) -> None:
    (spec := tmp_path / "all.json").write_text(json.dumps(documents.of_catalogue()), "utf-8")
    cases = {name: known(name, given) for name, given, _ in CASES if name in WRITES}
    assert len(cases) > 12
    for by_call in (True, False):
        async with agent(allow_writes=True, settings={"spec": str(spec)}) as a:
            for name, given in cases.items():
                given = dict.fromkeys((p.name for p in WRITES[name].body if p.required), "x") | given
                call = ("call_endpoint", {"endpoint": name, "parameters": given}) if by_call else (name, given)
                answer = await a.call(call[0], **call[1])
                assert asked(a, name) == 1, (name, answer.text)
                code = None if not answer.is_error else answer.error["code"]
                assert code in (None, "upstream_error"), (name, answer.text)


@pytest.mark.parametrize("scopes", [frozenset({"ibkr:read"}), frozenset({"ibkr:read", "ibkr:write"})])
async def test_operations_that_write_need_the_scope(scopes: frozenset[str]) -> None:
    may = "ibkr:write" in scopes
    async with agent(allow_writes=True) as a:
        tool = (await a.server.get_tool("call_endpoint")).run  # past the transport, whose agents show no token
        mark = granted.current.set(granted.Grant("tests", scopes))
        try:
            calling = tool({"endpoint": "delete_watchlist", "parameters": {"id": "100"}})
            if may:
                await calling
            else:
                with pytest.raises(Exception, match="not a reading operation"):
                    await calling
        finally:
            granted.current.reset(mark)
        assert asked(a, "delete_watchlist") == may
