"""The stand-in for gateway plus IBKR, in process."""

import asyncio
import re

import httpx
import pytest

from ib_simulator.app import Simulator
from ib_simulator.gateway import SLOTS
from ib_simulator.session.session import Timing
from support.serve import InProcess

pytestmark = pytest.mark.looptime


def browser(simulator: Simulator, **kwargs: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway", **kwargs)  # type: ignore[arg-type]


async def begin_login(client: httpx.AsyncClient, user: str = "robin-paper", password: str = "paper") -> httpx.Response:
    """From ``/`` to the answer of the login form, as the page has it."""
    page = await client.get("/", follow_redirects=True)
    assert page.url.path == "/sso/Login"
    form = re.search(r'<form method="post" action="([^"]+)"', page.text)
    assert form is not None
    assert set(re.findall(r'<input name="([^"]+)"', page.text)) == {"user_name", "password"}
    return await client.post(form[1], data={"user_name": user, "password": password})


def next_page(page: httpx.Response) -> str:
    found = re.search(r'http-equiv="refresh" content="1; url=([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def test_a_login_with_an_approved_second_step_opens_everything():
    simulator = Simulator(second_step="wait")
    async with browser(simulator) as client:
        waiting = await begin_login(client)
        await asyncio.sleep(600)
        assert next_page(await client.get(next_page(waiting))) == next_page(waiting)
        simulator.do("approve")
        approved = await client.get(next_page(waiting))
        assert (approved.status_code, approved.headers["location"]) == (302, "/sso/Dispatcher")
        done = await client.get(approved.headers["location"])
        assert (done.status_code, done.text) == (200, "Client login succeeds")
        status = (await client.post("/v1/api/iserver/auth/status")).json()
        assert (status["connected"], status["authenticated"]) == (True, False)
        await asyncio.sleep(simulator.session.timing.gateway_login)
        status = (await client.post("/v1/api/iserver/auth/status")).json()
        assert (status["authenticated"], status["established"]) == (True, False)
        assert (await client.get("/v1/api/iserver/accounts")).json() == {}
        await asyncio.sleep(simulator.session.timing.establish)
        assert (await client.get("/v1/api/iserver/accounts")).json()["isPaper"] is True


async def test_the_phone_approves_by_itself_unless_told_otherwise():
    simulator = Simulator()
    async with browser(simulator) as client:
        waiting = await begin_login(client, "robin-live", "live")
        assert (await client.get(next_page(waiting))).status_code == 200
        await asyncio.sleep(2)
        assert (await client.get(next_page(waiting))).status_code == 302
        assert simulator.session.user is not None
        assert simulator.session.user.mode == "live"


async def test_a_denied_second_step_leads_back_to_the_form():
    simulator = Simulator(second_step="wait")
    async with browser(simulator) as client:
        waiting = await begin_login(client)
        simulator.do("deny")
        denied = await client.get(next_page(waiting))
        assert "The login was not approved" in denied.text
        assert simulator.session.user is None


async def test_a_wrong_password_is_told_and_signs_nobody_in():
    simulator = Simulator(second_step="none")
    async with browser(simulator) as client:
        refused = await begin_login(client, password="wrong")
        assert "Invalid username password combination" in refused.text
        assert (await client.get("/sso/Dispatcher")).status_code == 401
        assert (await client.get("/v1/api/tickle")).status_code == 401


async def test_it_answers_some_paths_itself():
    simulator = Simulator(signed_in="paper")
    async with browser(simulator) as client:
        assert "Unknown service" in (await client.get("/v1/am/x")).text
        elsewhere = await client.get("/gw/api/x?y=1")
        assert (elsewhere.status_code, elsewhere.headers["location"]) == (302, "https://api.ibkr.com/gw/api/x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await client.get("/status")
        assert (await client.get("/v1/api/iserver/moon")).status_code == 404
        assert (await client.get("/v1/portal/iserver/auth/status")).json()["authenticated"] is True
        assert (await client.get("/clear")).text == "cleared"
        assert (await client.get("/v1/api/tickle")).status_code == 401
        assert (await client.post("/v1/api/iserver/reauthenticate")).json() == {"error": "not logged in"}


async def test_reauthenticate_runs_the_gateways_login_which_competes():
    simulator = Simulator(signed_in="paper")
    async with browser(simulator) as client:
        simulator.do("compete", on=True)
        assert (await client.get("/v1/api/iserver/reauthenticate")).json() == {"message": "triggered"}
        await asyncio.sleep(1)
        status = (await client.post("/v1/api/iserver/auth/status")).json()
        assert (status["authenticated"], status["competing"]) == (True, False)


async def test_a_browser_cookie_is_planted_on_sign_in_paths():
    simulator = Simulator(signed_in="paper")
    async with browser(simulator) as client:
        await client.get("/clear")
        await client.get("/sso/Login", headers={"cookie": f"a=b; XYZAB={simulator.session.token}"})
        assert (await client.get("/v1/api/tickle")).status_code == 200


async def test_only_allowed_origins_pass_when_told():
    simulator = Simulator(signed_in="paper", limits=False, origins="http://localhost:5000")
    async with browser(simulator) as client:
        assert (await client.get("/v1/api/tickle")).status_code == 200
        for origin, status in (("http://localhost:5000", 200), ("http://localhost:50001", 403), ("null", 403)):
            assert (await client.get("/v1/api/tickle", headers={"origin": origin})).status_code == status


async def test_a_post_without_a_length_is_refused_and_a_chunked_body_is_lost():
    simulator = Simulator(signed_in="paper", limits=False)

    async def pieces():
        yield b'{"publish": true}'

    async with browser(simulator) as client:
        chunked = await client.post("/v1/api/iserver/auth/ssodh/init", content=pieces())
        assert chunked.status_code == 411
        assert (await client.post("/v1/api/tickle")).status_code == 200


async def test_stuck_requests_hold_all_slots_though_their_clients_gave_up():
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="hang", endpoint="get_ledger", count=SLOTS)
    async with browser(simulator) as client:

        async def give_up(path: str) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await client.get(path)

        await asyncio.gather(*(give_up("/v1/api/portfolio/DU7420001/ledger") for _ in range(SLOTS)))
        assert simulator.state()["busy_slots"] == SLOTS
        await give_up("/v1/api/tickle")
        assert (await client.get("/v1/am/x")).status_code == 200
        before = len(simulator.requests)
        simulator.do("release")
        await asyncio.sleep(0)
        assert (await client.get("/v1/api/iserver/auth/status")).json()["authenticated"] is True
        # The tickle whose client had given up went out all the same.
        assert [request.endpoint for request in list(simulator.requests)[before:]] == ["tickle", "get_auth_status"]
        assert simulator.state()["busy_slots"] == 0


async def test_an_idle_session_dies_without_a_tickle():
    simulator = Simulator(signed_in="paper", timing=Timing(brokerage_idle=300))
    async with browser(simulator) as client:
        await asyncio.sleep(301)
        status = (await client.post("/v1/api/iserver/auth/status")).json()
        assert (status["connected"], status["authenticated"]) == (True, False)
        refused = await client.get("/v1/api/iserver/accounts")
        assert (refused.status_code, refused.json()) == (400, {"error": "Bad Request: no bridge", "statusCode": 400})


async def test_logout_ends_the_session():
    simulator = Simulator(signed_in="paper")
    async with browser(simulator) as client:
        assert (await client.post("/v1/api/logout")).json() == {"status": True}
        assert (await client.get("/v1/api/tickle")).status_code == 401
