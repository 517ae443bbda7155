"""What an agent is told when IBKR cannot be used: why, and what to do."""

from __future__ import annotations

import asyncio
import re

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.agent import Agent, agent
from support.backend import gateway_only

pytestmark = pytest.mark.looptime

LOGIN = "http://localhost:5443/"


async def becomes(a: Agent, state: str) -> None:
    """Wait until the keeper has noticed."""
    async with asyncio.timeout(120):
        while (await a.read("get_session_status")).body["state"] != state:  # noqa: ASYNC110
            await asyncio.sleep(1)


async def test_signed_out_every_tool_says_where_to_sign_in() -> None:
    async with agent(None) as a:
        status = (await a.read("get_session_status")).body
        assert (status["state"], status["usable"], status["login"]) == ("login_required", False, LOGIN)
        for tool, arguments in (("list_accounts", {}), ("get_price_snapshot", {"symbols": ["AAPL"]})):
            refused = await a.call(tool, **arguments)
            assert refused.error["code"] == "login_required"
            assert refused.error["login"] == LOGIN
            assert refused.error["action"]


@gateway_only("a sign-in by keys has no end")
async def test_an_open_session_says_its_mode_and_end() -> None:
    async with agent("live") as a:
        status = (await a.read("get_session_status")).body
        assert (status["state"], status["usable"], status["mode"]) == ("authenticated", True, "live")
        assert status["login_expected_to_end"]
        assert "code" not in status


async def test_an_agent_can_reopen_a_dropped_brokerage_session() -> None:
    async with agent() as a:
        # The keeper asks IBKR no sooner than 25 s after its own start.
        await asyncio.sleep(30)
        a.simulator.session.drop("told to", connected_at=a.simulator.clock.now())
        await becomes(a, "reopening")
        refused = await a.call("get_price_snapshot", symbols=["AAPL"])
        assert refused.error["code"] == "session_reopening"
        assert "reopen_session" in refused.error["action"]
        reopened = (await a.read("reopen_session")).body
        assert (reopened["state"], reopened["usable"]) == ("authenticated", True)
        await a.read("get_price_snapshot", symbols=["AAPL"])


async def test_reopening_too_soon_says_how_long_to_wait() -> None:
    async with agent() as a:
        a.simulator.session.drop("told to", connected_at=a.simulator.clock.now())
        await becomes(a, "reopening")
        refused = await a.call("reopen_session")
        assert refused.error["code"] == "pacing_limited"
        await asyncio.sleep(refused.error["retry_after_s"])
        assert (await a.read("reopen_session")).body["usable"]


async def test_reopening_is_no_cure_for_a_missing_sign_in() -> None:
    async with agent(None) as a:
        refused = await a.call("reopen_session")
        assert refused.error["code"] == "login_required"
        assert refused.error["login"] == LOGIN


@gateway_only("the keeper itself opens the session after a sign-in by keys, and takes it from others")
async def test_a_competing_session_is_named_and_not_fought() -> None:
    async with agent() as a:
        a.simulator.session.compete(None)
        await becomes(a, "competing")
        assert (await a.call("get_price_snapshot", symbols=["AAPL"])).error["code"] == "session_competing"
        assert (await a.call("reopen_session")).error["code"] == "session_competing"
        assert all(request.endpoint != "open_brokerage_session" for request in a.simulator.requests)


async def test_maintenance_is_no_login_problem() -> None:
    async with agent() as a:
        a.simulator.session.maintain(a.simulator.clock.now() + 3600)
        await becomes(a, "maintenance")
        assert (await a.call("list_accounts")).error["code"] == "maintenance"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_error_of_ibkr_is_no_login_problem(status: int) -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_ledger", status=status, body={"error": "no"}))
        refused = await a.call("get_account_balances")
        assert refused.error["code"] == ("pacing_limited" if status == 429 else "upstream_error")
        assert "login" not in refused.error


