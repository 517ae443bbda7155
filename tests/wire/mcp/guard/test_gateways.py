"""One MCP server over two gateways: a paper user's and a live user's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_mcp.guard import router
from ib_mcp.guard.gateway_choice import at
from ib_mcp.settings import McpSettings
from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from ibkr.errors import InvalidRequest, LoginRequired
from ibkr.session import SessionState
from support.agent import GUARD, GUARD_TOKEN, Agent, connected
from support.agent import agent as an_agent
from support.guard import status_of
from support.serve import InProcess
from support.simulated import simulated

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


class Silent(httpx.AsyncBaseTransport):
    """A host that takes questions and never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


@asynccontextmanager
async def gateways(
    live: Literal["live", "paper"] | None = "live",
    *,
    gone: str | None = None,
    silent: str | None = None,
    first: Literal["paper"] | None = "paper",
    hosts: dict[str, httpx.AsyncBaseTransport] | None = None,
    **given: Any,
) -> AsyncIterator[tuple[Agent, dict[str, Simulator]]]:
    """A paper gateway, signed in, and a second one, signed in as ``live``.

    Nothing answers at the host ``gone``; the host ``silent`` takes questions and never answers. ``hosts`` is filled
    with who answers at each, for tests that change it.
    """
    async with AsyncExitStack() as stack:
        hosts = {} if hosts is None else hosts
        simulators: dict[str, Simulator] = {}
        keepalives: dict[str, Keepalive] = {}
        for host, user in (("guard.test", first), ("live.test", live)):
            simulator = simulators[host] = simulated(signed_in=user)
            settings = KeepaliveSettings(gateway_url="http://gateway.test", token=GUARD_TOKEN)
            keepalive = keepalives[host] = Keepalive(settings, InProcess(simulator.app), wall=simulator.clock.now)
            await stack.enter_async_context(keepalive)
            while keepalive.keeper.status().state is SessionState.STARTING:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
            hosts[host] = InProcess(keepalive.data)
        if gone is not None:
            hosts[gone] = Refusing()
        if silent is not None:
            hosts[silent] = Silent()
        made = connected(ByHost(hosts), {"guard_url": GUARD, "extra_guards": [LIVE]} | given)
        server, client = await stack.enter_async_context(made)
        yield Agent(client, server, simulators["guard.test"], keepalives["guard.test"]), simulators


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


def count(simulator: Simulator, *operations: str) -> int:
    return sum(request.endpoint in operations for request in simulator.requests)


async def sign_out(simulator: Simulator) -> None:
    """End the sign-in, and wait until the keeper has seen it."""
    simulator.session.end("for the test")
    await asyncio.sleep(60)


async def test_the_accounts_of_a_gateway_that_is_signed_out_stay_its_own() -> None:
    async with gateways() as (agent, simulators):
        await agent.read("list_accounts")
        await sign_out(simulators["live.test"])
        named = await agent.call("get_account_positions", account="U7420002")
        assert named.error["code"] == "login_required"
        unnamed = await agent.call("get_account_positions")
        assert unnamed.error["code"] == "invalid_request"
        assert "U7420002" in unnamed.error["action"]
        assert not count(simulators["guard.test"], "list_positions")


async def test_a_default_account_whose_gateway_is_signed_out_is_not_swapped_for_another() -> None:
    async with gateways(live=None, default_account="U7420002") as (agent, simulators):
        answer = await agent.call("get_account_positions")
        assert answer.error["code"] == "login_required"
        assert "'live'" in answer.error["message"]
        assert not count(simulators["guard.test"], "list_positions")


async def test_which_account_is_meant_is_not_guessed_while_a_gateway_has_never_told_its_own() -> None:
    async with gateways(live=None) as (agent, simulators):
        answer = await agent.call("get_account_positions")
        assert answer.error["code"] == "login_required"
        assert not count(simulators["guard.test"], "list_positions")
        assert (await agent.read("get_account_positions", account="DU7420001")).body["account"] == "DU7420001"


async def test_a_gateway_that_answers_rubbish_keeps_its_accounts() -> None:
    async with gateways() as (agent, simulators):
        await agent.read("list_accounts")
        rubbish = FaultSpec(kind="answer", endpoint="list_portfolio_accounts", status=200, body={"odd": 1})
        simulators["live.test"].faults.add(rubbish)
        await asyncio.sleep(61)
        answer = await agent.read("get_account_positions", account="U7420002")
        assert answer.body["account"] == "U7420002"


