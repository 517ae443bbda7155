"""The HTTP side of the MCP server: who gets in, both wires, and requests that are wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ib_mcp.guard import router
from ib_mcp.http.app import create_app
from ib_mcp.http.fast_path import FastPath
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings
from support.serve import serve

TOKEN = "token-of-an-agent"
MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
ACCEPT = "application/json, text/event-stream"


class StubGuard:
    """Two accounts and nothing else; ``callers`` are the ib-caller headers that came."""

    def __init__(self, **status: Any) -> None:
        self.told = status
        self.callers: list[str] = []
        self.deadlines: list[int] = []
        self.app = Starlette(routes=[Route("/v1/api/portfolio/accounts", self.accounts), Route("/status", self.status)])

    async def accounts(self, request: Request) -> JSONResponse:
        self.callers.append(request.headers["ib-caller"])
        self.deadlines.append(int(request.headers["ib-deadline-ms"]))
        return JSONResponse([{"accountId": "U1000001", "currency": "USD"}, {"accountId": "U1000002"}])

    async def status(self, request: Request) -> JSONResponse:
        usual = {"schema": 1, "state": "authenticated", "observed_at": 1, "state_since": 1, "mode": "live"}
        return JSONResponse(usual | self.told)


@asynccontextmanager
async def application(stub: StubGuard, **given: Any) -> AsyncIterator[Starlette]:
    settings = HttpSettings(**({"guard_url": "http://guard.test", "guard_token": "g", "token": TOKEN} | given))
    async with router.connect(settings, httpx.ASGITransport(stub.app)) as connected:
        yield create_app(settings, create_server(settings, connected), connected)


@asynccontextmanager
async def serving(stub: StubGuard | None = None, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The app as one client reaches it, on its own address."""
    async with application(stub or StubGuard(), **given) as app, app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8800") as client:
            yield client


def question(method: str, wire: str = MODERN, token: str | None = TOKEN, **params: Any) -> dict[str, Any]:
    """Arguments of a POST that carries this request on this wire."""
    headers = {"accept": ACCEPT, "content-type": "application/json", "mcp-protocol-version": wire}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if wire == MODERN:
        headers |= {"mcp-method": method} | ({"mcp-name": params["name"]} if "name" in params else {})
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return {"headers": headers, "content": json.dumps(body).encode()}


def answered(response: httpx.Response) -> Any:
    """The JSON-RPC result."""
    assert response.status_code == 200, response.text
    return response.json()["result"]


