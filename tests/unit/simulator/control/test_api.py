"""The control API in process: what it does, and what it says to wrong input."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from ib_simulator.app import Simulator
from ib_simulator.control.actions import ACTIONS
from ib_simulator.faults.faults import Kind
from ib_simulator.session.session import Timing
from ib_simulator.session.users import USERS
from support.serve import InProcess


@asynccontextmanager
async def controlled(simulator: Simulator) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Clients of the broker's Web API and of the control API."""
    async with (
        httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway/v1/api") as api,
        httpx.AsyncClient(transport=InProcess(simulator.control), base_url="http://control/control") as control,
    ):
        yield api, control


async def post(control: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await control.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def flags(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.get("/iserver/auth/status")
    body: dict[str, Any] = answer.json() if answer.status_code == 200 else {"status": answer.status_code}
    return {name: body[name] for name in ("authenticated", "connected", "competing", "status") if name in body}


async def test_a_test_signs_in_and_out():
    async with controlled(Simulator(limits=False)) as (api, control):
        assert await flags(api) == {"status": 401}
        state = await post(control, "/sign-in", user="live")
        assert state["session"]["user"] == "live"
        assert await flags(api) == {"authenticated": True, "connected": True, "competing": False}
        assert (await api.get("/sso/validate")).json()["LOGIN_TYPE"] == 1
        await post(control, "/sign-out")
        assert await flags(api) == {"status": 401}


async def test_a_sign_in_without_brokerage_needs_ssodh_init():
    async with controlled(Simulator(limits=False)) as (api, control):
        await post(control, "/sign-in", brokerage=False)
        assert (await flags(api))["authenticated"] is False
        refused = await api.get("/iserver/accounts")
        assert (refused.status_code, refused.json()["error"]) == (400, "Bad Request: Init session first")
        opened = await api.post("/iserver/auth/ssodh/init", json={"publish": True, "compete": False})
        assert opened.json()["authenticated"] is True


async def test_the_session_is_dropped_taken_and_maintained():
    async with controlled(Simulator(signed_in="paper", limits=False)) as (api, control):
        await post(control, "/drop-brokerage", disconnected_s=60)
        assert await flags(api) == {"authenticated": False, "connected": False, "competing": False}
        await post(control, "/clock", advance_s=60)
        assert (await flags(api))["connected"] is True
        await post(control, "/compete", on=True)
        assert (await flags(api))["competing"] is True
        await post(control, "/compete", on=False)
        assert (await flags(api))["competing"] is False
        await post(control, "/maintenance", on=True, seconds=30)
        assert await flags(api) == {"status": 503}
        await post(control, "/clock", advance_s=30)
        assert (await flags(api))["authenticated"] is False
        await post(control, "/nightly-reset")
        assert (await flags(api))["connected"] is False
        await post(control, "/expire")
        assert await flags(api) == {"status": 401}


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [("401", 401, ""), ("302", 302, ""), ("no_session", 200, '{"error":"no session"}')],
)
async def test_the_refusal_before_a_login_can_be_chosen(answer: str, status: int, body: str):
    async with controlled(Simulator()) as (api, control):
        await post(control, "/before-login", answer=answer)
        refused = await api.get("/portfolio/accounts")
        assert (refused.status_code, refused.text) == (status, body)


async def test_faults_are_added_listed_and_cleared():
    async with controlled(Simulator(signed_in="paper", limits=False)) as (api, control):
        added = await post(control, "/faults", kind="answer", status=500, endpoint="list_*", count=1, after=1)
        assert added == {
            "id": 1,
            "kind": "answer",
            "status": 500,
            "endpoint": "list_*",
            "count": 1,
            "after": 1,
            "hits": 0,
        }
        statuses = [(await api.get("/portfolio/accounts")).status_code for _ in range(3)]
        assert statuses == [200, 500, 200]
        assert (await control.get("/faults")).json()["faults"][0]["hits"] == 1
        assert (await control.delete("/faults", params={"id": "1"})).json() == {"faults": [], "held": 0}


async def test_requests_and_counters_are_listed_and_cleared():
    async with controlled(Simulator(signed_in="paper")) as (api, control):
        for _ in range(2):
            await api.get("/portfolio/accounts", headers={"user-agent": "test"})
        seen = (await control.get("/requests", params={"last": "1"})).json()
        entry = seen["requests"][0]
        assert (entry["method"], entry["path"], entry["user_agent"]) == ("GET", "/v1/api/portfolio/accounts", "test")
        assert (entry["endpoint"], entry["status"]) == ("list_portfolio_accounts", 429)
        assert seen["counters"]["statuses"] == {"list_portfolio_accounts 200": 1, "list_portfolio_accounts 429": 1}
        assert seen["counters"]["limits"]["breaches"] == {"list_portfolio_accounts": 1}
        cleared = (await control.delete("/requests")).json()
        assert cleared["requests"] == []
        assert cleared["counters"]["limits"]["refused"] == 0


async def test_limits_can_be_changed_and_turned_off():
    async with controlled(Simulator(signed_in="paper")) as (api, control):
        await post(control, "/limits", per_second=2, penalty_s=0)
        statuses = [(await api.get("/portfolio/DU7420001/ledger")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        await post(control, "/limits", enabled=False)
        statuses = [(await api.get("/portfolio/DU7420001/ledger")).status_code for _ in range(30)]
        assert statuses == [200] * 30


async def test_the_clock_is_set_and_what_goes_on_keeps_its_age():
    async with controlled(Simulator(signed_in="paper", limits=False)) as (api, control):
        state = await post(control, "/clock", time="2027-01-04T12:00:00Z")
        assert state["clock"]["time"].startswith("2027-01-04T12:00:00")
        assert (await flags(api))["authenticated"] is True
        await post(control, "/clock", rate=60)
        assert (await control.get("/clock")).json()["rate"] == 60


async def test_timing_is_changed_while_it_runs():
    async with controlled(Simulator(signed_in="paper", limits=False)) as (api, control):
        state = await post(control, "/timing", brokerage_idle=10, login_life=100)
        assert state["timing"]["brokerage_idle"] == 10
        await post(control, "/clock", advance_s=10)
        assert (await flags(api))["authenticated"] is False
        await post(control, "/clock", advance_s=90)
        assert await flags(api) == {"status": 401}


async def test_a_scenario_is_loaded_shown_and_ended():
    async with controlled(Simulator(signed_in="paper", limits=False)) as (api, control):
        text = "steps:\n  - {at: 0s, do: compete, on: true}\n  - {at: 1h, do: expire}\n"
        shown = (await control.post("/scenario", params={"name": "mine.yaml"}, content=text)).json()["scenario"]
        assert (shown["name"], shown["done"], shown["steps"]) == ("mine.yaml", 1, 2)
        assert (await flags(api))["competing"] is True
        assert (await control.delete("/scenario")).json() == {"scenario": None}
        await post(control, "/clock", advance_s=300)
        assert (await control.get("/scenario")).json() == {"scenario": None}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/sign-in", '{"user": "root"}', "sign-in: 'user': input should be 'paper', 'live' or 'odd'"),
        ("/sign-in", '{"name": "x"}', "sign-in: 'name' is not known, allowed: user, brokerage"),
        ("/approve", '{"x": 1}', "approve: 'x' is not known, allowed: none"),
        ("/compete", "{}", "compete: 'on' is missing"),
        ("/compete", '{"on": 1}', "compete: 'on': input should be a valid boolean"),
        ("/clock", "{}", "clock: give one of advance_s, rate, time"),
        ("/clock", '{"advance_s": -1}', "clock: 'advance_s': input should be greater than or equal to 0"),
        ("/clock", '{"time": "2026-01-01T00:00:00"}', "clock: 'time': input should have timezone info"),
        ("/limits", '{"per_second": 0}', "limits: 'per_second': input should be greater than or equal to 1"),
        ("/before-login", '{"answer": "404"}', "before-login: 'answer': input should be '401', '302' or 'no_session'"),
        ("/faults", '{"kind": "latency"}', "fault: 'seconds' goes with kind latency, receive_delay, order_answer_late"),
        ("/faults", '{"kind": "answer"}', "fault: 'status' goes with kind 'answer', and only there"),
        ("/faults", '{"kind": "hang", "body": 1}', "fault: 'body' goes with kind 'answer' only"),
        ("/faults", '{"kind": "refuse", "count": 1}', "fault: 'refuse' concerns the whole port and takes no"),
        ("/faults", '{"kind": "hang", "endpoint": "moon"}', "fault: no endpoint of the catalogue matches 'moon'"),
        ("/faults", '{"kind": "hang", "chance": 0}', "fault: 'chance': input should be greater than 0"),
        ("/sign-in", "{", "the body is not JSON"),
        ("/sign-in", "[]", "the body must be a JSON object"),
        ("/scenario", "steps: 1", "scenario, line 1: 'steps' is missing or not a list of steps"),
    ],
)
async def test_wrong_input_is_refused_with_what_is_allowed(path: str, body: str, sentence: str):
    async with controlled(Simulator()) as (_, control):
        refused = await control.post(path, content=body)
        assert refused.status_code == 400
        assert sentence in refused.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "sentence"),
    [
        ("DELETE", "/faults?id=9", "there is no fault 9"),
        ("DELETE", "/faults?id=x", "'id' is the number of a fault, not 'x'"),
        ("GET", "/requests?last=-1", "'last' is how many requests to list, not '-1'"),
    ],
)
async def test_wrong_queries_are_refused(method: str, path: str, sentence: str):
    async with controlled(Simulator()) as (_, control):
        refused = await control.request(method, path)
        assert (refused.status_code, refused.json()["error"]) == (400, sentence)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/moon", 404), ("GET", "/sign-in", 405)])
