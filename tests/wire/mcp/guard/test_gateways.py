"""One MCP server over two gateways: a paper user's and a live user's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.app import Simulator
from ibkr.session import SessionState
from support.agent import GUARD, GUARD_TOKEN, Agent, connected
from support.serve import InProcess

pytestmark = pytest.mark.looptime
LIVE = {"name": "live", "url": "http://live.test", "token": GUARD_TOKEN}


class ByHost(httpx.AsyncBaseTransport):
    """Sends each request to the app of its host."""

    def __init__(self, hosts: dict[str, httpx.AsyncBaseTransport]) -> None:
        self._hosts = hosts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._hosts[request.url.host].handle_async_request(request)


class Refusing(httpx.AsyncBaseTransport):
    """A host where nothing listens."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)


@asynccontextmanager
async def gateways(
    live: Literal["live"] | None = "live", *, gone: str | None = None
) -> AsyncIterator[tuple[Agent, dict[str, Simulator]]]:
    """A paper gateway, signed in, and a second one, signed in as ``live``; nothing answers at the host ``gone``."""
    async with AsyncExitStack() as stack:
        hosts: dict[str, httpx.AsyncBaseTransport] = {}
        simulators: dict[str, Simulator] = {}
        for host, user in (("guard.test", "paper"), ("live.test", live)):
            simulator = simulators[host] = Simulator(7, signed_in=user)
            settings = KeepaliveSettings(gateway_url="http://gateway.test", token=GUARD_TOKEN)
            keepalive = Keepalive(settings, InProcess(simulator.app), wall=simulator.clock.now)
            await stack.enter_async_context(keepalive)
            while keepalive.keeper.status().state is SessionState.STARTING:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
            hosts[host] = InProcess(keepalive.data)
        if gone is not None:
            hosts[gone] = Refusing()
        given = connected(ByHost(hosts), {"guard_url": GUARD, "extra_guards": [LIVE]})
        server, client = await stack.enter_async_context(given)
        yield Agent(client, server, simulators["guard.test"]), simulators


async def test_the_accounts_of_all_gateways_are_listed_together() -> None:
    async with gateways() as (agent, _):
        rows = (await agent.read("list_accounts")).rows("accounts")
        assert [row["account"] for row in rows] == ["DU7420001", "U7420002", "U7420003"]


async def test_a_question_goes_to_the_gateway_of_its_account() -> None:
    async with gateways() as (agent, simulators):
        await agent.read("list_accounts")
        for simulator in simulators.values():
            simulator.requests.clear()
        answer = await agent.read("get_account_positions", account="U7420002")
        assert answer.body["account"] == "U7420002"
        assert not [row for row in simulators["guard.test"].requests if "/positions" in row.path]
        await agent.read("get_account_orders", account="U7420002")
        assert not [row for row in simulators["guard.test"].requests if row.path.endswith("/account/orders")]


async def test_an_order_is_looked_up_at_the_gateway_of_its_account() -> None:
    async with gateways() as (agent, _):
        order = (await agent.read("get_account_orders", account="U7420002", status="all")).rows("orders")[0]
        found = (await agent.read("get_order_status", order_id=order["order_id"], account="U7420002")).body
        assert (found["account"], found["conid"]) == ("U7420002", order["conid"])


async def test_the_state_of_each_gateway_is_told() -> None:
    async with gateways(live=None) as (agent, _):
        status = (await agent.read("get_session_status")).body
        assert status["usable"]
        assert status["gateways"]["default"]["state"] == "authenticated"
        assert status["gateways"]["live"]["code"] == "login_required"


async def test_a_guard_that_is_gone_hides_neither_state_nor_accounts_of_the_others() -> None:
    async with gateways(gone="guard.test") as (agent, _):
        status = (await agent.read("get_session_status")).body
        assert status["usable"]
        assert status["gateways"]["default"]["code"] == "upstream_unreachable"
        assert status["gateways"]["live"]["state"] == "authenticated"
        listed = await agent.read("list_accounts")
        assert [row["account"] for row in listed.rows("accounts")] == ["U7420002", "U7420003"]
        assert {(row["mode"], row["gateway"]) for row in listed.rows("accounts")} == {("live", "live")}
        assert listed.body["gateways_without_accounts"] == ["default"]


async def test_reopening_tells_of_each_gateway_what_came_of_it() -> None:
    async with gateways(live=None) as (agent, _):
        answer = (await agent.read("reopen_session")).body
        assert answer["gateways"]["default"]["state"] == "authenticated"
        assert answer["gateways"]["live"]["code"] == "login_required"


async def test_diagnosis_goes_through_the_links_of_every_gateway() -> None:
    async with gateways(live=None) as (agent, _):
        found = (await agent.read("diagnose")).body
        assert not found["ok"]
        assert found["gateways"]["default"]["ok"]
        assert found["gateways"]["live"]["broken"] == "sign-in"


async def test_a_gateway_without_a_login_hides_no_account_of_the_others() -> None:
    async with gateways(live=None) as (agent, _):
        rows = (await agent.read("list_accounts")).rows("accounts")
        assert [row["account"] for row in rows] == ["DU7420001"]


async def test_a_question_about_no_account_goes_to_a_gateway_that_has_a_session() -> None:
    async with gateways(gone="guard.test") as (agent, _):
        (row,) = (await agent.read("get_price_snapshot", symbols=["AAPL"])).rows("prices")
        assert row["symbol"] == "AAPL"
