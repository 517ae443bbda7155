"""The owner is told once, with the command, then reminded, then told that all is well; nothing waits for it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_operator.background import TryLater
from ib_operator.decision.policy import Channel
from ib_operator.notify import channels
from ib_operator.notify.channels import Notification
from ibkr.session import Status, TradingStatus
from support.operator import HINT, NOON, eventually, operating, says, session_body

pytestmark = pytest.mark.looptime

_WEBHOOK = {"name": "home", "type": "webhook", "secretRef": {"name": "home"}}
_NTFY = {"name": "phone", "type": "ntfy", "secretRef": {"name": "phone"}}
_PAGE = (Path(__file__).resolve().parents[3] / "docs/operator.md").read_text("utf-8")
_NOTIFICATION = Notification("needed", "ns1", "demo", "AwaitingLogin", "LoginRequired", "Sign in.", HINT, None, "now")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Mounted Secrets: a webhook with a signing key, ntfy with a token."""
    for name, files in {
        "home": {"url": "http://hooks.test/ib", "signing-key": "key-of-tests"},
        "phone": {"url": "http://ntfy.test/topic", "token": "token-of-tests"},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text + "\n")
    return tmp_path


def _kinds(requests: list[httpx.Request]) -> list[tuple[str, str]]:
    return [(body["kind"], body["reason"]) for body in (json.loads(request.content) for request in requests)]