def refused_with(response: httpx.Response, code: str) -> dict[str, Any]:
    """The error of an answer that is the envelope and nothing else."""
    assert int(response.headers["content-length"]) == len(response.content)
    body = response.json()
    assert set(body) == {"error"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert body["error"]["action"]
    return dict(body["error"])


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_tools_are_listed_and_called_without_any_session(wire: str) -> None:
    async with serving() as client:
        listed = answered(await client.post("/mcp", **question("tools/list", wire)))
        assert "list_accounts" in [tool["name"] for tool in listed["tools"]]
        called = await client.post("/mcp", **question("tools/call", wire, name="list_accounts", arguments={}))
        assert "mcp-session-id" not in called.headers
        answer = answered(called)
        assert answer["isError"] is False
        assert json.loads(answer["content"][0]["text"])["accounts"]["rows"]
        assert "structuredContent" not in answer


async def test_the_older_wire_is_answered_in_one_json_body_and_only_to_those_who_may() -> None:
    async with serving() as client:
        for wire in (HANDSHAKE, "2025-03-26", None):
            asked = question("tools/list", wire or HANDSHAKE)
            if wire is None:
                del asked["headers"]["mcp-protocol-version"]
            response = await client.post("/mcp", **asked)
            assert response.headers["content-type"] == "application/json"
            assert answered(response)["tools"]
            del asked["headers"]["authorization"]
            assert (await client.post("/mcp", **asked)).status_code == 401
            foreign = {"host": "evil.example", "authorization": f"Bearer {TOKEN}"}
            response = await client.post("/mcp", headers=asked["headers"] | foreign, content=asked["content"])
            assert response.status_code == 421


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
@pytest.mark.parametrize(("trading", "most"), [(False, 12_000), (True, 16_000)])
async def test_the_list_of_tools_stays_small(wire: str, trading: bool, most: int) -> None:
    async with serving(token=f"{TOKEN} ibkr:read ibkr:trade", trading=trading) as client:
        response = await client.post("/mcp", **question("tools/list", wire))
        names = {tool["name"] for tool in answered(response)["tools"]}
        assert len(names) <= 30
        assert ("submit_order" in names) == trading
        assert len(response.content) <= most


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x"])
async def test_without_the_right_token_nobody_gets_in(token: str | None) -> None:
    async with serving() as client:
        response = await client.post("/mcp", **question("tools/list", token=token))
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        refused_with(response, "token_required")


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
@pytest.mark.parametrize("scopes", ["", " ibkr:read", " ibkr:read ibkr:write"])
async def test_what_writes_is_listed_and_called_with_its_scope_only(wire: str, scopes: str) -> None:
    may = "write" in scopes
    edit = {"action": "delete", "watchlist": "none"}
    generic = {"endpoint": "delete_watchlist", "parameters": {"id": "1"}}
    async with serving(token=TOKEN + scopes, allow_writes=True) as client:
        listed = await client.post("/mcp", **question("tools/list", wire))
        assert ("edit_watchlist" in listed.text) is may
        assert "call_endpoint" in listed.text
        for name, arguments in (("edit_watchlist", edit), ("call_endpoint", generic)):
            answer = await client.post("/mcp", **question("tools/call", wire, name=name, arguments=arguments))
            assert ("operation_forbidden" in answer.text) is not may, answer.text


async def test_a_token_may_be_configured_by_its_digest_and_must_have_the_scope() -> None:
    digest = hashlib.sha256(b"other").hexdigest()
    lines = f"{TOKEN}\nsha256:{digest} ibkr:read ibkr:trade\nodd-token-of-an-owner ibkr:trade"
    async with serving(token=lines) as client:
        for token, status in ((TOKEN, 200), ("other", 200), (f"sha256:{digest}", 401), ("odd-token-of-an-owner", 403)):
            response = await client.post("/mcp", **question("tools/list", token=token))
            assert response.status_code == status
        assert "ibkr:read" in refused_with(response, "operation_forbidden")["message"]


async def test_no_auth_serves_loopback_without_a_token() -> None:
    async with serving(token=None, no_auth=True) as client:
        assert answered(await client.post("/mcp", **question("tools/list", token=None)))["tools"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "mcp.example.com"}, 200),
        ({"host": "mcp.example.com", "origin": "https://chat.example.com"}, 200),
        ({"host": "localhost:8800", "origin": "http://localhost:8800"}, 200),
    ],
)
async def test_foreign_hosts_and_origins_are_refused(headers: dict[str, str], status: int) -> None:
    async with serving(allowed_hosts="mcp.example.com", allowed_origins="https://chat.example.com") as client:
        asked = question("tools/list")
        response = await client.post("/mcp", headers=asked["headers"] | headers, content=asked["content"])
        assert response.status_code == status
        if status == 421:
            assert "IB_MCP_ALLOWED_HOSTS" in refused_with(response, "invalid_request")["action"]
        if status == 403:
            assert "IB_MCP_ALLOWED_ORIGINS" in refused_with(response, "operation_forbidden")["action"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_health_and_metrics_need_no_token_but_an_honest_host(path: str) -> None:
    async with serving() as client:
        assert (await client.get(path)).status_code == 200
        assert (await client.get(path, headers={"host": "evil.example"})).status_code == 421


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
        b"\xff",
    ],
)
async def test_malformed_requests_are_refused_with_a_json_rpc_error(content: bytes) -> None:
    async with serving() as client:
        for wire in (MODERN, HANDSHAKE):
            response = await client.post("/mcp", headers=question("tools/list", wire)["headers"], content=content)
            assert 400 <= response.status_code < 500
            assert response.json()["error"]["code"] < 0


async def test_a_request_deeper_than_any_honest_one_is_refused() -> None:
    async with serving() as client:
        deep = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        response = await client.post("/mcp", headers=question("tools/list")["headers"], content=deep)
        assert 400 <= response.status_code < 500


async def test_an_oversized_body_is_refused_before_it_is_read() -> None:
    async with serving() as client:
        response = await client.post("/mcp", headers=question("tools/list")["headers"], content=b" " * 5_000_000)
        assert response.status_code == 413
        refused_with(response, "invalid_request")


