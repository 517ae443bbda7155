"""A lost session is opened again, within its budget, through a real keepalive and simulator where it matters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_operator.decision.spans import utc
from ib_simulator.app import Simulator
from ibkr.errors import PacingLimited
from support.operator import ADDRESS, HINT, NOON, Operated, eventually, operating, pod_body, says, session_body
from support.serve import InProcess

pytestmark = pytest.mark.looptime

_LOST = says("reopening", auth={"connected": True})
_OPEN = says("authenticated")


@asynccontextmanager
async def whole(**spec: Any) -> AsyncIterator[tuple[Operated, Simulator]]:
    """Operator, keepalive and simulator, signed in."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    simulator = Simulator(signed_in="paper", wall=lambda: NOON)
    keepalive = Keepalive(
        KeepaliveSettings(
            gateway_url="http://gateway.test", token="token-of-tests", login_hint=HINT,
            compete=bool(spec.get("reauth", {}).get("compete")),
        ),
        transport=InProcess(simulator.app),
        wall=lambda: NOON + loop.time() - began,
    )  # fmt: skip
    async with keepalive, operating(pods=InProcess(keepalive.control), **spec) as operated:
        await eventually(lambda: operated.gate.get("status") == "True")
        yield operated, simulator


def _inits(simulator: Simulator) -> int:
    return sum(1 for request in simulator.requests if request.path.endswith("/ssodh/init"))


def _do(simulator: Simulator, action: str, **arguments: Any) -> None:
    from ib_simulator.control.actions import arguments_of

    simulator.perform(action, arguments_of(action, arguments))


async def test_the_nightly_reset_is_got_over_without_a_person() -> None:
    async with whole() as (operated, simulator):
        _do(simulator, "nightly-reset")
        await operated.reaches("Reauthenticating")
        await operated.reaches("Authenticated", within=300)
        assert 1 <= _inits(simulator) <= 2
        assert not operated.notifications


async def test_while_another_program_competes_nothing_is_opened() -> None:
    async with whole() as (operated, simulator):
        _do(simulator, "compete", on=True)
        await operated.reaches("Competing")
        await asyncio.sleep(3600)
        assert _inits(simulator) == 0
        _do(simulator, "compete", on=False)
        await operated.reaches("Authenticated", within=600)


async def test_where_the_owner_says_so_the_session_is_taken_every_ten_minutes_at_most() -> None:
    async with whole(reauth={"compete": True}) as (_, simulator):
        _do(simulator, "compete", on=True, returns_s=1)
        await asyncio.sleep(1800)
        assert 1 <= _inits(simulator) <= 3


async def test_without_a_sign_in_nothing_is_opened_and_the_command_is_told() -> None:
    async with whole() as (operated, simulator):
        _do(simulator, "sign-out")
        await operated.reaches("AwaitingLogin")
        await asyncio.sleep(3600)
        assert _inits(simulator) == 0
        assert HINT in operated.status["message"]
        _do(simulator, "sign-in")
        # The keeper itself looks every few seconds.
        await operated.reaches("Authenticated", within=60)


async def test_a_paused_session_is_left_alone() -> None:
    async with whole(paused=True) as (operated, simulator):
        _do(simulator, "drop-brokerage")
        await asyncio.sleep(3600)
        assert _inits(simulator) == 0
        assert operated.gate["status"] == "False"
        operated.specify(paused=False)
        await operated.reaches("Authenticated", within=300)


async def test_a_session_object_that_comes_after_its_pod_still_has_its_say() -> None:
    async with operating(_LOST, with_session=False) as operated:
        await eventually(lambda: bool(operated.sidecar.looks))
        await asyncio.sleep(15)
        operated.show_session(session_body(paused=True), "ADDED")
        await asyncio.sleep(3600)
        assert not operated.sidecar.asked


async def test_without_a_session_object_the_defaults_hold() -> None:
    async with operating(_LOST, with_session=False) as operated:
        await asyncio.sleep(3600)
        assert len(operated.sidecar.asked) == 5
        assert operated.sidecar.asked[0] - operated.sidecar.looks[0] >= 24


async def test_five_attempts_then_a_person_is_needed() -> None:
    async with operating(_LOST) as operated:
        await eventually(lambda: operated.status.get("reason") == "ReauthExhausted", within=3600)
        await asyncio.sleep(2 * 3600)
        waits = [
            later - earlier for earlier, later in zip(operated.sidecar.asked, operated.sidecar.asked[1:], strict=False)
        ]
        assert len(operated.sidecar.asked) == 5
        assert operated.status["reauth"]["attempts"] == 5
        for wait, wanted in zip(waits, (60, 120, 240, 480), strict=True):
            assert wanted * 0.8 <= wait <= wanted * 1.2 + 15


async def test_a_refusal_without_an_attempt_costs_nothing() -> None:
    async with operating(_LOST) as operated:
        operated.sidecar.opens = PacingLimited("moments ago", retry_after_s=20)
        await eventually(lambda: len(operated.sidecar.asked) == 3)
        assert operated.status["reauth"]["attempts"] == 0
        operated.sidecar.opens = _OPEN
        await operated.reaches("Authenticated")