async def test_the_owner_is_told_once_with_the_command_and_again_when_all_is_well(secrets: Path) -> None:
    async with operating(says("login_required"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await asyncio.sleep(1800)
        assert _kinds(operated.notifications) == [("needed", "LoginRequired")]
        body = json.loads(operated.notifications[0].content)
        assert body["login"] == HINT
        assert HINT in body["message"]
        assert (body["namespace"], body["name"]) == ("ns1", "demo")
        operated.sidecar.status = says("authenticated")
        await asyncio.sleep(1800)
        assert _kinds(operated.notifications)[1:] == [("recovered", "SessionOpen")]


async def test_what_is_needed_changes_and_is_told_anew(secrets: Path) -> None:
    async with operating(says("competing"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await asyncio.sleep(60)
        operated.sidecar.status = says("login_required")
        await asyncio.sleep(60)
        assert _kinds(operated.notifications) == [("needed", "SessionCompeting"), ("needed", "LoginRequired")]


async def test_a_session_that_comes_and_goes_is_told_of_once(secrets: Path) -> None:
    async with operating(says("authenticated"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        for _ in range(10):
            operated.sidecar.status = says("competing")
            await asyncio.sleep(40)
            operated.sidecar.status = says("authenticated")
            await asyncio.sleep(40)
        assert _kinds(operated.notifications) == [("needed", "SessionCompeting")]


async def test_a_gateway_out_of_reach_is_told_of_after_ten_minutes(secrets: Path) -> None:
    async with operating(says("unreachable"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await asyncio.sleep(590)
        assert not operated.notifications
        await asyncio.sleep(40)
        assert _kinds(operated.notifications) == [("needed", "GatewayUnreachable")]


async def test_quiet_hours_hold_a_notification_back_until_they_end(secrets: Path) -> None:
    quiet = {"start": "11:30", "end": "12:30", "timeZone": "America/New_York"}
    async with operating(
        says("login_required"), channels=secrets, notifications=[_WEBHOOK], quietHours=quiet
    ) as operated:
        await asyncio.sleep(1780)
        assert not operated.notifications
        await asyncio.sleep(60)
        assert _kinds(operated.notifications) == [("needed", "LoginRequired")]


@pytest.mark.parametrize("spec", [{"paused": True}, {"maintenanceWindows": [
    {"start": "11:30", "end": "14:30", "timeZone": "America/New_York"}]}])  # fmt: skip
async def test_nobody_is_told_while_paused_or_in_a_window(secrets: Path, spec: dict[str, object]) -> None:
    async with operating(says("login_required"), channels=secrets, notifications=[_WEBHOOK], **spec) as operated:
        await asyncio.sleep(3600)
        assert not operated.notifications


async def test_a_session_that_appears_after_its_pod_is_told_of(secrets: Path) -> None:
    async with operating(says("login_required"), channels=secrets, with_session=False) as operated:
        await asyncio.sleep(60)
        operated.show_session(session_body(notifications=[_WEBHOOK]), "ADDED")
        await eventually(lambda: bool(operated.notifications))
        await eventually(lambda: len(operated.kubernetes.events) == 2)
    assert [event["involvedObject"]["kind"] for event in operated.kubernetes.events] == ["Pod", "BrokerageSession"]


async def test_the_webhook_gets_what_the_page_lists_and_nothing_else(secrets: Path) -> None:
    status = says("login_required", login={"url_hint": HINT, "deadline": NOON + 3600}, mode="live")
    async with operating(status, channels=secrets, notifications=[_WEBHOOK]) as operated:
        await eventually(lambda: bool(operated.notifications))
    body = json.loads(operated.notifications[0].content)
    (listed,) = re.findall(r"webhook's JSON: `(\{.*?\})`", _PAGE, re.DOTALL)
    assert [*body] == [name for name in re.findall(r'"([\w|]+)"', listed) if "|" not in name]
    assert operated.notifications[0].headers["content-type"] == "application/json"
    assert (body["schema"], body["kind"], body["phase"]) == (1, "needed", "AwaitingLogin")
    assert body["deadline"] == "2026-11-24T18:00:00Z"


async def test_the_page_s_receiver_believes_what_is_genuine_and_new(secrets: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    page: dict[str, Any] = {}
    exec(snippet, page)
    sent: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204)

    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        for age in (0, 200, 400):
            channel = Channel("home", "webhook", "home")
            await channels.send(client, secrets, channel, _NOTIFICATION, time.time() - age)
    new, later, old = ((request.headers["ib-mcp-signature"], request.content) for request in sent)
    assert page["is_genuine"]("key-of-tests", *new)
    assert page["is_genuine"]("key-of-tests", *later)
    assert not page["is_genuine"]("key-of-tests", *old)
    assert not page["is_genuine"]("another", *new)
    assert not page["is_genuine"]("key-of-tests", later[0].replace("t=", "t=1"), later[1])
    assert not page["is_genuine"]("key-of-tests", old[0].replace(old[0][2:12], new[0][2:12]), old[1])
    assert not page["is_genuine"]("key-of-tests", new[0], new[1].replace(b"needed", b"recovered"))
    assert not page["is_genuine"]("key-of-tests", "nonsense", new[1])


async def test_an_unsigned_webhook_claims_no_signature(secrets: Path) -> None:
    (secrets / "home/signing-key").unlink()
    async with operating(says("login_required"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await eventually(lambda: bool(operated.notifications))
    assert "ib-mcp-signature" not in operated.notifications[0].headers


async def test_a_webhook_can_prove_who_sent_it(secrets: Path) -> None:
    async with operating(says("login_required"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await eventually(lambda: bool(operated.notifications))
    request = operated.notifications[0]
    at, digest = request.headers["ib-mcp-signature"].removeprefix("t=").split(",v1=")
    wanted = hmac.new(b"key-of-tests", at.encode() + b"." + request.content, hashlib.sha256).hexdigest()
    assert digest == wanted
    assert abs(int(at) - NOON) < 60


async def test_ntfy_gets_the_sentence_and_the_token(secrets: Path) -> None:
    async with operating(says("login_required"), channels=secrets, notifications=[_NTFY]) as operated:
        await eventually(lambda: bool(operated.notifications))
    request = operated.notifications[0]
    assert str(request.url) == "http://ntfy.test/topic"
    assert request.headers["title"] == "ib-mcp: ns1/demo needs you"
    assert request.headers["authorization"] == "Bearer token-of-tests"
    assert HINT in request.content.decode()
    assert (request.headers["priority"], request.headers["tags"]) == ("high", "key")


async def test_ntfy_shows_at_a_glance_that_all_is_well_again(secrets: Path) -> None:
    (secrets / "phone/token").unlink()
    async with operating(says("login_required"), channels=secrets, notifications=[_NTFY]) as operated:
        await eventually(lambda: bool(operated.notifications))
        operated.sidecar.status = says("authenticated")
        await eventually(lambda: len(operated.notifications) == 2)
    request = operated.notifications[1]
    assert request.headers["title"] == "ib-mcp: ns1/demo is signed in again"
    assert (request.headers["priority"], request.headers["tags"]) == ("default", "white_check_mark")
    assert request.content == b"The brokerage session is open: nothing to do."
    assert "authorization" not in request.headers


async def test_a_recovery_is_told_once_even_by_another_operator_process(secrets: Path) -> None:
    async with operating(says("login_required"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await eventually(lambda: bool(operated.notifications))
        operated.sidecar.status = says("authenticated")
        await eventually(lambda: len(operated.notifications) == 2)
        await asyncio.sleep(60)
        session, seconds = operated.kubernetes.sessions["demo"], asyncio.get_running_loop().time()
    async with operating(says("authenticated"), channels=secrets, start=NOON + seconds, with_session=False) as again:
        again.show_session(session)
        await asyncio.sleep(3600)
        assert not again.notifications


async def test_who_does_nothing_is_reminded_even_by_another_operator_process(secrets: Path) -> None:
    notifications: list[httpx.Request] = []
    async with operating(says("login_required"), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await asyncio.sleep(1800)
        session, seconds = operated.kubernetes.sessions["demo"], asyncio.get_running_loop().time()
        notifications += operated.notifications
    async with operating(says("login_required"), channels=secrets, start=NOON + seconds, with_session=False) as again:
        again.show_session(session)
        await asyncio.sleep(7 * 3600)
        notifications += again.notifications
    assert _kinds(notifications) == [("needed", "LoginRequired"), *[("reminder", "LoginRequired")] * 2]


async def test_a_dead_channel_is_tried_again_and_holds_nothing_up(secrets: Path) -> None:
    calls: list[float] = []

    async def answer(_: httpx.Request) -> httpx.Response:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) == 1:
            await asyncio.Event().wait()
        return httpx.Response(503 if len(calls) < 4 else 200)

    hooks = httpx.MockTransport(answer)
    async with operating(says("login_required"), channels=secrets, hooks=hooks, notifications=[_WEBHOOK]) as operated:
        await operated.reaches("AwaitingLogin", within=10)
        await asyncio.sleep(300)
        assert len(calls) == 4
        assert operated.operator.jobs.under_way == 0
        assert b'notifications_total{channel="webhook",result="delivered"} 1.0' in operated.operator.metrics.render()


async def test_a_channel_without_its_secret_is_tried_again_and_counted(tmp_path: Path) -> None:
    async with operating(says("login_required"), channels=tmp_path, notifications=[_NTFY, _WEBHOOK]) as operated:
        await asyncio.sleep(150)
        assert not operated.notifications
        assert b'notifications_total{channel="ntfy",result="failed"}' in operated.operator.metrics.render()
        assert "operator.channelSecrets" in operated.condition("OwnerTold")["message"]
        told = [event["message"] for event in operated.kubernetes.events if event["reason"] == "OwnerNotTold"]
        assert len(told) == 2
        for secret in ("phone", "home"):
            (tmp_path / secret).mkdir()
            (tmp_path / secret / "url").write_text(f"http://{secret}.test/")
        await eventually(lambda: len(operated.notifications) == 2, within=90)
        await eventually(lambda: operated.condition("OwnerTold")["status"] == "True")


async def test_a_line_that_is_down_for_five_minutes_delays_the_message_by_no_more(secrets: Path) -> None:
    came: list[float] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if asyncio.get_running_loop().time() < 300:
            raise httpx.ConnectError("no line", request=request)
        came.append(asyncio.get_running_loop().time())
        return httpx.Response(200)

    hooks = httpx.MockTransport(answer)
    async with operating(says("login_required"), channels=secrets, hooks=hooks, notifications=[_WEBHOOK]) as operated:
        await eventually(lambda: bool(came), within=600)
        assert came[0] <= 300 + 60 + 15 * 1.1
        await asyncio.sleep(1800)
        assert len(came) == 1
        # The reminder counts from the delivery.
        await asyncio.sleep(came[0] + 3600 + 30 - asyncio.get_running_loop().time())
        assert len(came) == 2
        assert operated.status["notifications"][0]["count"] == 2


async def test_a_message_that_did_not_arrive_goes_out_after_a_restart_and_one_that_did_does_not(
    secrets: Path,
) -> None:
    down = httpx.MockTransport(lambda request: httpx.Response(503))
    given: dict[str, Any] = {"channels": secrets, "notifications": [_WEBHOOK]}
    async with operating(says("login_required"), hooks=down, **given) as operated:
        await operated.reaches("AwaitingLogin")
        await asyncio.sleep(30)
        session, seconds = operated.kubernetes.sessions["demo"], asyncio.get_running_loop().time()
    assert session["status"]["notifications"][0]["pending"] == ["home"]
    async with operating(says("login_required"), with_session=False, start=NOON + seconds, channels=secrets) as again:
        again.show_session(session, None)
        await eventually(lambda: bool(again.notifications), within=10)
        await asyncio.sleep(30)
        session, seconds = again.kubernetes.sessions["demo"], seconds + asyncio.get_running_loop().time()
    async with operating(says("login_required"), with_session=False, start=NOON + seconds, channels=secrets) as third:
        third.show_session(session, None)
        await asyncio.sleep(600)
        assert not third.notifications


async def test_what_is_true_no_longer_is_not_sent_when_the_line_is_back(secrets: Path) -> None:
    is_down = [True]
    hooks = httpx.MockTransport(lambda _: httpx.Response(503 if is_down[0] else 200))
    async with operating(says("login_required"), channels=secrets, hooks=hooks, notifications=[_WEBHOOK]) as operated:
        await asyncio.sleep(120)
        operated.sidecar.status = says("authenticated")
        await operated.reaches("Authenticated")
        is_down[0] = False
        tried = len(operated.notifications)
        await asyncio.sleep(1800)
        assert len(operated.notifications) == tried


async def test_quiet_hours_that_cannot_be_read_are_a_condition(secrets: Path) -> None:
    quiet = {"start": "23:00", "end": "07:00", "timeZone": "Europe/Zurick"}
    async with operating(says("authenticated"), channels=secrets, quietHours=quiet) as operated:
        await operated.reaches("Authenticated")
        accepted = operated.condition("SpecAccepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
        assert "spec.quietHours" in accepted["message"]
        operated.specify(quietHours=quiet | {"timeZone": "Europe/Zurich"})
        await eventually(lambda: operated.condition("SpecAccepted")["status"] == "True")


@pytest.mark.parametrize("secret", ["../home", "home/..", "", "Home", ".home"])
async def test_a_secret_is_a_name_and_no_path(secrets: Path, secret: str) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(channels.Misconfigured, match="not mounted"):
            await channels.send(client, secrets / "home", Channel("x", "webhook", secret), _NOTIFICATION, NOON)


@pytest.mark.parametrize("answer", [408, 425, 429, 500, 502, 503])
async def test_a_receiver_that_is_busy_is_tried_again(secrets: Path, answer: int) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(answer))) as client:
        with pytest.raises(TryLater, match=str(answer)):
            await channels.send(client, secrets, Channel("home", "webhook", "home"), _NOTIFICATION, NOON)


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://hooks.test/", 404),
        ("ftp://hooks.test/", 200),
        ("nonsense", 200),
        (f"http://{'a' * 64}.test/", 200),
        ("http://a..test/", 200),
        ("http://[::1", 200),
        ("http:///path", 200),
        ("http://hooks.test/\x7f", 200),
    ],
)
async def test_a_url_that_can_never_work_is_not_tried_again(tmp_path: Path, url: str, answer: int) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/url").write_text(url)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(answer))) as client:
        with pytest.raises(channels.Misconfigured):
            await channels.send(client, tmp_path, Channel("home", "ntfy", "home"), _NOTIFICATION, NOON)


@pytest.mark.parametrize("token", ["tökén", "to\nken", "to ken", "€"])
async def test_a_token_that_no_header_can_carry_is_said(secrets: Path, token: str) -> None:
    (secrets / "home/token").write_text(token)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        with pytest.raises(channels.Misconfigured, match="token"):
            await channels.send(client, secrets, Channel("home", "ntfy", "home"), _NOTIFICATION, NOON)


def _waiting(count: int, asked_at: float, page: str | None = "https://mcp.test/approvals") -> Status:
    trading = TradingStatus(
        mode="paper",
        effective_mode="paper",
        unknown=0,
        pending_approvals=count,
        approval_asked_at=asked_at if count else None,
        approval_url=page,
    )
    return says("authenticated", trading=asdict(trading))


async def test_the_owner_is_told_once_of_each_order_that_waits(secrets: Path) -> None:
    async with operating(_waiting(0, 0), channels=secrets, notifications=[_WEBHOOK]) as operated:
        await asyncio.sleep(60)
        operated.sidecar.status = _waiting(1, NOON + 60)
        await asyncio.sleep(300)
        operated.sidecar.status = _waiting(1, NOON + 360)
        await asyncio.sleep(300)
        operated.sidecar.status = _waiting(0, 0)
        await asyncio.sleep(300)
    bodies = [json.loads(request.content) for request in operated.notifications]
    assert [(body["kind"], body["approval"]) for body in bodies] == [("approval", "https://mcp.test/approvals")] * 2
    assert bodies[0]["message"] == "An order waits for your approval: https://mcp.test/approvals"


async def test_an_order_that_waits_is_told_by_each_channel_though_one_was_down(secrets: Path) -> None:
    tries: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request.url.host)
        return httpx.Response(503 if tries.count("hooks.test") == 1 and request.url.host == "hooks.test" else 200)

    hooks = httpx.MockTransport(answer)
    status = _waiting(2, NOON)
    async with operating(status, channels=secrets, hooks=hooks, notifications=[_WEBHOOK, _NTFY]) as operated:
        await asyncio.sleep(120)
        assert sorted(tries) == ["hooks.test", "hooks.test", "ntfy.test"]
        assert operated.operator.jobs.under_way == 0


async def test_ntfy_has_buttons_that_open_the_page_of_approvals(secrets: Path) -> None:
    async with operating(_waiting(1, NOON), channels=secrets, notifications=[_NTFY]) as operated:
        await eventually(lambda: bool(operated.notifications))
    headers = operated.notifications[0].headers
    assert headers["title"] == "ib-mcp: ns1/demo has an order for you"
    assert headers["actions"] == "view, Approve, https://mcp.test/approvals; view, Refuse, https://mcp.test/approvals"
    assert headers["click"] == "https://mcp.test/approvals"
    assert (headers["priority"], headers["tags"]) == ("high", "ballot_box_with_check")


@pytest.mark.parametrize("page", [None, f"{HINT}/approvals", "https://mcp.test/a, b; view, Pay, https://evil.test"])
async def test_what_is_no_address_makes_no_button(secrets: Path, page: str | None) -> None:
    async with operating(_waiting(1, NOON, page), channels=secrets, notifications=[_NTFY]) as operated:
        await eventually(lambda: bool(operated.notifications))
    assert "actions" not in operated.notifications[0].headers
    assert (page or "approval") in operated.notifications[0].content.decode()


async def test_quiet_hours_are_quiet_about_orders_too(secrets: Path) -> None:
    quiet = {"start": "11:30", "end": "12:30", "timeZone": "America/New_York"}
    async with operating(_waiting(1, NOON), channels=secrets, notifications=[_NTFY], quietHours=quiet) as operated:
        await asyncio.sleep(1200)
        assert operated.notifications == []
