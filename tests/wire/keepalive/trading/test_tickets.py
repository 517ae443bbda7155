"""From a preview to an order: a ticket is good once, for two minutes, for who asked, under the same sign-in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ibkr.session import SessionState, SignInStatus
from support.guard import Session, asked, error_of
from support.simulated import simulated
from support.trading import APPROVER, PAPER_POLICY, order, traded

pytestmark = pytest.mark.looptime


async def test_a_preview_gives_a_ticket_and_the_ticket_one_order(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        preview = await t.preview()
        assert preview["expires_in_s"] == 120
        assert asked(t.broker, "place_orders") == 0

        outcome = (await t.submit(preview["ticket"])).json()

        (placed,) = t.placed()
        assert outcome["outcome"] == "working"
        assert not outcome["repeated"]
        assert outcome["orders"][0]["order_id"] == str(placed.id)
        assert outcome["orders"][0]["client_order_id"] == placed.handle == preview["client_order_ids"][0]


async def test_a_ticket_submitted_again_gives_the_first_outcome(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        ticket = await t.ticket()
        first, second = await asyncio.gather(t.submit(ticket), t.submit(ticket))
        third = await t.submit(ticket)

        assert len(t.placed()) == 1
        answers = [response.json() for response in (first, second, third)]
        assert sorted(answer["repeated"] for answer in answers) == [False, True, True]
        assert len({answer["orders"][0]["order_id"] for answer in answers}) == 1


async def test_a_ticket_is_good_after_a_restart_and_only_once(tmp_path: Path) -> None:
    broker = simulated()
    async with traded(broker, tmp_path) as t:
        used, unused = await t.ticket(), await t.ticket(order(side="SELL", price=900.0))
        await t.submit(used)
    async with traded(broker, tmp_path) as t:
        assert (await t.submit(used)).json()["repeated"]
        assert not (await t.submit(unused)).json()["repeated"]
        assert len(t.placed()) == 2


async def test_a_ticket_of_somebody_else_or_none_or_expired_is_refused(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        ticket = await t.ticket()
        foreign = await t.submit(ticket, caller="mallory")
        unknown = await t.submit("AAAAAAAAAAAAAAAAAAAAAA")
        await asyncio.sleep(121)
        expired = await t.submit(ticket)

        assert [response.status_code for response in (foreign, unknown, expired)] == [403, 400, 403]
        assert "expired" in error_of(expired)["message"]
        assert not t.placed()


async def test_a_new_sign_in_ends_every_ticket(tmp_path: Path) -> None:
    session = Session()
    async with traded(simulated(), tmp_path, session=session) as t:
        ticket = await t.ticket()
        session.become(SessionState.AUTHENTICATED, sign_in=SignInStatus(number=5, at=1.0))

        refused = await t.submit(ticket)

        assert refused.status_code == 403
        assert "signed in anew" in error_of(refused)["message"]
        assert not t.placed()


async def test_nobody_is_asked_about_an_order_of_an_earlier_sign_in(tmp_path: Path) -> None:
    session = Session()
    person = {"ib-approver": APPROVER}
    async with traded(simulated(), tmp_path, PAPER_POLICY.replace("none", "page"), session) as t:
        ticket = await t.ticket()
        await t.submit(ticket)
        assert (await t.trading.brief()).pending_approvals == 1
        session.become(SessionState.AUTHENTICATED, sign_in=SignInStatus(number=5, at=1.0))

        assert (await t.client.get("/trading/approvals", headers=person)).json()["approvals"] == []
        told = await t.trading.brief()
        assert (told.pending_approvals, told.approval_asked_at) == (0, None)
        decided = await t.client.post(
            f"/trading/tickets/{ticket}/decision", json={"approve": True, "by": "owner"}, headers=person
        )
        assert decided.status_code == 400
        assert "signed in anew" in error_of(decided)["message"]


async def test_a_lost_session_keeps_the_ticket_for_when_it_is_back(tmp_path: Path) -> None:
    session = Session()
    async with traded(simulated(), tmp_path, session=session) as t:
        ticket = await t.ticket()
        session.become(SessionState.REOPENING)
        assert (await t.submit(ticket)).status_code == 503
        session.become(SessionState.AUTHENTICATED)
        assert (await t.submit(ticket)).json()["outcome"] == "working"
        assert len(t.placed()) == 1


async def test_what_changed_since_the_preview_counts_when_the_order_is_sent(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        ticket = await t.ticket()
        t.say(PAPER_POLICY + "[limits]\nquantity = 4\n")
        refused = await t.submit(ticket)
        assert "quantity" in error_of(refused)["message"]

        t.say(PAPER_POLICY)
        await t.client.post("/trading/stop", json={"reason": "enough"})
        stopped = await t.submit(ticket)
        assert "stopped" in error_of(stopped)["message"]
        assert not t.placed()


async def test_a_person_has_to_approve_where_the_policy_says_so(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY.replace("none", "page")) as t:
        ticket = await t.ticket(summary={"words": "buy 5 AAPL"})
        waiting = (await t.submit(ticket)).json()
        assert waiting["outcome"] == "approval_needed"
        assert ticket in waiting["approval_url"]

        agent = await t.client.post(f"/trading/tickets/{ticket}/decision", json={"approve": True, "by": "me"})
        assert agent.status_code == 403
        assert (await t.client.get("/trading/approvals")).status_code == 403

        person = {"ib-approver": APPROVER}
        (pending,) = (await t.client.get("/trading/approvals", headers=person)).json()["approvals"]
        told = {"instruments": {"265598": "AAPL, STK, USD"}, "is_paper": None}
        assert pending["summary"] == {"words": "buy 5 AAPL", **told}
        await asyncio.sleep(300)
        decided = await t.client.post(
            f"/trading/tickets/{ticket}/decision", json={"approve": True, "by": "owner"}, headers=person
        )
        assert decided.status_code == 200
        assert not t.placed()
        assert (await t.submit(ticket)).json()["outcome"] == "working"
        assert len(t.placed()) == 1


async def test_what_a_person_refused_is_not_sent(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY.replace("none", "ask")) as t:
        ticket = await t.ticket()
        person = {"ib-approver": APPROVER}
        await t.client.post(f"/trading/tickets/{ticket}/decision", json={"approve": False, "by": "o"}, headers=person)
        again = await t.client.post(
            f"/trading/tickets/{ticket}/decision", json={"approve": True, "by": "o"}, headers=person
        )
        assert again.status_code == 400
        assert (await t.submit(ticket)).json()["outcome"] == "declined"
        assert not t.placed()


@pytest.mark.parametrize("policy", ["", 'mode = "preview"\n', 'mode = "paper"\nmode = 3\n'])
async def test_without_a_mode_that_places_there_is_no_ticket(tmp_path: Path, policy: str) -> None:
    async with traded(simulated(), tmp_path, policy) as t:
        preview = await t.preview()
        assert preview["ticket"] is None
        assert preview["refused"]
        assert preview["client_order_ids"]