async def test_other_methods_and_paths_are_refused() -> None:
    async with serving() as client:
        headers = question("tools/list")["headers"]
        assert (await client.get("/mcp", headers=headers)).status_code == 405
        nowhere = await client.get("/nowhere")
        assert nowhere.status_code == 404
        refused_with(nowhere, "operation_unknown")


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_an_unknown_method_is_refused_by_mcp_itself(wire: str) -> None:
    async with serving() as client:
        response = await client.post("/mcp", **question("no/such/method", wire))
        assert response.json()["error"]["code"] == -32601


async def test_an_unknown_tool_is_an_error_that_says_so_and_no_label_of_a_metric() -> None:
    async with serving() as client:
        answer = answered(await client.post("/mcp", **question("tools/call", name="buy_everything", arguments={})))
        assert answer["isError"]
        assert json.loads(answer["content"][0]["text"])["error"]["code"] == "operation_unknown"
        metrics = (await client.get("/metrics")).text
        assert "buy_everything" not in metrics
        assert 'ibmcp_tool_calls_total{outcome="operation_unknown",tool="unknown"}' in metrics


async def test_calls_are_counted_by_tool_and_outcome_without_account_numbers() -> None:
    async with serving() as client:
        await client.post("/mcp", **question("tools/call", name="list_accounts", arguments={}))
        await client.post("/mcp", **question("tools/call", name="get_account_balances", arguments={"account": "U1"}))
        metrics = (await client.get("/metrics")).text
        assert 'ibmcp_tool_calls_total{outcome="ok",tool="list_accounts"}' in metrics
        assert 'ibmcp_tool_calls_total{outcome="invalid_request",tool="get_account_balances"}' in metrics
        assert 'ibmcp_tool_call_seconds_count{tool="list_accounts"}' in metrics
        assert "U1000001" not in metrics


async def test_a_call_that_the_agent_gives_up_is_counted_as_such() -> None:
    stub, asked = StubGuard(), asyncio.Event()

    async def never(request: Request) -> JSONResponse:
        asked.set()
        return await asyncio.Future()

    stub.app = Starlette(routes=[Route("/{path:path}", never)])
    async with serving(stub) as client:
        call = asyncio.create_task(client.post("/mcp", **question("tools/call", name="get_alerts", arguments={})))
        await asked.wait()
        call.cancel()
        await asyncio.wait([call])
        metrics = (await client.get("/metrics")).text
    assert 'ibmcp_tool_calls_total{outcome="cancelled",tool="get_alerts"} 1.0' in metrics


async def test_the_guard_learns_who_asks_and_how_long_they_wait_but_no_secret() -> None:
    stub = StubGuard()
    async with serving(stub, deadline_s=9) as client:
        await client.post("/mcp", **question("tools/call", name="list_accounts", arguments={}))
    (caller,), (deadline,) = stub.callers, stub.deadlines
    assert caller
    assert TOKEN not in caller
    assert 8000 < deadline < 9000


