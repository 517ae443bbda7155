"""A lost session is opened again, within its budget, through a real keepalive and simulator where it matters."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
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
async def kept(**settings: Any) -> AsyncIterator[tuple[Keepalive, Simulator]]:
    """Keepalive and simulator, signed in."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    simulator = Simulator(signed_in="paper", wall=lambda: NOON)
    keepalive = Keepalive(
        KeepaliveSettings(
            gateway_url="http://gateway.test", token="token-of-tests", login_hint=HINT, instance="pod-1", **settings
        ),
        transport=InProcess(simulator.app),
        wall=lambda: NOON + loop.time() - began,
    )
    async with keepalive:
        yield keepalive, simulator


@asynccontextmanager
async def whole(**spec: Any) -> AsyncIterator[tuple[Operated, Simulator]]:
    """Operator, keepalive and simulator, signed in."""
    compete = bool(spec.get("reauth", {}).get("compete"))
    async with (
        kept(compete=compete) as (keepalive, simulator),
        operating(pods=InProcess(keepalive.control), **spec) as operated,
    ):
        await eventually(lambda: operated.gate.get("status") == "True")
        yield operated, simulator


def _inits(simulator: Simulator) -> int:
    """How often the session was opened; one opening may take several ways, one after the other."""
    at = [request.at for request in simulator.requests if request.path.endswith("/ssodh/init")]
    return len(at[:1]) + sum(1 for earlier, later in itertools.pairwise(at) if later - earlier > 15)


def _do(simulator: Simulator, action: str, **arguments: Any) -> None:
    from ib_simulator.control.actions import arguments_of

    simulator.perform(action, arguments_of(action, arguments))


async def test_the_nightly_reset_is_got_over_without_a_person() -> None:
    async with whole() as (operated, simulator):
        _do(simulator, "nightly-reset")
        await operated.reaches("Reauthenticating")
        await operated.reaches("Authenticated", within=300)
        assert 1 <= _inits(simulator) <= 3
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


async def test_a_pause_binds_the_keeper_with_the_operator_away() -> None:
    async with kept(auto_reopen=True, reopen_after_s=30) as (keepalive, simulator):
        async with operating(pods=InProcess(keepalive.control), paused=True) as operated:
            await operated.reaches("Paused")
        _do(simulator, "drop-brokerage")
        await asyncio.sleep(3600)
        assert _inits(simulator) == 0


async def test_the_keeper_opens_a_lost_session_half_a_minute_later_with_the_operator_away() -> None:
    async with kept(auto_reopen=True, reopen_after_s=30, brokerage_login="keeper") as (_, simulator):
        await asyncio.sleep(60)
        before = _inits(simulator)
        _do(simulator, "drop-brokerage")
        lost_at = asyncio.get_running_loop().time()
        await eventually(lambda: _inits(simulator) > before)
        assert 25 <= asyncio.get_running_loop().time() - lost_at <= 75


async def test_a_session_object_that_comes_after_its_pod_still_has_its_say() -> None:
    async with operating(_LOST, with_session=False, lists_sessions=False) as operated:
        await eventually(lambda: bool(operated.sidecar.polls))
        await asyncio.sleep(15)
        operated.show_session(session_body(paused=True), None)
        operated.operator.controller.on_listed("sessions", "ns1", set(operated.uids))
        await asyncio.sleep(3600)
        assert not operated.sidecar.asked


async def test_without_a_session_object_the_defaults_hold() -> None:
    async with operating(_LOST, with_session=False) as operated:
        await asyncio.sleep(1800)
        assert len(operated.sidecar.asked) >= 5
        assert operated.sidecar.asked[0] == operated.sidecar.polls[0]
        assert operated.sidecar.policies == [{"paused": False, "reopen": True, "max_attempts": None}]


async def test_as_many_attempts_as_the_owner_grants_then_a_person_is_needed() -> None:
    async with operating(_LOST, reauth={"maxAttempts": 5}) as operated:
        await eventually(lambda: operated.status.get("reason") == "ReauthExhausted", within=3600)
        await asyncio.sleep(2 * 3600)
        waits = [
            later - earlier for earlier, later in zip(operated.sidecar.asked, operated.sidecar.asked[1:], strict=False)
        ]
        assert len(operated.sidecar.asked) == 5
        assert operated.status["reauth"]["attempts"] == 5
        for wait, wanted in zip(waits, (30, 60, 120, 240), strict=True):
            assert wanted <= wait <= wanted + 17


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


