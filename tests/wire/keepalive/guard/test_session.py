"""Session calls of ordinary clients, answered by the keeper's knowledge, and what a new session changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ibkr.errors import PacingLimited
from ibkr.session import AuthStatus, MaintenanceStatus, SessionState, Status
from support.guard import LOGIN, Session, asked, error_of, guarded, guarded_in_process, simulator, status_of

SECRETS = ("session", "USER_NAME", "userId", "MAC", "IP", "hardware_info")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_tickle_and_auth_status_are_answered_without_asking_ibkr(method: str):
    broker = simulator()
    session = Session(replace(status_of(SessionState.AUTHENTICATED), auth=AuthStatus(True, True, False, True, "fine")))
    async with guarded(broker.app, session) as guard:
        flags = (await guard.client.request(method, "/v1/api/iserver/auth/status")).json()
        tickle = (await guard.client.request(method, "/v1/api/tickle")).json()
    assert flags == {
        "authenticated": True, "competing": False, "connected": True, "established": True, "message": "fine"
    }  # fmt: skip
    assert tickle["iserver"]["authStatus"] == flags
    assert not set(SECRETS) & tickle.keys()
    assert not broker.requests


@pytest.mark.parametrize(("mode", "login_type"), [("live", 1), ("paper", 2), ("unknown", None)])
async def test_the_sign_in_is_confirmed_without_saying_who_it_is(mode: str, login_type: int | None):
    async with guarded(simulator().app, Session(status_of(SessionState.AUTHENTICATED, mode=mode))) as guard:
        answer = (await guard.get("/sso/validate")).json()
    assert answer["RESULT"] is True
    assert answer.get("LOGIN_TYPE") == login_type
    assert not set(SECRETS) & answer.keys()


async def test_its_status_tells_what_went_to_ibkr_and_what_did_not_have_to():
    async with guarded(simulator().app) as guard:
        for _ in range(3):
            await guard.get("/trsrv/stocks?symbols=AAPL")
        traffic = Status.from_json((await guard.client.get("/status")).json()).traffic
    assert (traffic.sent, traffic.waiting) == (1, 0)
    assert traffic.answers["upstream"] == 1
    assert traffic.answers["cache"] == 2


async def test_a_lost_brokerage_session_shows_in_the_flags():
    async with guarded(simulator().app, Session(status_of(SessionState.COMPETING))) as guard:
        flags = (await guard.post("/iserver/auth/status")).json()
    assert (flags["authenticated"], flags["competing"]) == (False, True)


@pytest.mark.parametrize("path", ["/tickle", "/iserver/auth/status", "/sso/validate"])
async def test_without_a_sign_in_they_say_so(path: str):
    async with guarded(simulator().app, Session(status_of(SessionState.LOGIN_REQUIRED))) as guard:
        answer = await guard.get(path)
    assert answer.status_code == 503
    assert (error_of(answer)["code"], error_of(answer)["login"]) == ("login_required", LOGIN)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/iserver/auth/ssodh/init"), ("POST", "/iserver/reauthenticate"), ("GET", "/iserver/reauthenticate")],
)
async def test_opening_the_session_is_the_keepers_business(method: str, path: str):
    broker, session = simulator(), Session()
    async with guarded(broker.app, session) as guard:
        body = {"publish": True, "compete": True} if method == "POST" else None
        answer = await guard.client.request(method, f"/v1/api{path}", json=body)
    assert answer.status_code == 200
    assert session.asked == 1
    assert not broker.requests


async def test_reauthenticate_tells_when_it_may_be_asked_again():
    async def refuse() -> Status:
        raise PacingLimited("Moments ago.", retry_after_s=17.2)

    async with guarded(simulator().app, reauthenticate=refuse) as guard:
        for path in ("/reauthenticate", "/v1/api/iserver/auth/ssodh/init"):
            answer = await guard.client.post(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "18")
            assert error_of(answer)["retry_after_s"] == 17.2


async def test_status_and_reauthenticate_follow_the_contract():
    async with guarded(simulator().app) as guard:
        status = Status.from_json((await guard.client.get("/status")).json())
        accepted = await guard.client.post("/reauthenticate")
    assert status.state is SessionState.AUTHENTICATED
    assert accepted.status_code == 202
    assert accepted.json()["accepted"] is True
    assert Status.from_json(accepted.json()["status"]).state is SessionState.AUTHENTICATED


async def test_the_end_of_a_maintenance_is_told():
    down = status_of(SessionState.MAINTENANCE, maintenance=MaintenanceStatus(active=True, until=1500.0))
    async with guarded(simulator().app, Session(down), wall=lambda: 1000.0) as guard:
        answer = await guard.get("/iserver/accounts")
    assert (answer.status_code, error_of(answer)["retry_after_s"]) == (503, 500)


async def test_a_new_session_empties_what_was_kept_and_makes_the_required_calls_again():
    broker, session = simulator(), Session()
    async with guarded(broker.app, session) as guard:
        for _ in range(2):
            await guard.get("/iserver/account/DU7420001/summary")
        assert asked(broker, "get_brokerage_account_summary") == asked(broker, "list_brokerage_accounts") == 1
        session.become(SessionState.COMPETING)
        assert (await guard.get("/iserver/account/DU7420001/summary")).status_code == 503
        session.become(SessionState.AUTHENTICATED)
        assert (await guard.get("/iserver/account/DU7420001/summary")).headers["ib-source"] == "upstream"
        assert asked(broker, "get_brokerage_account_summary") == asked(broker, "list_brokerage_accounts") == 2


async def test_what_may_be_asked_for_every_quarter_of_an_hour_outlives_a_session():
    broker, session = simulator(), Session()
    async with guarded(broker.app, session) as guard:
        assert (await guard.get("/iserver/scanner/params")).headers["ib-source"] == "upstream"
        session.become(SessionState.AUTHENTICATED)
        assert (await guard.get("/iserver/scanner/params")).headers["ib-source"] == "cache"


async def test_strikes_work_without_the_search_that_ibkr_wants_before():
    broker = simulator()
    async with guarded(broker.app) as guard:
        search = (await guard.get("/iserver/secdef/search?symbol=AAPL")).json()
        month = next(s["months"] for s in search[0]["sections"] if s["secType"] == "OPT").split(";")[1]
        guard.session.become(SessionState.AUTHENTICATED)
        broker.session.memory.notes.clear()
        strikes = (await guard.get(f"/iserver/secdef/strikes?conid=265598&sectype=OPT&month={month}")).json()
        assert strikes["call"]
        assert asked(broker, "search_contracts") == 2


@pytest.mark.looptime
async def test_orders_of_a_fresh_session_are_asked_for_twice_and_five_seconds_apart():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        orders = await guard.get("/iserver/account/orders")
        assert orders.json()["orders"]
        assert asked(broker, "list_live_orders") == 2
        forced = await guard.get("/iserver/account/orders?force=true", headers={"ib-deadline-ms": "20000"})
        assert forced.json()["orders"]
        assert not broker.limits.refused


@pytest.mark.looptime
async def test_a_caller_in_a_hurry_is_told_to_return_for_the_orders():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        hurried = await guard.get("/iserver/account/orders", headers={"ib-deadline-ms": "3000"})
        assert error_of(hurried)["code"] == "pacing_limited"
        assert error_of(hurried)["retry_after_s"] == pytest.approx(4, abs=1)