async def test_a_gateway_that_never_answers_is_given_up_in_time() -> None:
    async with agent(settings={"deadline_s": 5}) as a:
        a.simulator.faults.add(FaultSpec(kind="hang", endpoint="get_ledger"))
        started = asyncio.get_running_loop().time()
        refused = await a.call("get_account_balances")
        assert asyncio.get_running_loop().time() - started <= 5.5
        assert refused.error["code"] == "upstream_timeout"


async def test_an_answer_that_is_no_json_is_an_error_of_ibkr() -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="wrong_json", endpoint="get_ledger"))
        assert (await a.call("get_account_balances")).error["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("state", "broken"),
    [("out", "sign-in"), ("dropped", "brokerage session"), ("maintenance", "sign-in"), ("silent", "gateway")],
)
async def test_diagnose_names_the_first_broken_link(state: str, broken: str) -> None:
    async with agent(None if state == "out" else "paper") as a:
        match state:
            case "dropped":
                a.simulator.session.drop("told to", connected_at=a.simulator.clock.now())
                await becomes(a, "reopening")
            case "maintenance":
                a.simulator.session.maintain(a.simulator.clock.now() + 3600)
                await becomes(a, "maintenance")
            case "silent":
                a.simulator.faults.add(FaultSpec(kind="hang"))
                await becomes(a, "hung")
        found = (await a.read("diagnose")).body
        assert (found["ok"], found["broken"]) == (False, broken)
        assert found["checks"][-1]["action"]
        assert all(check["ok"] for check in found["checks"][:-1])


async def test_diagnose_of_a_sound_session_reaches_the_market_data() -> None:
    async with agent() as a:
        found = (await a.read("diagnose")).body
        assert found["ok"]
        assert [check["link"] for check in found["checks"]] == [
            "keepalive",
            "gateway",
            "sign-in",
            "brokerage session",
            "accounts",
            "market data",
            "pacing",
        ]
        assert re.fullmatch(r"AAPL [0-9.]+, live", found["checks"][-2]["detail"])


async def test_diagnose_takes_portfolio_only_for_the_owners_choice() -> None:
    async with agent(brokerage=False, brokerage_login="nobody") as a:
        await becomes(a, "portfolio_only")
        found = (await a.read("diagnose")).body
        assert found["ok"]
        told = {check["link"]: check["detail"] for check in found["checks"]}
        assert told["accounts"] == "1 to read"
        assert "portfolio only" in told["brokerage session"]
        assert "portfolio only" in told["market data"]


async def test_diagnose_says_when_there_are_no_quotes_and_when_requests_come_too_fast() -> None:
    async with agent() as a:
        row = {"conid": 265598, "6509": "N", "_updated": 1}
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_price_snapshot", status=200, body=[row]))
        unsubscribed = (await a.read("diagnose")).body
        assert unsubscribed["broken"] == "market data"
        assert "subscription" in unsubscribed["checks"][-1]["action"]
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="list_brokerage_accounts", status=429))
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_price_snapshot", status=429))
        await asyncio.sleep(60)
        paced = (await a.read("diagnose")).body
        assert paced["broken"] == "pacing"
        assert [check["link"] for check in paced["checks"]][-2:] == ["accounts", "pacing"]
        assert "seconds" in paced["checks"][-1]["action"]


async def test_the_session_says_that_ibkr_refuses_all_requests() -> None:
    async with agent() as a:
        assert (await a.read("get_session_status")).body["usable"]
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="list_portfolio_accounts", status=429))
        refused = (await a.call("list_accounts")).error
        told = (await a.read("get_session_status")).body
        assert (told["state"], told["usable"]) == ("authenticated", False)
        assert (told["code"], told["message"]) == ("pacing_limited", refused["message"])
        assert 0 < told["retry_after_s"] <= refused["retry_after_s"]
        # Another answer of IBKR, to a tickle, shows after a while that only the one operation was refused.
        await asyncio.sleep(refused["retry_after_s"] + 120)
        assert (await a.read("get_session_status")).body["usable"]
