"""The control port: what it serves and to whom."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ibkr.session import SessionState, Status
from support.keepalive import LOST, NOON, OPEN, FakeGateway, keeping

HOUR, DAY = 3600.0, 86400.0
pytestmark = pytest.mark.looptime


async def test_status_follows_the_contract() -> None:
    async with keeping(login_hint="kubectl port-forward", gateway_build="a27ed421") as kept:
        await asyncio.sleep(50)
        answer = await kept.ask.get("/status")
        assert answer.headers["cache-control"] == "no-store"
        status = Status.from_json(answer.json())
        assert status.state is SessionState.AUTHENTICATED
        assert status.login.url_hint == "kubectl port-forward"
        assert status.gateway.build == "a27ed421"
        assert 0 <= status.age_seconds <= 15


async def test_age_of_the_status_grows_while_nothing_is_learnt() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says = 429
        await asyncio.sleep(120)
        assert Status.from_json((await kept.ask.get("/status")).json()).age_seconds > 100


@pytest.mark.parametrize(("hours", "state"), [(True, "maintenance"), (False, "unreachable")])
async def test_the_announced_maintenance_is_believed_where_ibkr_keeps_it(hours: bool, state: str) -> None:
    loop = asyncio.get_running_loop()
    saturday_evening = NOON + 4 * DAY + 8 * HOUR
    async with keeping(
        FakeGateway(says=502), wall=lambda: saturday_evening + loop.time(), maintenance_hours=hours
    ) as kept:
        await asyncio.sleep(120)
        status = (await kept.ask.get("/status")).json()
    assert (status["state"], status["maintenance"]["active"]) == (state, hours)


@pytest.mark.parametrize("says", [OPEN, LOST, 401, 500, "silence", "refuse"])
async def test_liveness_never_depends_on_ibkr(says: object) -> None:
    async with keeping(FakeGateway(says=says)) as kept:
        await asyncio.sleep(300)
        before = len(kept.gateway.calls)
        assert (await kept.ask.get("/livez")).status_code == 200
        assert (await kept.ask.get("/readyz")).status_code == 200
        assert len(kept.gateway.calls) == before


async def test_readiness_begins_with_the_first_conclusion() -> None:
    async with keeping(FakeGateway(says="refuse")) as kept:
        await asyncio.sleep(5)
        assert (await kept.ask.get("/readyz")).status_code == 503
        assert (await kept.ask.get("/livez")).status_code == 200
        await asyncio.sleep(40)
        assert (await kept.ask.get("/readyz")).status_code == 200


async def test_dead_keeper_fails_liveness_and_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping() as kept:
        await asyncio.sleep(5)

        def broken() -> Status:
            raise RuntimeError("a defect")

        monkeypatch.setattr(kept.keepalive.keeper.tracker, "conclude", lambda _: broken())
        with pytest.raises(RuntimeError, match="a defect"):
            await kept.keepalive.wait()
        assert (await kept.ask.get("/livez")).status_code == 503
        assert (await kept.ask.get("/readyz")).status_code == 503


@pytest.mark.parametrize("host", ["127.0.0.1:8081", "localhost", "[::1]:8081", "10.1.2.3:8081", "keepalive.ib.svc"])
async def test_addresses_and_listed_names_are_served(host: str) -> None:
    async with keeping(control_names="keepalive.ib.svc") as kept:
        assert (await kept.ask.get("/livez", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@127.0.0.1"]
)
async def test_other_names_are_refused(host: str) -> None:
    async with keeping() as kept:
        for path in ("/status", "/metrics", "/livez"):
            refused = await kept.ask.get(path, headers={"host": host})
            assert refused.status_code == 403
            assert refused.json()["error"]["code"] == "operation_forbidden"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_other_web_pages_cannot_open_the_session(headers: dict[str, str]) -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(40)
        assert (await kept.ask.post("/reauthenticate", headers=headers)).status_code == 403
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []


async def test_own_origin_may_open_the_session() -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(40)
        answer = await kept.ask.post("/reauthenticate", headers={"origin": "http://127.0.0.1:8081"})
        assert answer.status_code == 202


async def test_refusal_is_an_envelope_with_retry_after() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        await kept.reauthenticate()
        refused = await kept.reauthenticate()
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= refused.json()["error"]["retry_after_s"] > 24
        assert set(refused.json()["error"]) == {"code", "message", "action", "retry_after_s"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/reauthenticate", 405), ("POST", "/status", 405), ("GET", "/v1/api/tickle", 404), ("GET", "/", 404)],
)
async def test_nothing_else_is_served(method: str, path: str, status: int) -> None:
    async with keeping() as kept:
        assert (await kept.ask.request(method, path)).status_code == status


async def test_two_host_headers_are_refused() -> None:
    async with keeping() as kept:
        request = httpx.Request(
            "GET", "http://127.0.0.1:8081/status", headers=[("host", "127.0.0.1"), ("host", "evil")]
        )
        assert (await kept.ask.send(request)).status_code == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_the_owner_stops_and_starts_trading_from_the_pod_or_machine_itself(address: str) -> None:
    async with keeping() as kept, client_at(kept.keepalive, address) as ask:
        stopped = (await ask.post("/trading/stop", json={"reason": "a holiday"})).json()["stopped"]
        assert (stopped["by"], stopped["reason"]) == ("owner", "a holiday")
        assert (await ask.get("/status")).json()["trading"]["stopped"]["reason"] == "a holiday"
        assert (await ask.get("/trading/status")).json()["stopped"] == stopped
        assert (await ask.post("/trading/start")).json()["stopped"] is None


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "nobody"])
async def test_operator_and_prometheus_neither_start_trading_nor_read_of_accounts(address: str) -> None:
    async with keeping() as kept, client_at(kept.keepalive, address) as ask:
        assert (await ask.get("/status")).status_code == 200
        for method, path in (("POST", "start"), ("POST", "stop"), ("GET", "status")):
            answer = await ask.request(method, f"/trading/{path}")
            assert answer.status_code == 403
            assert "port-forward" in answer.json()["error"]["action"]


async def test_what_somebody_says_of_a_stop_tells_the_operator_no_account() -> None:
    async with keeping() as kept:
        await kept.ask.post("/trading/stop", json={"reason": "look at U1234567"})
        assert "1234567" not in (await kept.ask.get("/status")).text
        assert "U1234567" in (await kept.ask.get("/trading/status")).text


def client_at(keepalive: Keepalive, address: str) -> httpx.AsyncClient:
    """A caller of the control port from this address."""
    transport = httpx.ASGITransport(keepalive.control, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081")