async def test_the_annotation_opens_it_once_more() -> None:
    async with operating(_LOST, reauth={"maxAttempts": 0}) as operated:
        await eventually(lambda: operated.status.get("reason") == "ReauthExhausted")
        await asyncio.sleep(60)
        assert not operated.sidecar.asked
        body = operated.kubernetes.sessions["demo"]
        asked_at = utc(NOON + asyncio.get_running_loop().time())
        body["metadata"]["annotations"] = {"ib-mcp.dev/reauthenticate-at": asked_at}
        operated.show_session(body)
        await eventually(lambda: len(operated.sidecar.asked) == 1, within=5)
        await asyncio.sleep(1800)
        assert len(operated.sidecar.asked) == 1
        assert operated.status["reauth"]["handledRequest"] == asked_at
        seconds = asyncio.get_running_loop().time()
    # The next operator process, while the request still stands.
    async with operating(_LOST, with_session=False, start=NOON + seconds - 1500) as again:
        again.show_session(body)
        await eventually(lambda: again.status.get("reason") == "ReauthExhausted")
        await asyncio.sleep(60)
        assert not again.sidecar.asked


async def test_an_annotation_that_is_no_time_is_told_of() -> None:
    async with operating(_OPEN) as operated:
        await eventually(lambda: bool(operated.kubernetes.events))
        body = operated.kubernetes.sessions["demo"]
        body["metadata"]["annotations"] = {"ib-mcp.dev/reauthenticate-at": "now"}
        operated.show_session(body)
        await eventually(lambda: "give a time like" in operated.kubernetes.events[-1]["message"])


async def test_a_restarted_operator_goes_on_with_the_same_budget_and_says_nothing_twice() -> None:
    async with operating(_LOST) as operated:
        await eventually(lambda: len(operated.sidecar.asked) == 3, within=1800)
        await asyncio.sleep(10)
        session, seconds = operated.kubernetes.sessions["demo"], asyncio.get_running_loop().time()
    async with operating(_LOST, start=NOON + seconds) as again:
        again.show_session(session)
        await asyncio.sleep(3600)
        assert len(again.sidecar.asked) == 2
        assert [event["reason"] for event in again.kubernetes.events] == ["ReauthExhausted"]


async def test_a_session_object_that_is_made_anew_grants_no_more_attempts() -> None:
    async with operating(_LOST) as operated:
        await eventually(lambda: len(operated.sidecar.asked) == 3, within=1800)
        operated.show_session(operated.kubernetes.sessions["demo"], "DELETED")
        await asyncio.sleep(20)
        operated.show_session(session_body(uid="session-2"), "ADDED")
        await asyncio.sleep(2 * 3600)
        assert len(operated.sidecar.asked) == 5
        assert operated.status["reason"] == "ReauthExhausted"


async def test_a_thousand_gateways_do_not_call_at_once() -> None:
    async with operating(_LOST, with_session=False, reauth_per_s=5) as operated:
        operated.operator.controller.on_pod("DELETED", pod_body())
        operated.sidecar.opens = _LOST
        for number in range(200):
            name = f"g{number}"
            operated.show_session(session_body(name, uid=f"s-{name}", gateway=name))
            operated.show_pod(pod_body(name, uid=f"p-{name}", address=ADDRESS))
        await eventually(lambda: len(operated.sidecar.asked) >= 200, within=600)
        asked = sorted(operated.sidecar.asked)
        assert all(sum(1 for at in asked if begin <= at < begin + 2) <= 2 * 5 + 5 for begin in asked)
        assert len(operated.sidecar.looks) < 200 * 30


async def test_an_outdated_idle_pod_is_replaced_where_the_policy_says_so() -> None:
    async with operating(says("login_required"), rollout={"policy": "WhenIdle"}) as operated:
        await operated.reaches("AwaitingLogin")
        await asyncio.sleep(120)
        assert not operated.kubernetes.evicted
        operated.kubernetes.revision = "r2"
        await eventually(lambda: bool(operated.kubernetes.evicted))
        await eventually(lambda: operated.kubernetes.events[-1]["reason"] == "GatewayReplaced")


@pytest.mark.parametrize(
    ("policy", "state", "paused"),
    [
        ("WhenIdle", "authenticated", False),
        ("WhenIdle", "reopening", False),
        ("WhenIdle", "competing", False),
        ("WhenIdle", "unreachable", False),
        ("WhenIdle", "login_required", True),
        ("Immediate", "login_required", True),
        ("Never", "login_required", False),
    ],
)
async def test_a_pod_that_must_stay_stays(policy: str, state: str, paused: bool) -> None:
    async with operating(says(state), rollout={"policy": policy}, paused=paused) as operated:
        operated.kubernetes.revision = "r2"
        await asyncio.sleep(600)
        assert not operated.kubernetes.evicted


async def test_a_live_session_is_replaced_at_once_or_in_a_window_where_the_owner_wants_that() -> None:
    window = [{"start": "12:30", "end": "13:00", "timeZone": "America/New_York"}]
    async with operating(_OPEN, rollout={"policy": "Immediate"}) as operated:
        operated.kubernetes.revision = "r2"
        await eventually(lambda: bool(operated.kubernetes.evicted))
    async with operating(_OPEN, rollout={"policy": "WhenIdle"}, maintenanceWindows=window) as operated:
        operated.kubernetes.revision = "r2"
        await asyncio.sleep(1700)
        assert not operated.kubernetes.evicted
        await eventually(lambda: bool(operated.kubernetes.evicted))


async def test_an_answer_that_is_lost_counts_as_an_attempt() -> None:
    lost = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal lost
        if request.method == "GET":
            return httpx.Response(200, json=_LOST.to_json())
        lost += 1
        raise httpx.ReadError("reset", request=request)

    async with operating(pods=httpx.MockTransport(answer)) as operated:
        await asyncio.sleep(7200)
        assert lost == 5
        assert operated.status["reason"] == "ReauthExhausted"