async def test_a_restarted_operator_says_nothing_twice() -> None:
    async with operating(_LOST, reauth={"maxAttempts": 2}) as operated:
        await eventually(lambda: operated.status.get("reason") == "ReauthExhausted", within=1800)
        await asyncio.sleep(10)
        session, sidecar = operated.kubernetes.sessions["demo"], operated.sidecar
        seconds = asyncio.get_running_loop().time()
    async with operating(sidecar.status, with_session=False, start=NOON + seconds) as again:
        again.sidecar.counted = sidecar.counted
        again.show_session(session, None)
        await asyncio.sleep(3600)
        assert not again.sidecar.asked
        assert again.kubernetes.events == []


async def test_the_owners_word_reaches_the_keeper_once_for_each_change() -> None:
    async with operating(_OPEN, reauth={"maxAttempts": 3}) as operated:
        await operated.reaches("Authenticated")
        await asyncio.sleep(600)
        assert operated.sidecar.policies == [{"paused": False, "reopen": True, "max_attempts": 3}]
        operated.specify(paused=True, reauth={"enabled": False})
        await eventually(lambda: len(operated.sidecar.policies) == 2, within=2)
        assert operated.sidecar.policies[1] == {"paused": True, "reopen": False, "max_attempts": None}


async def test_a_pause_holds_when_its_object_is_deleted_for_as_long_as_the_pod_lives() -> None:
    async with operating(_LOST, paused=True) as operated:
        await operated.reaches("Paused")
        operated.show_session(operated.kubernetes.sessions["demo"], "DELETED")
        await asyncio.sleep(3600)
        assert not operated.sidecar.asked
        assert [one["paused"] for one in operated.sidecar.policies] == [True]
        # Another pod was never under that word.
        operated.show_pod(pod_body(uid="pod-2"))
        await eventually(lambda: bool(operated.sidecar.asked))


async def test_nothing_is_opened_before_the_sessions_of_the_namespace_were_listed() -> None:
    async with operating(_LOST, with_session=False, lists_sessions=False) as operated:
        await asyncio.sleep(600)
        assert not operated.sidecar.asked
        assert not operated.sidecar.policies
        assert operated.gate["status"] == "False"
        operated.operator.controller.on_listed("sessions", "ns1", set())
        await eventually(lambda: bool(operated.sidecar.asked), within=20)


async def test_a_pause_in_the_middle_of_a_poll_is_heeded() -> None:
    async with operating(_OPEN) as operated:
        await operated.reaches("Authenticated")
        operated.sidecar.hangs_s, operated.sidecar.status = 4.0, _LOST
        looks = len(operated.sidecar.polls)
        await eventually(lambda: len(operated.sidecar.polls) == looks + 2)
        # The second look at the loss is under way; it would lead to an attempt.
        operated.specify(paused=True)
        await asyncio.sleep(600)
        assert not operated.sidecar.asked


async def test_a_request_names_the_pod_that_was_looked_at_and_another_one_refuses() -> None:
    async with operating(_LOST) as operated:
        operated.sidecar.instance = "pod-1"
        await eventually(lambda: len(operated.sidecar.asked) == 1)
    async with operating(_LOST) as operated:
        operated.sidecar.instance = "pod-of-another-release"
        await operated.reaches("Unreachable")
        assert "another pod answers at its address" in operated.status["message"]
        assert not operated.sidecar.asked


async def test_a_pod_that_is_replaced_in_the_middle_of_a_poll_gets_no_request() -> None:
    async with operating(_OPEN) as operated:
        await operated.reaches("Authenticated")
        operated.sidecar.hangs_s, operated.sidecar.status = 4.0, _LOST
        looks = len(operated.sidecar.polls)
        await eventually(lambda: len(operated.sidecar.polls) == looks + 2)
        operated.show_pod(pod_body(uid="pod-2", address=None))
        await asyncio.sleep(60)
        assert not operated.sidecar.asked


