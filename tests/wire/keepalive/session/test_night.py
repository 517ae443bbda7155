"""A whole night in virtual time: simulated IBKR, keepalive, an owner who signs in and several impatient askers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import structlog

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_service import logs
from ib_simulator.app import Simulator
from ib_simulator.session.session import Timing
from ibkr.session import SessionState, Status, refusal
from support.serve import InProcess

pytestmark = pytest.mark.looptime

TOKEN = "token-of-the-night"
NEW_YORK = ZoneInfo("America/New_York")
THURSDAY_EVENING = datetime(2026, 11, 19, 21, tzinfo=NEW_YORK).timestamp()
SATURDAY_EVENING = datetime(2026, 11, 21, 21, tzinfo=NEW_YORK).timestamp()
NOTICED_WITHIN_S = 60


@dataclass
class Night:
    """The parts and their clients; ``states`` are those that ``/status``, metrics and the data port agreed on."""

    simulator: Simulator
    keepalive: Keepalive
    owner: httpx.AsyncClient
    control: httpx.AsyncClient
    script: httpx.AsyncClient
    agent: httpx.AsyncClient
    states: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)

    async def told(self, path: str, **arguments: Any) -> None:
        (await self.script.post(f"/control/{path}", json=arguments)).raise_for_status()

    async def until(self, hour: int, minute: int = 0) -> None:
        """Sleep until that time of the simulated day."""
        now = datetime.fromtimestamp(self.simulator.clock.now(), NEW_YORK)
        then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        await asyncio.sleep((then.timestamp() - now.timestamp()) % 86_400)

    async def sees(self, state: SessionState) -> Status:
        """The status as soon as it says ``state``, once metrics and the data port say the same."""
        async with asyncio.timeout(NOTICED_WITHIN_S):
            while (status := await self.status()).state is not state:  # noqa: ASYNC110 - virtual time must pass
                await asyncio.sleep(1)
        metrics = (await self.control.get("/metrics")).text
        assert f'ibmcp_session_state{{state="{state}"}} 1.0' in metrics
        assert f"ibmcp_session_authenticated {float(state is SessionState.AUTHENTICATED)}" in metrics
        answer = await self.agent.get("/v1/api/iserver/accounts")
        expected = refusal(state)
        if expected is None:
            assert answer.status_code == 200
        else:
            assert answer.status_code == expected.status
            assert answer.json()["error"]["code"] == expected.code
            self.shown.append(answer.text)
        page = await self.owner.get("/login-status")
        assert page.json()["state"] == state
        self.shown += [metrics, page.text]
        self.states.add(state.value)
        return status

    async def status(self) -> Status:
        answer = await self.control.get("/status")
        self.shown.append(answer.text)
        return Status.from_json(answer.json())

    async def sign_in(self) -> None:
        """As the owner does it in a browser, through the login port."""
        form = await self.owner.get("/sso/Login?forwardTo=22&RL=1&ip2loc=US")
        assert 'name="user_name"' in form.text
        waiting = await self.owner.post("/sso/Login", data={"user_name": "robin-paper", "password": "paper"})
        found = re.search(r'href="(/sso/SecondStep\?id=[^"]+)"', waiting.text)
        assert found is not None
        async with asyncio.timeout(NOTICED_WITHIN_S):
            while "signed-in" not in str((await self.owner.get(found[1])).url):  # noqa: ASYNC110 - as a browser does
                await asyncio.sleep(1)

    def opened(self) -> list[float]:
        """When IBKR was asked to open the brokerage session, by whomever."""
        return [request.at for request in self.simulator.requests if request.endpoint == "open_brokerage_session"]


@asynccontextmanager
async def night(start: float, **given: Any) -> AsyncIterator[Night]:
    """IBKR with its calendar, a keepalive, and two askers that want the session opened every few seconds."""
    simulator = Simulator(signed_in="paper", timing=Timing(calendar=True), wall=lambda: start)
    keepalive = Keepalive(
        KeepaliveSettings(gateway_url="http://gateway.test", token=TOKEN, auto_reopen=True, **given),
        transport=InProcess(simulator.app),
        wall=simulator.clock.now,
    )
    simulator.clock.now()

    def client(app: Any, url: str, **more: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url, **more)

    async with (
        keepalive,
        client(keepalive.login, "http://localhost:5443", follow_redirects=True) as owner,
        client(keepalive.control, "http://127.0.0.1:8081") as control,
        client(simulator.control, "http://127.0.0.1") as script,
        client(keepalive.data, "http://127.0.0.1:8080", headers={"authorization": f"Bearer {TOKEN}"}) as agent,
    ):
        askers = [
            asyncio.create_task(ask_again_and_again(control, "/reauthenticate", 13)),
            asyncio.create_task(ask_again_and_again(agent, "/reauthenticate", 17)),
        ]
        yield Night(simulator, keepalive, owner, control, script, agent)
        for asker in askers:
            asker.cancel()
        await asyncio.gather(*askers, return_exceptions=True)


async def ask_again_and_again(client: httpx.AsyncClient, path: str, seconds: float) -> None:
    while True:
        answer = await client.post(path)
        assert answer.status_code == 202 or "error" in answer.json()
        await asyncio.sleep(seconds)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process would log, in full: structlog and the standard library through ib_service.logs."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        logs.configure(logging.DEBUG)
    yield written
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


async def account_data(agent: httpx.AsyncClient) -> list[str]:
    """Account numbers and amounts of money, as the data port gives them to those who may see them."""
    accounts = [row["accountId"] for row in (await agent.get("/v1/api/portfolio/accounts")).json()]
    found = list(accounts)
    for account in accounts:
        summary = (await agent.get(f"/v1/api/portfolio/{account}/summary")).json()
        amounts = [row["amount"] for row in summary.values() if row.get("amount")]
        found += [text for amount in amounts if len(text := json.dumps(amount)) > 5]
    assert len(found) > len(accounts)
    return found


def apart(times: list[float]) -> float:
    return min(after - before for before, after in pairwise(times))


async def test_night_with_everything_that_can_happen(log: io.StringIO) -> None:
    async with night(THURSDAY_EVENING) as it:
        await it.told("faults", kind="refuse")
        await it.sees(SessionState.STARTING)
        (await it.script.delete("/control/faults")).raise_for_status()
        status = await it.sees(SessionState.AUTHENTICATED)
        secrets = await account_data(it.agent)
        assert status.login.deadline == pytest.approx(THURSDAY_EVENING + 3 * 3600, abs=1)

        await it.until(22)
        before = it.opened()
        await it.told("compete", on=True)
        await it.sees(SessionState.COMPETING)
        await it.until(22, 20)
        assert it.opened() == before, "asked to open the session while another one was active"
        await it.told("compete", on=False)
        await it.sees(SessionState.REOPENING)
        await it.sees(SessionState.AUTHENTICATED)

        await it.until(23)
        await it.told("faults", kind="hang")
        await it.sees(SessionState.HUNG)
        await it.until(23, 5)
        assert it.simulator.gateway is not None
        (await it.script.delete("/control/faults")).raise_for_status()
        await asyncio.sleep(120)
        await it.sees(SessionState.AUTHENTICATED)

        await it.until(23, 59)
        await it.sees(SessionState.AUTHENTICATED)
        await it.until(0)
        await it.sees(SessionState.LOGIN_REQUIRED)
        before = it.opened()
        await it.until(0, 20)
        assert it.opened() == before, "asked to open a session while nobody was signed in"
        await it.sign_in()
        status = await it.sees(SessionState.AUTHENTICATED)
        assert status.age_seconds < 5

        await it.until(1)
        await it.sees(SessionState.REOPENING)
        await asyncio.sleep(90)
        await it.sees(SessionState.AUTHENTICATED)
        assert it.simulator.session.dropped == ""

        await it.until(2)
        await it.told("maintenance", on=True, seconds=360)
        await it.sees(SessionState.MAINTENANCE)
        before = it.opened()
        await it.until(2, 5)
        assert it.opened() == before, "asked to open the session during maintenance"
        await asyncio.sleep(90)
        await it.sees(SessionState.AUTHENTICATED)

        await it.until(3)
        await it.told("faults", kind="refuse")
        await it.sees(SessionState.UNREACHABLE)
        (await it.script.delete("/control/faults")).raise_for_status()
        await it.sees(SessionState.AUTHENTICATED)

        await it.until(7)
        await it.sees(SessionState.AUTHENTICATED)
        assert len(it.opened()) >= 3
        assert apart(it.opened()) >= 25

        assert it.states == {state.value for state in SessionState} - {"portfolio_only"}
        held = "".join(it.shown) + log.getvalue()
        assert "session state changed" in log.getvalue()
        for secret in (TOKEN, it.simulator.session.token, "XYZAB", "robin", *secrets):
            assert secret not in held
        assert re.search(r"\b[A-Z]{1,3}\d{6,9}\b", held) is None
        assert it.simulator.gateway.busy_slots == 0


async def test_saturday_night_is_maintenance_and_a_sign_in_afterwards() -> None:
    async with night(SATURDAY_EVENING) as it:
        await it.sees(SessionState.AUTHENTICATED)
        await it.until(22)
        status = await it.sees(SessionState.MAINTENANCE)
        assert status.maintenance.active
        assert status.maintenance.until is not None
        assert (await it.agent.get("/v1/api/portfolio/accounts")).json()["error"]["code"] == "maintenance"
        await it.until(23, 59)
        await it.sees(SessionState.MAINTENANCE)
        await it.until(0)
        await it.sees(SessionState.LOGIN_REQUIRED)
        await it.sign_in()
        await it.sees(SessionState.AUTHENTICATED)
        assert it.opened() == []


async def test_owner_who_competes_takes_the_session_back_at_most_every_25_seconds() -> None:
    async with night(THURSDAY_EVENING, compete=True) as it:
        await it.sees(SessionState.AUTHENTICATED)
        await it.told("compete", on=True, returns_s=5)
        await asyncio.sleep(1800)
        await it.told("compete", on=False)
        await asyncio.sleep(60)
        await it.sees(SessionState.AUTHENTICATED)
        assert len(it.opened()) >= 5
        assert apart(it.opened()) >= 25
