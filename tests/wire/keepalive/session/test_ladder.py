"""Opening the session by whichever way IBKR takes, at once after a sign-in. Virtual time, the simulated IBKR."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_simulator.app import Simulator
from ibkr.session import SessionState, Status
from support.keepalive import settings
from support.serve import InProcess

pytestmark = pytest.mark.looptime
REFUSALS = ("410", "503", "force", "no_effect", "challenge")


@dataclass
class Opened:
    """A keepalive whose part it is to open the session; ``owner`` is a browser, ``ask`` calls the control port."""

    simulator: Simulator
    keepalive: Keepalive
    owner: httpx.AsyncClient
    ask: httpx.AsyncClient

    @property
    def status(self) -> Status:
        return self.keepalive.keeper.status()

    async def sign_in(self, user: str = "paper") -> None:
        await self.owner.post("/sso/Login", data={"user_name": f"robin-{user}", "password": user})
        last = await self.owner.get("/sso/Dispatcher")
        assert last.headers["location"] == "/?signed-in"

    async def reaches(self, state: str, within: float) -> float:
        """Seconds until then; AssertionError when it takes longer."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while self.status.state != state:
            assert clock() - began < within, (state, self.status)
            await asyncio.sleep(0.1)
        return clock() - began

    def openings(self) -> list[tuple[str, str]]:
        found = (line for line in self.keepalive.metrics.render().decode().splitlines())
        rows = (line for line in found if line.startswith("ibmcp_openings_total"))
        return [(row.split('"')[1], row.split('"')[3]) for row in rows]


@asynccontextmanager
async def opening(*, signed_in: Any = None, opens: bool = False, **given: Any) -> AsyncIterator[Opened]:
    simulator = Simulator(signed_in=signed_in, second_step="none", opens_brokerage=opens)
    given = {"brokerage_login": "keeper", "auto_reopen": True} | given
    keepalive = Keepalive(settings(**given), transport=InProcess(simulator.app), wall=simulator.clock.now)

    def client(app: Any, url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url)

    async with (
        keepalive,
        client(keepalive.login, "http://localhost:5443") as owner,
        client(keepalive.control, "http://127.0.0.1:8081") as ask,
    ):
        await asyncio.sleep(3)
        yield Opened(simulator, keepalive, owner, ask)


@pytest.mark.parametrize("latency", [0, 0.3, 3])
async def test_a_sign_in_is_followed_by_an_open_session_within_seconds(latency: float) -> None:
    async with opening() as it:
        it.simulator.do("timing", opening=latency)
        await it.sign_in()
        assert await it.reaches("authenticated", 10) < 3 + latency
        assert it.status.reauth.rung == "chain"
        await asyncio.sleep(2)
        assert it.status.mode == "paper"


async def test_whoever_signs_in_over_a_session_just_opened_does_not_wait_for_the_gap() -> None:
    async with opening() as it:
        await it.sign_in()
        await it.reaches("authenticated", 10)
        await it.sign_in("live")
        await it.reaches("reopening", 1)
        await it.reaches("authenticated", 6)
        await asyncio.sleep(2)
        assert it.status.mode == "live"


@pytest.mark.parametrize("rung", ["documented", "form"])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_the_way_that_works_is_found_remembered_and_tried_first(rung: str, refusal: str, tmp_path: Path) -> None:
    async with opening(record_file=tmp_path / "requests.json") as it:
        for other in {"chain", "documented", "form"} - {rung}:
            answer = "410" if refusal == "challenge" and other != "chain" else refusal
            it.simulator.do("openings", rung=other, answer=answer)
        await it.sign_in()
        # What the form needs is asked a minute after a sign-in at the earliest.
        await it.reaches("authenticated", 200 if rung == "form" else 30)
        assert it.status.reauth.rung == rung
    async with opening(record_file=tmp_path / "requests.json", signed_in="paper") as it:
        it.simulator.do("drop-brokerage")
        await it.reaches("reopening", 20)
        await asyncio.sleep(25)
        # A person's wish needs no budget, of which the tries before the restart took their part.
        assert (await it.ask.post("/reauthenticate", json={"person": True})).status_code == 202
        assert it.openings() == [("opened", rung)]


async def test_the_chain_needs_the_users_name() -> None:
    async with opening() as it:
        it.simulator.do("openings", tells_user=False)
        await it.sign_in()
        await it.reaches("authenticated", 5)
        assert it.openings() == [("skipped", "chain"), ("opened", "documented")]


async def test_another_program_loses_the_session_at_a_sign_in_where_the_owner_wants_it() -> None:
    async with opening() as it:
        it.simulator.do("compete", on=True)
        await it.sign_in()
        await it.reaches("authenticated", 5)