@pytest.mark.parametrize(
    ("endpoint", "parameters"),
    [
        ("list_live_orders", {"accountId": "U7420002"}),
        ("list_subaccounts_by_page", {"accountId": "U7420002", "page": "0"}),
        ("get_account_meta", {"accountId": "U7420002"}),
        ("get_performance", {"acctIds": ["U7420002"], "period": "1M"}),
    ],
)
async def test_an_account_counts_wherever_it_is_named(endpoint: str, parameters: dict[str, Any]) -> None:
    async with gateways() as (agent, simulators):
        await agent.call("call_endpoint", endpoint=endpoint, parameters=parameters)
        assert count(simulators["live.test"], endpoint)
        assert not count(simulators["guard.test"], endpoint)


async def test_accounts_of_two_gateways_are_not_asked_of_one() -> None:
    async with gateways() as (agent, _):
        body = {"acctIds": ["U7420002", "DU7420001"], "period": "1M"}
        answer = await agent.call("call_endpoint", endpoint="get_performance", parameters=body)
        assert answer.error["code"] == "invalid_request"
        assert "different gateways" in answer.error["message"]


@pytest.mark.parametrize(
    ("tool", "arguments", "operation"),
    [
        ("call_endpoint", {"endpoint": "list_watchlists"}, "list_watchlists"),
        ("get_watchlists", {}, "list_watchlists"),
        ("get_notifications", {}, "list_notifications"),
        ("get_price_snapshot", {"symbols": ["AAPL"]}, "get_price_snapshot"),
        ("run_scanner", {}, "run_scanner"),
        ("get_contract_details", {"symbol": "IBM"}, "get_security_definitions"),
    ],
)
async def test_whatever_is_about_no_account_can_name_its_gateway_and_says_it(
    tool: str, arguments: dict[str, Any], operation: str
) -> None:
    async with gateways() as (agent, simulators):
        answer = await agent.read(tool, **arguments, gateway="live")
        assert answer.body["gateway"] == "live"
        assert count(simulators["live.test"], operation)
        assert not count(simulators["guard.test"], operation)
        unknown = await agent.call(tool, **arguments, gateway="papre")
        assert "default, live" in unknown.error["action"]


async def test_a_named_gateway_says_which_account_is_meant() -> None:
    async with gateways() as (agent, simulators):
        assert (await agent.read("get_account_orders", gateway="default")).body["account"] == "DU7420001"
        assert not count(simulators["live.test"], "list_live_orders")
        order = (await agent.read("get_account_orders", account="U7420002", status="all")).rows("orders")[0]
        found = (await agent.read("get_order_status", order_id=order["order_id"], gateway="live")).body
        assert (found["account"], found["gateway"]) == ("U7420002", "live")
        several = await agent.call("get_account_orders", gateway="live")
        assert "U7420002, U7420003" in several.error["action"]


async def test_an_account_is_not_asked_of_a_gateway_that_does_not_have_it() -> None:
    async with gateways() as (agent, simulators):
        for tool, given in [
            ("get_alerts", {"account": "U7420002"}),
            ("call_endpoint", {"endpoint": "list_alerts", "parameters": {"accountId": "U7420002"}}),
        ]:
            answer = await agent.call(tool, **given, gateway="default")
            assert answer.error["code"] == "invalid_request"
        assert "give live" in answer.error["action"]
        assert not count(simulators["guard.test"], "list_alerts")


async def test_the_default_account_is_not_meant_at_a_gateway_that_has_others() -> None:
    async with gateways(default_account="U7420002") as (agent, _):
        assert (await agent.read("get_account_orders", gateway="default")).body["account"] == "DU7420001"
        assert (await agent.read("get_account_orders", gateway="live")).body["account"] == "U7420002"


async def test_session_and_accounts_of_one_gateway_can_be_asked_for() -> None:
    async with gateways(live=None) as (agent, _):
        assert (await agent.read("get_session_status", gateway="default")).body["state"] == "authenticated"
        assert (await agent.read("get_session_status", gateway="live")).body["state"] == "login_required"
        listed = await agent.read("list_accounts", gateway="default")
        assert [row["account"] for row in listed.rows("accounts")] == ["DU7420001"]


async def test_each_agent_hears_which_gateways_answered_a_look_up_that_was_merged() -> None:
    async with gateways() as (agent, simulators):
        one, other, elsewhere = await asyncio.gather(
            agent.read("get_contract_details", symbol="IBM"),
            agent.read("get_contract_details", symbol="MSFT"),
            agent.read("get_contract_details", symbol="SPY", gateway="live"),
        )
        assert (one.body["gateway"], other.body["gateway"], elsewhere.body["gateway"]) == ("default", "default", "live")
        assert count(simulators["guard.test"], "search_stocks") == 1