async def test_a_persons_request_is_written_down_before_it_is_served_however_often_the_operator_ends() -> None:
    requested = session_body(reauth={"enabled": False})
    requested["metadata"]["annotations"] = {"ib-mcp.dev/reauthenticate-at": utc(NOON)}
    served = 0
    for _ in range(12):
        async with operating(_LOST, with_session=False) as operated:
            operated.show_session(requested, None)
            # It ends in the moment of the request.
            with contextlib.suppress(TimeoutError):
                await eventually(lambda asked=operated.sidecar.asked: bool(asked), within=20)
            served += len(operated.sidecar.asked)
            requested = operated.kubernetes.sessions["demo"]
    assert served == 1


async def test_a_persons_request_waits_for_an_api_server_that_can_note_it() -> None:
    async with operating(_LOST, reauth={"enabled": False}) as operated:
        await eventually(lambda: operated.status.get("reason") == "ReauthDisabled")
        body = operated.kubernetes.sessions["demo"]
        operated.kubernetes.down = True
        asked_at = NOON + asyncio.get_running_loop().time()
        body["metadata"]["annotations"] = {"ib-mcp.dev/reauthenticate-at": utc(asked_at)}
        operated.show_session(body)
        await asyncio.sleep(60)
        assert not operated.sidecar.asked
        operated.kubernetes.down = False
        await eventually(lambda: operated.sidecar.persons == [True], within=30)


async def test_a_request_that_cannot_be_served_is_answered_by_an_event() -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        body = operated.kubernetes.sessions["demo"]
        asked_at = utc(NOON + asyncio.get_running_loop().time())
        body["metadata"]["annotations"] = {"ib-mcp.dev/reauthenticate-at": asked_at}
        operated.show_session(body)
        await eventually(lambda: operated.kubernetes.events[-1]["reason"] == "RequestRefused")
        assert "sign in first" in operated.kubernetes.events[-1]["message"]
        await asyncio.sleep(1200)
        assert [event["reason"] for event in operated.kubernetes.events].count("RequestRefused") == 1
        assert operated.status["reauth"]["handledRequest"] == asked_at


async def test_a_lost_session_does_not_wait_for_a_slow_api_server() -> None:
    async with operating(_OPEN) as operated:
        await operated.reaches("Authenticated")
        operated.kubernetes.write_s = 10
        lost_at = asyncio.get_running_loop().time()
        operated.sidecar.status, operated.sidecar.opens = _LOST, _OPEN
        await eventually(lambda: bool(operated.sidecar.asked), within=60)
        # At most one poll's distance, and the second look five seconds later.
        assert operated.sidecar.asked[0] - lost_at <= 15 * 1.1 + 5 * 1.1 + 0.5


async def test_an_aged_gateway_program_is_replaced_while_nobody_is_signed_in() -> None:
    aged = {"gateway": {"replace_by": NOON + 600}}
    async with operating(says("authenticated", **aged)) as operated:
        await asyncio.sleep(3600)
        assert not operated.kubernetes.evicted
        operated.sidecar.status = says("login_required", **aged)
        await eventually(lambda: bool(operated.kubernetes.evicted))
        assert "20 days" in operated.kubernetes.events[-1]["message"]


async def test_a_thousand_gateways_do_not_call_at_once() -> None:
    async with operating(_LOST, with_session=False, reauth_per_s=5) as operated:
        operated.show_pod(pod_body(), "DELETED")
        operated.sidecar.opens, operated.sidecar.has_budget = _LOST, False
        for number in range(200):
            name = f"g{number}"
            operated.show_session(session_body(name, uid=f"s-{name}", gateway=name))
            operated.show_pod(pod_body(name, uid=f"p-{name}", address=ADDRESS))
        await eventually(lambda: len(operated.sidecar.asked) >= 200, within=600)
        asked = sorted(operated.sidecar.asked)
        assert all(sum(1 for at in asked if begin <= at < begin + 2) <= 2 * 5 + 5 for begin in asked)
        assert len(operated.sidecar.polls) < 200 * 30


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


async def test_a_request_whose_answer_is_lost_is_not_made_again_at_once() -> None:
    lost: list[float] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=_LOST.to_json())
        if request.method == "POST":
            lost.append(asyncio.get_running_loop().time())
            raise httpx.ReadError("reset", request=request)
        return httpx.Response(200)

    async with operating(pods=httpx.MockTransport(answer)):
        await asyncio.sleep(600)
    assert 15 <= len(lost) <= 24
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(lost))
