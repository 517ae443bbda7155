"""What is asked of the guard about orders, where there are several gateways."""

from __future__ import annotations

import asyncio
import json

import anyio
import httpx
import pytest

from ib_mcp.guard import gateway_choice, router
from ib_mcp.guard.desk import Desk
from ib_mcp.settings import McpSettings
from ibkr.errors import InvalidRequest
from ibkr.session import SessionState
from support.guard import status_of

pytestmark = pytest.mark.looptime
SETTINGS = McpSettings(
    guard_url="http://default.test",
    guard_token="secret",
    extra_guards=[{"name": "live", "url": "http://live.test", "token": "secret"}],
)


async def test_orders_of_an_account_at_two_gateways_go_by_the_first_of_them_even_while_the_other_is_open() -> None:
    """Each guard remembers its own orders: what became of one is not known to the other, which would send it again."""
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/status":
            is_open = request.url.host == "live.test"
            state = SessionState.AUTHENTICATED if is_open else SessionState.HUNG
            return httpx.Response(200, json=status_of(state).to_json())
        if path.endswith("/portfolio/accounts"):
            return httpx.Response(200, json=[{"accountId": "U1"}])
        asked.append((request.url.host.partition(".")[0], path.rpartition("/")[2]))
        return httpx.Response(200, json={"orders": []})

    async with router.connect(SETTINGS, httpx.MockTransport(answer)) as guard:
        await guard.call("list_portfolio_accounts")
        await guard.call("get_ledger", path={"accountId": "U1"})
        await Desk(guard).orders("U1")
        await Desk(guard).ticket("U1", [{}], {})
        await guard.call("place_orders", path={"accountId": "U1"}, body={"orders": []})
        with gateway_choice.at("live"):
            await Desk(guard).orders("U1")
        with pytest.raises(InvalidRequest, match="has to name its gateway"):
            await guard.call("answer_order_question", path={"replyId": "1"}, body={"confirmed": True})
    assert asked == [
        ("live", "ledger"),
        ("default", "orders"),
        ("default", "tickets"),
        ("default", "orders"),
        ("live", "orders"),
    ]


async def test_trading_stops_at_every_gateway_and_it_is_told_where_it_did_not() -> None:
    silent: set[str] = set()
    stopped: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/trading/stop")
        if request.url.host in silent:
            await asyncio.Event().wait()
        stopped.append(request.url.host)
        return httpx.Response(200, json={"stopped": json.loads(request.content), "cancelled": []})

    async with router.connect(SETTINGS, httpx.MockTransport(answer)) as guard:
        desk = Desk(guard)
        found = await desk.stop("too wild", cancel_orders=True)
        assert found["stopped"] is True
        assert sorted(stopped) == ["default.test", "live.test"]
        assert found["gateways"]["live"]["stopped"]["reason"] == "too wild"
        silent.add("default.test")
        with anyio.fail_after(20):
            found = await desk.stop("still", cancel_orders=False)
        assert found["stopped"] is False
        assert found["gateways"]["live"]["stopped"]
        assert found["gateways"]["default"]["error"]["code"] in ("upstream_timeout", "outcome_unknown")
        silent.clear()
        stopped.clear()
        with gateway_choice.at("live"):
            await desk.stop("this one", cancel_orders=False)
        assert stopped == ["live.test"]