async def test_a_gateway_can_be_named_only_where_there_are_several() -> None:
    async with gateways() as (agent, _):
        for tool in await agent.client.list_tools():
            assert tool.input_schema["properties"]["gateway"] == {"enum": ["default", "live"]}
    async with an_agent() as agent:
        assert not [tool for tool in await agent.client.list_tools() if "gateway" in tool.input_schema["properties"]]
        assert (await agent.call("get_watchlists", gateway="default")).error["code"] == "invalid_request"


async def test_what_is_about_no_account_goes_to_the_first_usable_gateway_and_the_answer_says_which() -> None:
    async with gateways(first=None) as (agent, simulators):
        answer = await agent.read("get_price_snapshot", symbols=["AAPL"])
        assert answer.body["gateway"] == "live"
        assert not count(simulators["guard.test"], "get_price_snapshot")
    async with gateways() as (agent, simulators):
        assert (await agent.read("get_price_snapshot", symbols=["AAPL"])).body["gateway"] == "default"
        await sign_out(simulators["guard.test"])
        assert (await agent.read("get_price_snapshot", symbols=["IBM"])).body["gateway"] == "live"


async def test_look_ups_for_a_healthy_gateway_are_not_refused_for_one_that_is_signed_out() -> None:
    async with gateways(first=None) as (agent, _):
        answers = await asyncio.gather(
            agent.call("get_account_positions", account="U7420002"),
            agent.call("get_contract_details", symbol="AAPL"),
            agent.call("get_account_positions", account="U7420003"),
        )
        assert not [answer.text for answer in answers if answer.is_error]


@pytest.mark.parametrize("silent", ["guard.test", "live.test"])
async def test_one_silent_gateway_costs_the_others_three_seconds_once(silent: str) -> None:
    account = "DU7420001" if silent == "live.test" else "U7420002"
    async with gateways(silent=silent) as (agent, _):
        loop = asyncio.get_running_loop()
        took = []
        for tool, arguments in [
            ("get_account_positions", {"account": account}),
            ("get_price_snapshot", {"symbols": ["AAPL"]}),
            ("get_account_positions", {"account": account}),
        ]:
            began = loop.time()
            await agent.read(tool, **arguments)
            took.append(loop.time() - began)
            await asyncio.sleep(5)
        assert sum(took) < 3 + 5
        assert max(took[1:]) < 3
        await asyncio.sleep(120)
        began = loop.time()
        await agent.read("get_account_positions", account=account)
        assert loop.time() - began < 4


async def test_nobody_waits_again_for_a_gateway_that_stays_silent_and_it_is_seen_when_it_is_back() -> None:
    hosts: dict[str, httpx.AsyncBaseTransport] = {}
    async with gateways(hosts=hosts, live=None) as (agent, simulators):
        loop, answering = asyncio.get_running_loop(), hosts["live.test"]
        hosts["live.test"] = Silent()
        took = []
        for _ in range(20):
            began = loop.time()
            await agent.read("get_account_positions", account="DU7420001")
            await agent.read("get_price_snapshot", symbols=["AAPL"])
            took.append(loop.time() - began)
            await asyncio.sleep(31)
        assert sum(each for each in took[1:] if each > 1) == 0
        simulators["live.test"].sign_in("live")
        hosts["live.test"] = answering
        await asyncio.sleep(60)
        assert (await agent.read("get_account_positions", account="U7420002")).body["account"] == "U7420002"


async def test_a_gateway_that_is_slow_to_list_its_accounts_is_not_taken_for_a_silent_one() -> None:
    async with gateways(first=None) as (agent, simulators):
        slow = FaultSpec(kind="latency", endpoint="list_portfolio_accounts", seconds=7)
        simulators["live.test"].faults.add(slow)
        await agent.call("get_account_positions")
        assert (await agent.read("get_price_snapshot", symbols=["AAPL"])).body["gateway"] == "live"


async def test_accounts_of_a_former_user_are_not_asked_of_a_gateway() -> None:
    async with gateways("paper") as (agent, simulators):
        await agent.read("list_accounts")
        simulators["guard.test"].sign_in("live")
        await asyncio.sleep(90)
        simulators["guard.test"].requests.clear()
        positions = {"accountId": "DU7420001", "pageId": "0"}
        for _ in range(3):
            found = await agent.read("call_endpoint", endpoint="list_positions", parameters=positions)
            assert found.body["result"]
        assert not [row for row in simulators["guard.test"].requests if "DU7420001" in row.path]


