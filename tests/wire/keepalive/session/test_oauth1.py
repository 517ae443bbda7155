"""The keepalive without IBKR's gateway program, before the simulated api.ibkr.com, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.app import Simulator
from ibkr.session import Status
from support.keepalive import eventually
from support.oauth1 import register
from support.serve import InProcess
from support.simulated import NOON

pytestmark = pytest.mark.looptime

TOKEN = "token-of-tests"


@dataclass
class Keyed:
    """A keepalive with a consumer's keys; ``agent`` speaks to its data port."""

    simulator: Simulator
    keepalive: Keepalive
    agent: httpx.AsyncClient

    @property
    def status(self) -> Status:
        return self.keepalive.keeper.status()

    @property
    def state(self) -> str:
        return self.status.state.value

    def tokens_asked(self) -> int:
        return sum(request.path.endswith("/oauth/live_session_token") for request in self.simulator.requests)

    async def until(self, state: str, within: float = 300) -> None:
        await eventually(lambda: self.state == state, within)

    async def accounts(self) -> httpx.Response:
        return await self.agent.get("/v1/api/iserver/accounts")


@asynccontextmanager
async def keyed(
    directory: Path, *, skew_s: float = 0, prepare: Callable[[Simulator], None] | None = None, **more: Any
) -> AsyncIterator[Keyed]:
    """``skew_s``: how far this machine's clock is ahead of IBKR's."""
    loop = asyncio.get_running_loop()
    started = loop.time()

    def wall() -> float:
        return NOON + loop.time() - started

    simulator = Simulator(7, role="backend", wall=wall)
    register(simulator, active_in_s=more.pop("active_in_s", 0)).write(directory)
    if prepare is not None:
        prepare(simulator)
    given = {"maintenance_hours": False, "auto_reopen": True} | more
    settings = KeepaliveSettings(backend="oauth1", oauth1_dir=directory, token=TOKEN, **given)
    keepalive = Keepalive(settings, transport=InProcess(simulator.app), wall=lambda: wall() + skew_s)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        keepalive,
        httpx.AsyncClient(
            transport=InProcess(keepalive.data), base_url="http://guard.test", headers=headers, timeout=None
        ) as agent,
    ):
        yield Keyed(simulator, keepalive, agent)


async def test_the_keys_sign_in_the_session_is_opened_and_callers_are_answered(tmp_path: Path) -> None:
    async with keyed(tmp_path) as held:
        await held.until("authenticated")
        await eventually(lambda: held.status.mode == "paper")
        answer = await held.accounts()
        assert answer.status_code == 200
        assert answer.json()["accounts"]
        status = held.status
        assert (status.gateway.tickles, status.gateway.replace_by, status.login.deadline) == (False, None, None)
        assert held.tokens_asked() == 1
        asked = {request.path for request in held.simulator.requests}
        assert not {path for path in asked if path.endswith(("/sso/validate", "/one/user", "/ssodh/st"))}


async def test_a_token_is_renewed_before_it_ends_and_the_session_is_opened_again(tmp_path: Path) -> None:
    async with keyed(tmp_path) as held:
        await held.until("authenticated")
        first = held.status.sign_in.number
        for _ in range(25):
            await asyncio.sleep(3600)
            await held.until("authenticated", 60)
            assert (await held.accounts()).status_code == 200
        assert held.status.sign_in.number == first + 1
        assert not [status for _, status in held.simulator.request_log.statuses if status == 401]


async def test_a_sign_in_that_ibkr_ends_is_made_again_without_a_person(tmp_path: Path) -> None:
    async with keyed(tmp_path) as held:
        await held.until("authenticated")
        await asyncio.sleep(600)
        held.simulator.do("sign-out")
        states = set()
        for _ in range(120):
            await asyncio.sleep(1)
            states.add(held.state)
        assert held.state == "authenticated"
        assert "login_required" not in states
        assert held.tokens_asked() == 2


async def test_refused_keys_are_told_with_ibkrs_reason_and_tried_again_once_a_minute(tmp_path: Path) -> None:
    async with keyed(tmp_path, active_in_s=3600) as held:
        await held.until("login_required")
        assert "invalid consumer" in (held.status.auth.message or "")
        refused = await held.accounts()
        assert refused.status_code == 503
        error = json.loads(refused.content)["error"]
        assert error["code"] == "login_required"
        assert "ib-mcp oauth check" in refused.text
        await asyncio.sleep(1800)
        assert 10 <= held.tokens_asked() <= 32
        await held.until("authenticated", 2100)
        assert "invalid" not in (held.status.auth.message or "")


@pytest.mark.parametrize("skew_s", [60, -60, 7200])
async def test_a_clock_that_is_off_is_corrected_by_ibkrs(tmp_path: Path, skew_s: float) -> None:
    async with keyed(tmp_path, skew_s=skew_s) as held:
        await held.until("authenticated")
        assert held.tokens_asked() == 2
        assert (await held.accounts()).status_code == 200


async def test_ibkr_out_of_reach_for_an_hour_is_told_and_comes_back_by_itself(tmp_path: Path) -> None:
    def away(simulator: Simulator) -> None:
        simulator.do("fault", kind="refuse")

    async with keyed(tmp_path, prepare=away) as held:
        await held.until("unreachable")
        assert (await held.accounts()).json()["error"]["code"] == "upstream_unreachable"
        await asyncio.sleep(3600)
        assert held.state == "unreachable"
        held.simulator.do("clear-faults")
        await held.until("authenticated")


async def test_a_token_request_without_an_answer_holds_nobody_for_long(tmp_path: Path) -> None:
    def silent(simulator: Simulator) -> None:
        simulator.do("fault", kind="hang", path="*/oauth/live_session_token")

    async with keyed(tmp_path, prepare=silent) as held:
        await asyncio.sleep(120)
        assert held.state != "authenticated"
        async with asyncio.timeout(60):
            assert (await held.accounts()).status_code >= 500
        held.simulator.do("clear-faults")
        await held.until("authenticated")


async def test_an_answer_that_is_no_token_is_none(tmp_path: Path) -> None:
    async with keyed(tmp_path) as held:
        await held.until("authenticated")
        held.simulator.do("fault", kind="wrong_json", path="*/oauth/live_session_token")
        held.simulator.do("sign-out")
        await asyncio.sleep(120)
        assert held.state == "unreachable"
        held.simulator.do("clear-faults")
        await held.until("authenticated")


async def test_another_session_of_the_user_is_competing_here_too(tmp_path: Path) -> None:
    async with keyed(tmp_path) as held:
        await held.until("authenticated")
        held.simulator.do("compete", on=True)
        await held.until("competing")
        assert (await held.accounts()).json()["error"]["code"] == "session_competing"
        held.simulator.do("compete", on=False)
        await held.until("authenticated", 900)
