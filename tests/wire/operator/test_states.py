"""What Kubernetes is told in every state: pod condition, session status, Event, each message once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ib_operator.decision.states import ROWS, Phase, Reason
from support.operator import GATEWAY, HINT, NOON, Operated, eventually, operating, pod_body, says

pytestmark = pytest.mark.looptime

_LOST = says("reopening", auth={"connected": True})
_WINDOW = [{"start": "11:00", "end": "13:00", "timeZone": "America/New_York"}]

# What the gateway says, the spec, and what Kubernetes is told: phase, gate, the three conditions, the message.
TABLE: dict[Reason, tuple[Any, dict[str, Any], str, str, str, str]] = {
    Reason.GATEWAY_STARTING: (says("starting"), {}, "Starting", "False", "Unknown Unknown Unknown",
        "The gateway pod is starting: wait a minute, then look at the pod if this stays (it has not answered yet)."),
    Reason.LOGIN_REQUIRED: (says("login_required"), {}, "AwaitingLogin", "False", "True False False",
        f"Nobody is signed in at IBKR: {HINT}."),
    Reason.SESSION_LOST: (_LOST, {}, "Reauthenticating", "False", "True False False",
        "The brokerage session is not open and is being opened: wait (0 attempts made)."),
    Reason.REAUTH_EXHAUSTED: (_LOST, {"reauth": {"maxAttempts": 0}}, "Reauthenticating", "False", "True False False",
        f"The brokerage session stays closed after 0 attempts: sign in again, {HINT}."),
    Reason.REAUTH_DISABLED: (_LOST, {"reauth": {"enabled": False}}, "Reauthenticating", "False", "True False False",
        f"The brokerage session is closed and spec.reauth does not let it be opened: sign in again, {HINT}."),
    Reason.SESSION_COMPETING: (says("competing"), {}, "Competing", "False", "True False True",
        "TWS, IBKR Mobile or another program uses this username: log out there, or sign in here again, "
        f"{HINT}."),
    Reason.SESSION_OPEN: (says("authenticated"), {}, "Authenticated", "True", "True True False",
        "The brokerage session is open: nothing to do."),
    Reason.BROKER_MAINTENANCE: (says("maintenance", maintenance={"active": True, "until": NOON + 3600}), {},
        "Maintenance", "False", "True False Unknown",
        "IBKR is under maintenance: wait until about 2026-11-24T18:00:00Z."),
    Reason.MAINTENANCE_WINDOW: (_LOST, {"maintenanceWindows": _WINDOW}, "Maintenance", "False",
        "Unknown False Unknown",
        "The session is closed within a maintenance window of yours: wait until about 2026-11-24T18:00:00Z."),
    Reason.SIDECAR_UNREACHABLE: ("refuse", {}, "Unreachable", "False", "False Unknown Unknown",
        "The pod's keepalive does not answer: look at its logs (no connection to its control port)."),
    Reason.STATUS_STALE: (says("authenticated", age_seconds=300), {}, "Unreachable", "False", "False Unknown Unknown",
        "The pod's keepalive has seen nothing of the session for minutes: look at its logs."),
    Reason.GATEWAY_UNREACHABLE: (says("unreachable"), {}, "Unreachable", "False", "False Unknown Unknown",
        "The gateway program or IBKR is out of reach: look at the gateway's logs and the pod's network."),
    Reason.GATEWAY_HUNG: (says("hung"), {}, "Hung", "False", "False Unknown Unknown",
        "The gateway program runs but IBKR's answers do not arrive: check its network; a restart costs the sign-in."),
    Reason.PORTFOLIO_ONLY: (says("portfolio_only"), {}, "PortfolioOnly", "True", "True True False",
        "Somebody is signed in and the brokerage session is left to other programs: nothing to do."),
    Reason.PAUSED_BY_OWNER: (says("authenticated"), {"paused": True}, "Paused", "True", "True True False",
        "spec.paused is true: the session is watched, but not opened again and nobody is told."),
}  # fmt: skip


@pytest.mark.parametrize("reason", TABLE)
async def test_each_state_is_reported_with_a_sentence_that_says_what_to_do(reason: Reason) -> None:
    status, spec, phase, gate, conditions, message = TABLE[reason]
    async with operating(status, **spec) as operated:
        await operated.reaches(phase)
        await eventually(lambda: bool(operated.kubernetes.events))
    assert operated.status["reason"] == reason
    assert operated.status["message"] == message
    assert operated.status["observedGeneration"] == 1
    assert operated.status["podName"] == f"{GATEWAY}-0"
    found = [operated.condition(kind)["status"] for kind in ("Reachable", "Authenticated", "Competing")]
    assert found == conditions.split()
    assert operated.gate["status"] == gate
    event = operated.kubernetes.events[-1]
    assert (event["type"], event["reason"], event["message"]) == (ROWS[reason].event, reason, message)
    assert event["involvedObject"]["kind"] == "BrokerageSession"


async def test_a_session_without_a_pod_is_unreachable() -> None:
    async with operating(says("authenticated")) as operated:
        await operated.reaches("Authenticated")
        operated.show_pod(pod_body(), "DELETED")
        await operated.reaches("Unreachable")
    assert operated.status["reason"] == Reason.POD_MISSING
    assert "check that spec.gatewayRef names the StatefulSet" in operated.status["message"]


def test_the_two_tables_together_hold_every_reason() -> None:
    assert {*TABLE, Reason.POD_MISSING} == set(Reason)
    assert {row.phase for row in ROWS.values()} == set(Phase)


async def test_one_look_opens_the_gate_and_two_close_it() -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        operated.sidecar.status = says("authenticated", mode="paper")
        await operated.reaches("Authenticated", within=10)
        assert operated.gate["status"] == "True"
        assert operated.status["mode"] == "paper"
        operated.sidecar.status = _LOST
        looks = len(operated.sidecar.polls)
        await operated.reaches("Reauthenticating", within=30)
        assert len(operated.sidecar.polls) == looks + 2


async def test_only_changes_are_written_and_a_heartbeat_every_five_minutes() -> None:
    async with operating(says("authenticated")) as operated:
        await operated.reaches("Authenticated")
        await asyncio.sleep(3600)
    kinds = [path.split("/")[0] for _, path in operated.kubernetes.writes]
    assert 12 <= kinds.count("pods") <= 13
    assert 12 <= kinds.count("brokeragesessions") <= 13
    assert len(operated.kubernetes.events) == 1
    assert len(operated.sidecar.polls) > 200


async def test_a_transition_time_moves_with_its_condition_only() -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        before = operated.condition("Authenticated")["lastTransitionTime"]
        await asyncio.sleep(60)
        operated.sidecar.status = says("competing")
        await operated.reaches("Competing")
        assert operated.condition("Authenticated")["lastTransitionTime"] == before
        assert operated.condition("Competing")["lastTransitionTime"] > before


async def test_what_somebody_else_wrote_over_the_gate_is_put_right() -> None:
    async with operating(says("authenticated")) as operated:
        await operated.reaches("Authenticated")
        await asyncio.sleep(20)
        operated.gate["status"] = "False"
        operated.show_pod(operated.kubernetes.pods[f"{GATEWAY}-0"])
        await eventually(lambda: operated.gate["status"] == "True", within=30)


async def test_a_stopped_api_server_is_caught_up_with() -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        operated.kubernetes.down = True
        operated.sidecar.status = says("authenticated")
        await asyncio.sleep(120)
        assert operated.status["phase"] == "AwaitingLogin"
        operated.kubernetes.down = False
        await operated.reaches("Authenticated", within=20)
        await eventually(lambda: "SessionOpen" in [event["reason"] for event in operated.kubernetes.events])
        assert operated.operator.controller.problem() is None


async def test_without_a_brokeragesession_the_pod_tells_all() -> None:
    async with operating(says("login_required"), with_session=False) as operated:
        await eventually(lambda: operated.gate.get("reason") == "LoginRequired")
        await eventually(lambda: bool(operated.kubernetes.events))
        assert operated.kubernetes.events[0]["involvedObject"]["kind"] == "Pod"
        assert b'ibmcp_operator_gateways{phase="AwaitingLogin"} 1.0' in operated.operator.metrics.render()


async def test_a_new_pod_gets_its_condition_and_a_made_again_session_its_status() -> None:
    async with operating(says("authenticated")) as operated:
        await operated.reaches("Authenticated")
        operated.show_pod(pod_body(uid="pod-2"))
        await eventually(lambda: operated.gate.get("status") == "True")
        body = operated.kubernetes.sessions["demo"]
        operated.show_session(body, "DELETED")
        del body["status"]
        body["metadata"]["uid"] = "session-2"
        operated.show_session(body, "ADDED")
        await operated.reaches("Authenticated")


async def test_objects_whose_end_was_missed_are_forgotten() -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        operated.kubernetes.pods.clear()
        operated.kubernetes.sessions.clear()
        operated.sidecar.status = says("authenticated")
        await eventually(lambda: not operated.operator.controller.reconcilers)


async def test_a_wrong_spec_is_told_and_the_rest_of_it_is_used() -> None:
    windows = [{"start": "11:00", "end": "13:00", "timeZone": "Mars/Olympus"}]
    async with operating(says("authenticated"), paused=True, maintenanceWindows=windows) as operated:
        await operated.reaches("Paused")
        await eventually(lambda: len(operated.kubernetes.events) == 2)
    notified = operated.kubernetes.events[-1]
    assert notified["reason"] == "InvalidSpec"
    assert "maintenanceWindows[0]" in notified["message"]
    assert "timeZone" in notified["message"]


@pytest.mark.parametrize("answer", [404, 500, 200])
async def test_a_control_port_that_is_none_is_unreachable(answer: int) -> None:
    async with operating(answer) as operated:
        await operated.reaches("Unreachable")
    assert operated.status["reason"] == Reason.SIDECAR_UNREACHABLE


async def test_a_metric_names_each_session_and_says_whether_it_is_open() -> None:
    def value(operated: Operated, session: str) -> float | None:
        labels = {"namespace": "ns1", "gateway": GATEWAY, "session": session}
        return operated.operator.metrics.registry.get_sample_value("ibmcp_operator_authenticated", labels)

    async with operating(says("login_required")) as operated:
        await eventually(lambda: value(operated, "demo") == 0)
        operated.sidecar.status = says("authenticated")
        await eventually(lambda: value(operated, "demo") == 1)
        operated.show_session(operated.kubernetes.sessions["demo"], "DELETED")
        await eventually(lambda: value(operated, "") == 1)
        assert value(operated, "demo") is None
        operated.show_pod(operated.kubernetes.pods[f"{GATEWAY}-0"], "DELETED")
        assert value(operated, "") is None