async def test_agents_with_different_tokens_or_clients_are_different_callers() -> None:
    seen = set()
    for token, name in ((TOKEN, "tests"), ("other-token-of-an-agent", "tests"), (TOKEN, "others"), (TOKEN, "tests")):
        stub = StubGuard()
        async with serving(stub, token=f"{TOKEN}\nother-token-of-an-agent") as client:
            asked = question("tools/call", token=token, name="list_accounts", arguments={})
            await client.post(
                "/mcp", headers=asked["headers"], content=asked["content"].replace(b"tests", name.encode())
            )
        assert stub.callers[0].startswith(f"{name}-")
        seen.add(stub.callers[0])
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("said", "begins"),
    [("Claude Code (work)", "Claude-Code-work-"), ("<b>owner</b>", "b-owner-b-"), ("x" * 500, "x" * 30 + "-")],
)
async def test_what_a_client_calls_itself_is_told_in_plain_letters(said: str, begins: str) -> None:
    stub = StubGuard()
    async with serving(stub) as client:
        asked = question("tools/call", name="list_accounts", arguments={})
        await client.post("/mcp", headers=asked["headers"], content=asked["content"].replace(b"tests", said.encode()))
    assert re.fullmatch(f"{re.escape(begins)}[0-9a-f]{{16}}", stub.callers[0])


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
@pytest.mark.parametrize(
    "params",
    [
        {"name": "list_accounts"},
        {"name": "get_session_status", "arguments": {}},
        {"name": "list_accounts", "arguments": {"unknown": 1}},
        {"name": "get_price_history", "arguments": {"symbol": "??"}},
        {"name": "list_accounts", "arguments": []},
        {"name": "list_accounts", "requestState": "forged"},
        {"name": {}, "arguments": {}},
        {"name": "no_such_tool", "arguments": {}},
        {},
    ],
)
async def test_the_short_way_answers_what_the_whole_library_would(
    wire: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    request = question("tools/call", wire, **params)
    if not isinstance(params.get("name", ""), str):
        request["headers"].pop("mcp-name", None)
    async with serving() as client:
        short = await client.post("/mcp", **request)
        monkeypatch.setattr(FastPath, "read", lambda *_: None)
        whole = await client.post("/mcp", **request)
    assert _seen(short) == _seen(whole)


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({"mcp-name": "get_session_status"}, {}),
        ({"mcp-name": "tools/call", "mcp-method": "list_accounts"}, {}),
        ({"mcp-method": ""}, {}),
        ({"mcp-param-account": "U1"}, {}),
        ({"mcp-protocol-version": "2025-03-26"}, {}),
        ({"mcp-protocol-version": "2031-01-01"}, {}),
        ({"accept": "text/html"}, {}),
        ({"accept": "*/*"}, {}),
        ({"content-type": "text/plain"}, {}),
        ({"content-type": "application/json; charset=utf-8"}, {}),
        ({}, {"id": "seven"}),
        ({}, {"id": 1.5}),
        ({}, {"id": None}),
        ({}, {"id": True}),
        ({}, {"jsonrpc": "1.0"}),
        ({}, {"more": 1}),
        ({}, {"method": "tools/list"}),
        ({}, {"params": []}),
    ],
)
async def test_a_request_that_is_unusual_is_answered_as_the_library_would(
    wire: str, headers: dict[str, str], body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    asked = question("tools/call", wire, name="list_accounts", arguments={"gateway": "Zürich"})
    asked["headers"] |= headers
    asked["content"] = json.dumps(json.loads(asked["content"]) | body).encode()
    async with serving() as client:
        short = await client.post("/mcp", **asked)
        monkeypatch.setattr(FastPath, "read", lambda *_: None)
        whole = await client.post("/mcp", **asked)
    assert _seen(short) == _seen(whole)


def _seen(response: httpx.Response) -> tuple[int, str | None, Any]:
    kind = response.headers.get("content-type")
    is_json = kind == "application/json" and response.content
    return response.status_code, kind, response.json() if is_json else response.content


async def test_a_host_and_origin_that_were_let_in_once_let_nobody_else_in() -> None:
    asked = question("tools/call", name="list_accounts")
    foreign = ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"host": "127.0.0.1:1", "origin": "null"})
    async with serving() as client:
        for _ in range(2):
            assert (await client.post("/mcp", **asked)).status_code == 200
            for headers in foreign:
                refused = await client.post("/mcp", headers=asked["headers"] | headers, content=asked["content"])
                assert refused.status_code == (403 if "origin" in headers else 421)


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_a_plain_call_reaches_the_library_on_neither_wire(wire: str, monkeypatch: pytest.MonkeyPatch):
    async def unused(*_: object) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr("mcp.server.runner.ServerRunner._on_request", unused)
    async with serving() as client:
        called = await client.post("/mcp", **question("tools/call", wire, name="list_accounts"))
    assert answered(called)["isError"] is False


async def test_a_call_ends_when_its_client_leaves():
    asked, ended = asyncio.Event(), asyncio.Event()

    class Silent(StubGuard):
        async def accounts(self, request: Request) -> JSONResponse:
            asked.set()
            try:
                return await asyncio.Future()
            finally:
                ended.set()

    async with application(Silent()) as app, serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        call = asyncio.create_task(client.post("/mcp", **question("tools/call", name="list_accounts")))
        async with asyncio.timeout(10):
            await asked.wait()
            call.cancel()
            await ended.wait()


async def test_an_agent_that_leaves_inside_its_question_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    stub = StubGuard()
    settings = HttpSettings(guard_url="http://guard.test", guard_token="g", token=TOKEN)
    async with router.connect(settings, httpx.ASGITransport(stub.app)) as guard:
        app = create_app(settings, create_server(settings, guard))
        messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        given = {**question("tools/list")["headers"], "host": "127.0.0.1", "content-length": "50"}
        headers = [(name.encode(), value.encode()) for name, value in given.items()]
        scope = {"type": "http", "method": "POST", "path": "/mcp", "raw_path": b"/mcp", "query_string": b""}
        scope |= {"headers": headers, "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5), "scheme": "http"}
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)
    assert sent == []
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
