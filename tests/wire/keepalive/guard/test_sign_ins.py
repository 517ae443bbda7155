"""A new sign-in is a new world: nothing of the one before is given, kept or counted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from ibkr.session import AuthStatus, SessionState, SignInStatus
from support.guard import Session, asked, error_of, guarded_in_process, status_of
from support.simulated import simulated

pytestmark = pytest.mark.looptime
PAPER, LIVE = "DU7420001", "U7420002"
PATIENT = {"ib-deadline-ms": "60000"}


def slow(endpoint: str, seconds: float = 3, **more: Any) -> FaultSpec:
    return FaultSpec(kind="latency", endpoint=endpoint, seconds=seconds, **more)


def sign_in(broker: Simulator, session: Session, user: Any, number: int) -> None:
    """Another user signs in over the open session; the keeper notices at once, by its number or by a change of state.

    Only one of them shows it: each has to suffice.
    """
    broker.sign_in(user)
    if number == session.now.sign_in.number:
        session.become(SessionState.AUTHENTICATED, sign_in=session.now.sign_in)
    else:
        session.now = replace(session.now, sign_in=SignInStatus(number=number))


def open_session(number: int = 1) -> Session:
    return Session(status_of(SessionState.AUTHENTICATED, sign_in=SignInStatus(number=number)))


async def test_every_answer_and_error_carries_the_number_of_its_sign_in():
    broker, session = simulated(), open_session(4)
    async with guarded_in_process(broker.app, session) as guard:
        assert (await guard.get("/portfolio/accounts")).headers["ib-sign-in"] == "4"
        assert (await guard.get("/portfolio/accounts")).headers["ib-sign-in"] == "4"
        assert (await guard.get("/iserver/marketdata/snapshot?conids=265598&fields=31")).headers["ib-sign-in"] == "4"
        session.become(SessionState.LOGIN_REQUIRED, sign_in=SignInStatus(number=5))
        refused = await guard.get("/portfolio/accounts")
        assert (refused.status_code, refused.headers["ib-sign-in"]) == (503, "5")


async def test_another_users_sign_in_empties_what_was_kept_and_prepared():
    broker, session = simulated(), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        assert [row["accountId"] for row in (await guard.get("/portfolio/accounts")).json()] == [PAPER]
        assert (await guard.get(f"/portfolio/{PAPER}/positions/0")).json()
        sign_in(broker, session, "live", 2)
        assert LIVE in [row["accountId"] for row in (await guard.get("/portfolio/accounts")).json()]
        assert (await guard.get(f"/portfolio/{LIVE}/positions/0")).json()


async def test_not_even_what_may_be_asked_every_quarter_of_an_hour_outlives_a_sign_in():
    broker, session = simulated(), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        body = {"acctIds": [PAPER], "period": "1M"}
        assert (await guard.post("/pa/performance", json=body)).status_code == 200
        assert (await guard.post("/pa/performance", json=body)).headers["ib-source"] == "cache"
        sign_in(broker, session, "live", 2)
        assert (await guard.post("/pa/performance", json=body)).headers.get("ib-source") != "cache"


async def test_an_account_listed_under_another_sign_in_is_refused_and_not_sent():
    broker, session = simulated(), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        sign_in(broker, session, "live", 2)
        refused = await guard.get(f"/portfolio/{PAPER}/positions/0", headers={"ib-sign-in": "1"})
        assert error_of(refused)["code"] == "session_reopening"
        assert refused.headers["ib-sign-in"] == "2"
        assert not broker.requests
        assert (await guard.get(f"/portfolio/{LIVE}/positions/0", headers={"ib-sign-in": "2"})).status_code == 200


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "\u00b2", "9" * 20])
async def test_what_is_no_number_of_a_sign_in_is_refused(number: str):
    async with guarded_in_process(simulated().app, open_session()) as guard:
        answer = await guard.get("/portfolio/accounts", headers={"ib-sign-in": number.encode()})
        assert error_of(answer)["code"] == "invalid_request"


async def test_an_account_list_under_way_at_a_sign_in_does_not_prepare_the_new_session():
    broker, session = simulated(slow("list_portfolio_accounts", count=1)), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        before = asyncio.create_task(guard.get("/portfolio/accounts", headers=PATIENT))
        await asyncio.sleep(1)
        sign_in(broker, session, "live", 2)
        # Nobody asks anything before the old answer arrives.
        listed = await before
        assert LIVE in [row["accountId"] for row in listed.json()]
        assert listed.headers["ib-sign-in"] == "2"
        assert (await guard.get(f"/portfolio/{LIVE}/positions/0")).json()


@pytest.mark.parametrize("number", [1, 2])
async def test_orders_under_way_across_a_change_of_session_are_those_of_the_new_one(number: int):
    broker, session = simulated(slow("list_live_orders", count=1)), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        asking = asyncio.create_task(guard.get("/iserver/account/orders", headers=PATIENT))
        await asyncio.sleep(1)
        sign_in(broker, session, "live", number)
        answer = (await asking).json()
        assert answer["orders"]
        assert {order["acct"] for order in answer["orders"]} <= {LIVE, "U7420003"}


async def test_a_question_that_waited_in_the_queue_is_prepared_in_the_session_it_is_sent_in():
    broker, session = simulated(slow("get_ledger", 5)), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        await guard.get("/portfolio/accounts")
        heavy = [asyncio.create_task(guard.get(f"/portfolio/{PAPER}/ledger?n={n}")) for n in range(4)]
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(guard.get(f"/portfolio/{LIVE}/positions/0", headers={"ib-caller": "other"}))
        await asyncio.sleep(1)
        sign_in(broker, session, "live", 2)
        assert (await waiting).json()
        paths = [
            request.path for request in broker.requests if "positions" in request.path or "/accounts" in request.path
        ]
        assert paths[-2:] == ["/v1/api/portfolio/accounts", f"/v1/api/portfolio/{LIVE}/positions/0"]
        await asyncio.gather(*heavy)


async def test_preparation_under_way_at_a_sign_in_is_made_again():
    broker, session = simulated(slow("list_portfolio_accounts", count=1)), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        asking = asyncio.create_task(guard.get(f"/portfolio/{LIVE}/positions/0", headers=PATIENT))
        await asyncio.sleep(1)
        sign_in(broker, session, "live", 2)
        answer = await asking
        assert isinstance(answer.json(), list)
        assert answer.json()
        assert asked(broker, "list_portfolio_accounts") == 2


async def test_prices_under_way_at_a_sign_in_are_asked_anew():
    broker, session = simulated(slow("get_price_snapshot", count=1)), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        asking = asyncio.create_task(guard.get("/iserver/marketdata/snapshot?conids=265598&fields=31"))
        await asyncio.sleep(1)
        sign_in(broker, session, "live", 2)
        answer = await asking
        assert answer.headers["ib-sign-in"] == "2"
        assert "31" in answer.json()[0]


async def test_a_caller_whose_time_is_up_at_a_change_of_session_is_told_so():
    broker, session = simulated(slow("get_ledger")), open_session()
    async with guarded_in_process(broker.app, session) as guard:
        await guard.get("/portfolio/accounts")
        hurried = guard.get(f"/portfolio/{PAPER}/ledger", headers={"ib-deadline-ms": "3200"})
        asking = asyncio.create_task(hurried)
        await asyncio.sleep(1)
        sign_in(broker, session, "live", 2)
        assert error_of(await asking)["code"] == "session_reopening"


async def test_portfolio_data_is_not_read_while_ibkr_loads_the_accounts():
    loading = AuthStatus(connected=True, authenticated=True, established=False)
    broker = simulated()
    async with guarded_in_process(broker.app, Session(status_of(SessionState.REOPENING, auth=loading))) as guard:
        for path in (f"/portfolio/{PAPER}/positions/0", "/portfolio/accounts", f"/portfolio/{PAPER}/summary"):
            answer = await guard.get(path)
            assert (error_of(answer)["code"], answer.status_code) == ("session_reopening", 503)
        assert (await guard.get("/trsrv/stocks?symbols=AAPL")).status_code == 200
        assert [request.endpoint for request in broker.requests] == ["search_stocks"]


async def test_an_account_list_that_is_empty_yet_is_neither_kept_nor_counted():
    empty = FaultSpec(kind="answer", endpoint="list_portfolio_accounts", status=200, body=[])
    no_positions = FaultSpec(kind="answer", endpoint="list_positions", status=200, body=[])
    broker = simulated(empty, no_positions)
    async with guarded_in_process(broker.app, open_session()) as guard:
        assert (await guard.get("/portfolio/accounts")).json() == []
        refused = await guard.get(f"/portfolio/{PAPER}/positions/0")
        assert error_of(refused)["code"] == "session_reopening"
        broker.faults.remove()
        await asyncio.sleep(3)
        assert (await guard.get("/portfolio/accounts")).json()
        assert (await guard.get(f"/portfolio/{PAPER}/positions/0")).json()


async def test_strikes_that_are_empty_because_their_search_failed_are_an_error_and_not_kept():
    failing = FaultSpec(kind="answer", endpoint="search_contracts", status=500, body={"error": "unknown"}, count=1)
    broker = simulated(failing)
    async with guarded_in_process(broker.app, open_session()) as guard:
        path = "/iserver/secdef/strikes?conid=265598&sectype=OPT&month=DEC26"
        refused = await guard.get(path)
        assert (refused.status_code, error_of(refused)["code"]) == (500, "upstream_error")
        assert (await guard.get(path)).json()["call"]


async def test_an_empty_answer_is_not_kept_for_an_hour():
    empty = FaultSpec(kind="answer", endpoint="get_security_definitions", status=200, body={"secdef": []}, count=1)
    broker = simulated(empty)
    async with guarded_in_process(broker.app, open_session()) as guard:
        assert (await guard.get("/trsrv/secdef?conids=265598")).json() == {"secdef": []}
        await asyncio.sleep(2.1)
        assert (await guard.get("/trsrv/secdef?conids=265598")).json()["secdef"]


async def test_orders_and_trades_are_warmed_up_for_each_account_and_span():
    cold = FaultSpec(kind="answer", endpoint="list_trades", status=200, body=[], after=2, count=1)
    broker = simulated(cold)
    async with guarded_in_process(broker.app, open_session()) as guard:
        assert (await guard.get("/iserver/account/trades", headers=PATIENT)).json()
        # The first of the session for a week, and IBKR has that answer no more ready than the first of all.
        assert (await guard.get("/iserver/account/trades?days=7", headers=PATIENT)).json()


async def test_accounts_that_ibkr_wants_first_are_asked_for_in_mid_session():
    broker = simulated()
    async with guarded_in_process(broker.app, open_session()) as guard:
        path = "/iserver/marketdata/snapshot?conids=265598&fields=31"
        assert "31" in (await guard.get(path)).json()[0]
        await asyncio.sleep(60)
        broker.faults.add(FaultSpec(kind="accounts_first", endpoint="get_price_snapshot", count=1))
        answers = await asyncio.gather(*(guard.get(path, headers={"ib-caller": str(n)}) for n in range(20)))
        assert all("31" in answer.json()[0] for answer in answers)
        assert asked(broker, "list_brokerage_accounts") == 2
