"""What reaches the gateway, what comes back, and what is refused before it, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ibkr.errors import BY_CODE
from ibkr.session import SessionState
from support.guard import LOGIN, TOKEN, Session, asked, error_of, guarded, simulator, status_of

Answering = Callable[[Request], Awaitable[Response]]


def gateway(**routes: Answering) -> Starlette:
    """A gateway with these operations, by path with ``__`` for slashes, and the accounts that portfolio calls need."""

    async def accounts(_: Request) -> Response:
        return JSONResponse([{"id": "DU1"}])

    made = [Route("/v1/api/portfolio/accounts", accounts)]
    made += [Route("/v1/api/" + path.replace("__", "/"), act, methods=["GET", "POST"]) for path, act in routes.items()]
    return Starlette(routes=made)


async def send_as_is(url: httpx.URL, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """A request whose path no client has tidied up."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: guard",
        "Connection: close",
        *(f"{n}: {v}" for n, v in headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return httpx.Response(int(head.split()[1]), content=body)


async def test_a_read_is_forwarded_without_anything_of_the_caller():
    seen: list[dict[str, str]] = []

    async def ledger(request: Request) -> Response:
        seen.append(dict(request.headers))
        return JSONResponse({"BASE": {"cashbalance": 1.5}}, headers={"Set-Cookie": "api=secret", "X-Trace": "1"})

    async with guarded(gateway(portfolio__DU1__ledger=ledger)) as guard:
        answer = await guard.get(
            "/portfolio/DU1/ledger",
            headers={
                "Cookie": "XYZAB=planted",
                "Referer": "http://evil",
                "X-Forwarded-For": "10.0.0.1",
                "Forwarded": "for=1",
                "X-Anything": "1",
                "TE": "trailers",
                "User-Agent": "someone",
            },
        )
    assert answer.json() == {"BASE": {"cashbalance": 1.5}}
    assert answer.headers["ib-source"] == "upstream"
    own = {"content-type", "content-length", "cache-control", "ib-source", "ib-age-ms", "ib-sign-in", "date", "server"}
    assert answer.headers.keys() <= own
    [headers] = seen
    assert headers.keys() <= {"host", "user-agent", "accept", "accept-encoding"}
    assert headers["user-agent"] == "ib-mcp"
    assert TOKEN not in str(headers)


async def test_cookies_of_the_gateway_never_return_to_it():
    seen: list[str | None] = []

    async def summary(request: Request) -> Response:
        seen.append(request.headers.get("cookie"))
        return JSONResponse({"n": len(seen)}, headers={"Set-Cookie": "XYZAB=1; Path=/"})

    async with guarded(gateway(portfolio__DU1__summary=summary, portfolio__DU2__summary=summary)) as guard:
        await guard.get("/portfolio/DU1/summary")
        await guard.get("/portfolio/DU2/summary")
    assert seen == [None, None]


async def test_a_body_goes_out_with_its_length_even_when_it_came_in_pieces():
    seen: list[tuple[dict[str, str], bytes]] = []

    async def performance(request: Request) -> Response:
        seen.append((dict(request.headers), await request.body()))
        return JSONResponse({})

    async def pieces() -> Any:
        yield b'{"acctIds":["DU1"],'
        yield b'"period":"1M"}'

    async with guarded(gateway(pa__performance=performance)) as guard:
        answer = await guard.post("/pa/performance", content=pieces())
    assert answer.status_code == 200
    [(headers, body)] = seen
    assert json.loads(body) == {"acctIds": ["DU1"], "period": "1M"}
    assert headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in headers


async def test_a_post_without_a_body_sends_an_empty_object():
    seen: list[bytes] = []

    async def allocation(request: Request) -> Response:
        seen.append(await request.body())
        return JSONResponse({})

    async with guarded(gateway(pa__allocation=allocation)) as guard:
        await guard.post("/pa/allocation")
    assert seen == [b"{}"]


REFUSED: list[tuple[str, str, dict[str, str], int, str]] = [
    ("GET", "/v1/api/portfolio/accounts", {"Authorization": "Bearer wrong"}, 401, "token_required"),
    ("GET", "/v1/api/portfolio/accounts", {"Authorization": ""}, 401, "token_required"),
    ("GET", "/status", {"Authorization": ""}, 401, "token_required"),
    ("POST", "/reauthenticate", {"Authorization": ""}, 401, "token_required"),
    ("GET", "/v1/api/portfolio/accounts", {"Origin": "https://evil.example"}, 403, "operation_forbidden"),
    ("GET", "/v1/api/portfolio/accounts/", {}, 404, "operation_unknown"),
    ("GET", "/v1/api//portfolio/accounts", {}, 404, "operation_unknown"),
    ("GET", "/v1/api/x/../portfolio/accounts", {}, 404, "operation_unknown"),
    ("GET", "/v1/api/%70ortfolio/accounts", {}, 404, "operation_unknown"),
    ("GET", "/v1/portal/portfolio/accounts", {}, 404, "operation_unknown"),
    ("GET", "/clear", {}, 404, "operation_unknown"),
    ("GET", "/sso/Login", {}, 404, "operation_unknown"),
    ("GET", "/", {}, 404, "operation_unknown"),
    ("POST", "/status", {}, 404, "operation_unknown"),
    ("GET", "/v1/api/ws", {}, 403, "operation_forbidden"),
    ("GET", "/v1/api/hmds/scanner/params", {}, 404, "operation_unknown"),
    ("POST", "/v1/api/iserver/account/DU1/orders", {}, 403, "operation_forbidden"),
    ("DELETE", "/v1/api/iserver/account/DU1/order/-1", {}, 403, "operation_forbidden"),
    ("POST", "/v1/api/iserver/account/DU1/orders/whatif", {}, 403, "operation_forbidden"),
    ("POST", "/v1/api/iserver/reply/abc", {}, 403, "operation_forbidden"),
    ("POST", "/v1/api/iserver/account", {}, 403, "operation_forbidden"),
    ("POST", "/v1/api/logout", {}, 403, "operation_forbidden"),
    ("GET", "/v1/api/iserver/marketdata/unsubscribeall", {}, 403, "operation_forbidden"),
    ("GET", "/v1/api/md/regsnapshot?conid=1", {}, 403, "operation_forbidden"),
    ("GET", "/v1/api/iserver/marketdata/history?conid=1", {}, 400, "invalid_request"),
    ("GET", "/v1/api/iserver/marketdata/snapshot?conids=AAPL&fields=31", {}, 400, "invalid_request"),
    ("GET", "/v1/api/portfolio/accounts", {"ib-deadline-ms": "soon"}, 400, "invalid_request"),
]  # fmt: skip


async def test_what_is_refused_never_reaches_the_gateway():
    broker = simulator()
    async with guarded(broker.app) as guard:
        for method, path, headers, status, code in REFUSED:
            given = {"Authorization": f"Bearer {TOKEN}", "Content-Length": "0"} | headers
            answer = await send_as_is(guard.client.base_url, method, path, given)
            assert (answer.status_code, error_of(answer)["code"]) == (status, code), (method, path, headers)
        assert not broker.requests


async def test_a_body_that_is_too_large_is_refused_before_it_is_read():
    broker = simulator()

    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * 10_000

    async with guarded(broker.app) as guard:
        announced = await guard.post("/pa/performance", content=b" " * 70_000)
        assert (announced.status_code, error_of(announced)["code"]) == (413, "invalid_request")
        unannounced = await guard.post("/pa/performance", content=pieces())
        assert unannounced.status_code == 413
        assert not broker.requests
        assert not guard.guard.busy


async def test_a_body_that_is_not_json_is_refused():
    broker = simulator()
    async with guarded(broker.app) as guard:
        answer = await guard.post("/pa/performance", content=b'{"acctIds": ')
        assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_request")
        assert not broker.requests


async def test_health_needs_no_token():
    async with guarded(gateway()) as guard:
        answer = await guard.client.get("/healthz", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


async def test_a_token_in_the_url_lets_a_client_in_that_takes_only_a_url():
    async with (
        guarded(gateway()) as guard,
        httpx.AsyncClient(base_url=guard.client.base_url, auth=("anybody", TOKEN)) as client,
    ):
        answer = await client.get("/v1/api/portfolio/accounts")
    assert answer.json() == [{"id": "DU1"}]


async def test_a_websocket_is_refused():
    async with guarded(gateway()) as guard:
        url = str(guard.client.base_url.copy_with(scheme="ws", path="/v1/api/ws"))
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            await websockets.connect(url, additional_headers={"Authorization": f"Bearer {TOKEN}"})
    assert refused.value.response.status_code == 403


STATES = {
    SessionState.STARTING: "session_reopening",
    SessionState.LOGIN_REQUIRED: "login_required",
    SessionState.REOPENING: "session_reopening",
    SessionState.COMPETING: "session_competing",
    SessionState.MAINTENANCE: "maintenance",
    SessionState.UNREACHABLE: "upstream_unreachable",
    SessionState.HUNG: "upstream_timeout",
}


async def test_without_the_session_it_needs_an_operation_is_refused_at_once():
    broker, session = simulator(), Session()
    async with guarded(broker.app, session) as guard:
        for state, code in STATES.items():
            session.become(state)
            answer = await guard.get("/iserver/marketdata/history?conid=265598&bar=1d")
            error = error_of(answer)
            assert (error["code"], answer.status_code) == (code, BY_CODE[code].status)
            assert error.get("login") == (LOGIN if code == "login_required" else None)
        assert not broker.requests


@pytest.mark.parametrize("state", [SessionState.REOPENING, SessionState.COMPETING])
async def test_the_portfolio_stays_readable_while_the_brokerage_session_is_lost(state: SessionState):
    broker = simulator()
    async with guarded(broker.app, Session(status_of(state))) as guard:
        answer = await guard.get("/portfolio/accounts")
        assert answer.status_code == 200
        account = answer.json()[0]["id"]
        assert (await guard.get(f"/portfolio/{account}/ledger")).status_code == 200


async def test_a_busy_guard_still_answers_about_itself():
    release = asyncio.Event()

    async def slow(_: Request) -> Response:
        await release.wait()
        return JSONResponse({})

    names = {f"portfolio__DU{n}__ledger": slow for n in range(8)}
    async with guarded(gateway(**names)) as guard:
        waiting = [asyncio.create_task(guard.get(f"/portfolio/DU{n}/ledger")) for n in range(8)]
        while guard.pacer.running < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        status = await guard.client.get("/status")
        assert status.json()["state"] == "authenticated"
        assert (await guard.get("/iserver/auth/status")).json()["authenticated"] is True
        release.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_required_calls_are_made_first_and_once():
    broker = simulator()
    async with guarded(broker.app) as guard:
        for path in ("/portfolio/DU7420001/ledger", "/portfolio/DU7420001/summary", "/portfolio/DU7420001/meta"):
            assert (await guard.get(path)).status_code == 200
        assert [request.endpoint for request in broker.requests][:2] == ["list_portfolio_accounts", "get_ledger"]
        assert asked(broker, "list_portfolio_accounts") == 1