async def test_unknown_paths_name_the_known_ones(method: str, path: str, status: int):
    async with controlled(Simulator()) as (_, control):
        refused = await control.request(method, path)
        assert refused.status_code == status
        assert "POST /control/faults" in refused.json()["error"]


async def test_a_scenario_that_is_no_text_is_refused():
    async with controlled(Simulator()) as (_, control):
        refused = await control.post("/scenario", content=b"\xff\xfe")
        assert (refused.status_code, refused.json()["error"]) == (400, "a scenario is YAML text in UTF-8")


def test_the_manual_names_every_action_fault_and_duration():
    manual = (Path(__file__).parents[4] / "docs/simulator.md").read_text()
    words = [*ACTIONS, *get_args(Kind), *asdict(Timing()), *(user.name for user in USERS.values())]
    assert [word for word in words if f"`{word}`" not in manual] == []


async def test_a_market_is_moved_and_the_record_of_orders_is_read():
    simulator = Simulator(signed_in="paper", limits=False)
    async with controlled(simulator) as (api, control):
        market = simulator.backend.worlds["paper"].market
        apple = market.contracts[265598]
        await post(control, "/market", conid=265598, price=100.0, size=7)
        assert market.price(apple, simulator.clock.now()) == 100.0
        assert market.size(apple, "ask", simulator.clock.now()) == 7
        await post(control, "/market", conid=265598, percent=-50, usual_size=True)
        assert market.price(apple, simulator.clock.now()) == 50.0
        await api.get("/iserver/accounts")
        order = {"conid": 265598, "side": "BUY", "quantity": 1, "orderType": "LMT", "price": 1.0, "tif": "DAY"}
        answer = (await api.post("/iserver/account/DU7420001/orders", json={"orders": [order]})).json()
        assert (await control.get("/orders")).json() == {"orders": []}
        while "id" in answer[0]:
            answer = (await api.post(f"/iserver/reply/{answer[0]['id']}", json={"confirmed": True})).json()
        (row,) = (await control.get("/orders")).json()["orders"]
        assert (str(row["order_id"]), row["ticket"], row["user"]) == (answer[0]["order_id"], order, "paper")


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/market", {"conid": 265598}, "give price, percent, size or usual_size"),
        ("/market", {"conid": 1, "percent": 1}, "there is no instrument 1"),
        ("/order-event", {"order_id": 1, "event": "fill"}, "there is no order 1"),
        ("/faults", {"kind": "order_answer_late"}, "'seconds' goes with kind"),
        ("/faults", {"kind": "order_answer_lost", "processed": True}, "says itself whether"),
    ],
)
async def test_wrong_input_about_orders_is_refused(path: str, body: dict[str, Any], sentence: str):
    async with controlled(Simulator()) as (_, control):
        refused = await control.post(path, json=body)
        assert refused.status_code == 400
        assert sentence in refused.json()["error"]