async def test_an_account_is_not_denied_while_a_gateway_is_silent_that_may_have_got_it() -> None:
    hosts: dict[str, httpx.AsyncBaseTransport] = {}
    async with gateways(hosts=hosts) as (agent, _):
        await agent.read("list_accounts")
        assert (await agent.call("get_account_positions", account="U7")).error["code"] == "invalid_request"
        hosts["live.test"] = Refusing()
        answer = await agent.call("get_account_positions", account="U7")
        assert answer.error["code"] == "upstream_unreachable"
        assert "'live'" in answer.error["message"]
        # What is known stays so.
        assert (await agent.read("get_account_positions", account="DU7420001")).body["account"] == "DU7420001"


async def test_what_is_about_an_account_of_nobody_is_not_answered_of_another_user() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/status":
            return httpx.Response(200, json=status_of(SessionState.AUTHENTICATED).to_json())
        assert request.url.path.endswith("/portfolio/accounts")
        return httpx.Response(200, json=[{"accountId": request.url.host}])

    settings = McpSettings(guard_url=GUARD, guard_token=GUARD_TOKEN, extra_guards=[LIVE])
    async with router.connect(settings, httpx.MockTransport(answer)) as guard:
        await guard.call("list_portfolio_accounts")
        for named in (None, "live"):
            with at(named), pytest.raises(InvalidRequest, match="No gateway has the account 'U9'"):
                await guard.call("list_live_orders", account="U9")


async def test_an_account_is_also_looked_for_where_somebody_signed_in_since_it_was_listed() -> None:
    numbers = {"guard.test": 1, "live.test": 1}
    is_refused = False

    def answer(request: httpx.Request) -> httpx.Response:
        told = {"ib-sign-in": str(numbers[request.url.host])}
        if request.url.path.endswith("/portfolio/accounts"):
            return httpx.Response(200, json=[{"accountId": "U1"}], headers=told)
        if request.url.host == "guard.test" and is_refused:
            return httpx.Response(503, json=LoginRequired("Nobody is signed in.").envelope(), headers=told)
        return httpx.Response(200, json={"host": request.url.host}, headers=told)

    settings = McpSettings(guard_url=GUARD, guard_token=GUARD_TOKEN, extra_guards=[LIVE])
    async with router.connect(settings, httpx.MockTransport(answer)) as guard:
        await guard.call("list_portfolio_accounts")
        numbers["live.test"], is_refused = 2, True
        with at("live"):
            await guard.call("count_unread_notifications")
        assert (await guard.call("get_ledger", path={"accountId": "U1"})).body == {"host": "live.test"}


async def test_a_gateway_that_has_become_slow_holds_up_nobody_for_accounts_that_are_known() -> None:
    async with gateways() as (agent, simulators):
        loop = asyncio.get_running_loop()
        await agent.read("list_accounts")
        simulators["live.test"].faults.add(FaultSpec(kind="latency", seconds=2))
        for _ in range(5):
            await asyncio.sleep(61)
            began = loop.time()
            await agent.read("get_account_positions", account="DU7420001")
            assert loop.time() - began < 0.8


async def test_the_same_account_on_two_gateways_is_one_and_served_by_the_open_one() -> None:
    async with gateways("paper") as (agent, simulators):
        assert [row["account"] for row in (await agent.read("list_accounts")).rows("accounts")] == ["DU7420001"]
        assert (await agent.read("get_account_positions")).body["account"] == "DU7420001"
        assert count(simulators["guard.test"], "list_positions")
        await sign_out(simulators["guard.test"])
        assert (await agent.read("get_account_positions")).body["account"] == "DU7420001"
        assert count(simulators["live.test"], "list_positions")


async def test_another_users_sign_in_is_seen_in_accounts_and_mode_at_once() -> None:
    async with gateways() as (agent, simulators):
        listed = (await agent.read("list_accounts")).rows("accounts")
        assert {(row["account"], row["mode"]) for row in listed} >= {("DU7420001", "paper")}
        simulators["guard.test"].sign_in("live")
        await asyncio.sleep(75)
        rows = (await agent.read("list_accounts")).rows("accounts")
        by_gateway = {(row["account"], row["mode"]) for row in rows}
        assert "DU7420001" not in {account for account, _ in by_gateway}
        assert {mode for _, mode in by_gateway} == {"live"}