async def test_another_program_keeps_the_session_otherwise_until_a_person_takes_it_once() -> None:
    async with opening(compete_at_sign_in=False) as it:
        it.simulator.do("compete", on=True)
        await it.sign_in()
        await it.reaches("competing", 20)
        await asyncio.sleep(600)
        assert it.status.state is SessionState.COMPETING
        page = await it.owner.get("/")
        assert 'action="/take-over" >' in page.text
        shown = (await it.owner.get("/login-status")).json()
        assert shown["offers_take_over"] is True
        taken = await it.owner.post("/take-over", headers={"origin": "http://localhost:5443"})
        assert (taken.status_code, taken.headers["location"]) == (303, "/")
        await it.reaches("authenticated", 5)
        it.simulator.do("compete", on=True)
        await it.reaches("competing", 20)
        before = len(it.openings())
        await asyncio.sleep(900)
        assert it.status.state is SessionState.COMPETING
        assert len(it.openings()) == before


async def test_a_take_over_that_a_web_page_elsewhere_sends_is_refused() -> None:
    async with opening(compete_at_sign_in=False) as it:
        it.simulator.do("compete", on=True)
        await it.sign_in()
        await it.reaches("competing", 20)
        refused = await it.owner.post("/take-over", headers={"origin": "https://elsewhere.example"})
        assert refused.status_code == 403
        assert it.status.state is SessionState.COMPETING


async def test_a_paused_gateway_is_opened_by_the_sign_in_and_by_nobody_else() -> None:
    async with opening() as it:
        await it.ask.put("/policy", json={"paused": True, "reopen": True, "max_attempts": None})
        await it.sign_in()
        await it.reaches("authenticated", 5)
        it.simulator.do("drop-brokerage")
        await it.reaches("reopening", 20)
        await asyncio.sleep(1800)
        assert it.status.state is SessionState.REOPENING
        assert (await it.ask.post("/reauthenticate")).json()["error"]["code"] == "operation_forbidden"


async def test_a_user_without_rights_is_told_of_the_value_and_left_alone() -> None:
    async with opening() as it:
        it.simulator.do("openings", answer="no_rights")
        await it.sign_in()
        await it.reaches("reopening", 5)
        await asyncio.sleep(400)
        assert "brokerageLogin to nobody" in (it.status.auth.message or "")
        sent = [request for request in it.simulator.requests if request.path.endswith("/ssodh/init")]
        await asyncio.sleep(7200)
        assert [request for request in it.simulator.requests if request.path.endswith("/ssodh/init")] == sent
        assert it.status.reauth.next_attempt_at is None


async def test_where_every_way_is_refused_the_message_names_the_way_back() -> None:
    async with opening() as it:
        it.simulator.do("openings", answer="410")
        await it.sign_in()
        await asyncio.sleep(600)
        assert it.status.state is SessionState.REOPENING
        assert it.status.reauth.is_used_up
        assert "gateway.brokerageLogin: gateway" in (it.status.auth.message or "")


async def test_portfolio_only_opens_nothing_keeps_the_sign_in_and_serves_the_portfolio() -> None:
    async with opening(brokerage_login="nobody") as it:
        await it.sign_in()
        await it.reaches("portfolio_only", 5)
        await asyncio.sleep(2 * 3600)
        assert it.status.state is SessionState.PORTFOLIO_ONLY
        assert it.status.mode == "paper"
        assert not [request for request in it.simulator.requests if "ssodh/init" in request.path]
        bearer = {"authorization": "Bearer token-of-tests"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(it.keepalive.data), base_url="http://127.0.0.1:8080/v1/api", headers=bearer
        ) as agent:
            assert (await agent.get("/portfolio/accounts")).status_code == 200
            refused = (await agent.get("/iserver/accounts")).json()["error"]
            assert refused["code"] == "operation_forbidden"
            assert "portfolio" in refused["message"]
        assert (await it.ask.post("/reauthenticate")).json()["error"]["code"] == "operation_forbidden"
        assert (await it.ask.get("/readyz")).status_code == 200
        page = (await it.owner.get("/login-status")).json()
        assert (page["tone"], page["title"]) == ("good", "Signed in, portfolio only")


async def test_openings_are_counted_by_way_and_end() -> None:
    async with opening() as it:
        it.simulator.do("openings", rung="chain", answer="410")
        it.simulator.do("openings", rung="documented", answer="no_effect")
        await it.sign_in()
        await it.reaches("authenticated", 200)
        found = set(it.openings())
        assert found == {("refused", "chain"), ("accepted", "documented"), ("skipped", "form"), ("opened", "form")}
