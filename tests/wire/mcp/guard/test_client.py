"""The client of the guard: what it sends, and what becomes of every way in which the guard can fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest

from ib_mcp.guard import router
from ib_mcp.guard.client import Guard, caller
from ib_mcp.guard.directory import AccountDirectory
from ib_mcp.settings import McpSettings
from ibkr.errors import (
    IbError,
    LoginRequired,
    PacingLimited,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from support.agent import connected
from support.answers import body_of

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def asking(answer: Handler | None = None, url: str = "http://guard.test") -> AsyncIterator[Guard]:
    settings = McpSettings(guard_url=url, guard_token="secret")
    async with router.connect(settings, httpx.MockTransport(answer) if answer else None) as client:
        yield client


@asynccontextmanager
async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_question_carries_token_caller_and_the_time_that_is_left() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[], headers={"ib-age-ms": "12", "ib-source": "cache"})

    async with asking(answer) as client:
        mark = caller.set("agent-1")
        with anyio.fail_after(10):
            reply = await client.call(
                "list_positions",
                path={"accountId": "U1/../x", "pageId": 0},
                query={"sort": None, "waitForSecDef": True},
            )
        caller.reset(mark)
    assert (reply.body, reply.age_ms, reply.source) == ([], 12, "cache")
    (request,) = seen
    assert request.url.raw_path == b"/v1/api/portfolio/U1%2F..%2Fx/positions/0?waitForSecDef=true"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["ib-caller"] == "agent-1"
    assert 9000 < int(request.headers["ib-deadline-ms"]) < 10_000


async def test_a_post_has_a_json_body_even_without_arguments() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    async with asking(answer) as client:
        await client.call("get_auth_status")
        await client.call("get_contract_rules", body={"conid": 1, "isBuy": True})
    assert [json.loads(request.content) for request in seen] == [{}, {"conid": 1, "isBuy": True}]
    assert all(request.headers["content-length"] for request in seen)


@pytest.mark.parametrize(
    ("status", "envelope", "kind"),
    [
        (503, {"code": "login_required", "message": "m", "action": "a", "login": "http://login"}, LoginRequired),
        (429, {"code": "pacing_limited", "message": "m", "action": "a", "retry_after_s": 3.5}, PacingLimited),
        (418, {"code": "upstream_error", "message": "m", "action": "a"}, UpstreamError),
    ],
)
async def test_the_guards_error_is_raised_as_it_is(status: int, envelope: dict[str, Any], kind: type[IbError]) -> None:
    async with asking(lambda _: httpx.Response(status, json={"error": envelope})) as client:
        with pytest.raises(kind) as raised:
            await client.call("list_portfolio_accounts")
    assert raised.value.envelope()["error"] == envelope
    assert raised.value.status == status


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500),
        httpx.Response(502, text="<html>Bad Gateway</html>"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text='{"cut": '),
        httpx.Response(404, json={"error": "x"}),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
    ],
)
async def test_an_answer_that_the_guard_never_gives_is_an_upstream_error(response: httpx.Response) -> None:
    async with asking(lambda _: response) as client:
        with pytest.raises(UpstreamError):
            await client.call("list_portfolio_accounts")


async def test_a_refused_guard_token_is_the_owners_to_mend_not_the_agents() -> None:
    envelope = {"code": "token_required", "message": "m", "action": "Send a token"}
    async with asking(lambda _: httpx.Response(401, json={"error": envelope})) as client:
        with pytest.raises(UpstreamUnreachable) as raised:
            await client.call("list_portfolio_accounts")
    assert "IB_MCP_GUARD_TOKEN" in raised.value.action


async def test_a_status_of_another_version_is_an_upstream_error() -> None:
    for body in ({"schema": 2, "state": "authenticated"}, {"schema": 1}, [], None):
        async with asking(lambda _, body=body: httpx.Response(200, json=body)) as client:
            with pytest.raises(UpstreamError):
                await client.status()


async def test_numbers_come_through_unchanged() -> None:
    text = '{"a": 0.1, "b": 12345678901234.123456, "c": 1e3, "d": NaN, "e": 9007199254740993}'
    async with asking(lambda _: httpx.Response(200, text=text)) as client:
        body = (await client.call("list_portfolio_accounts")).body
    assert body == {"a": 0.1, "b": "12345678901234.123456", "c": 1000.0, "d": None, "e": 9007199254740993}
    assert Decimal(body["b"]) == Decimal("12345678901234.123456")


async def test_a_guard_that_is_not_there_is_unreachable() -> None:
    async with listening(lambda reader, writer: writer.close()) as url:
        pass
    async with asking(url=url) as client:
        with pytest.raises(UpstreamUnreachable):
            await client.call("list_portfolio_accounts")


@pytest.mark.parametrize("sent", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
async def test_a_guard_that_breaks_off_is_unreachable(sent: bytes) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    async with listening(break_off) as url, asking(url=url) as client:
        with pytest.raises(UpstreamUnreachable):
            await client.call("list_portfolio_accounts")


async def test_a_silent_guard_is_given_up_at_the_deadline_and_its_connection_with_it() -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()
        writer.close()

    settings = {"deadline_s": 0.3}
    async with listening(silent) as url, connected(None, settings | {"guard_url": url}) as (_, client):
        answer = await client.call_tool("list_accounts", {}, raise_on_error=False)
        assert body_of(answer)["error"]["code"] == "upstream_timeout"
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_read_that_times_out_is_no_refused_connection() -> None:
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    async with asking(late) as client:
        with pytest.raises(UpstreamTimeout):
            await client.call("list_portfolio_accounts")


@pytest.mark.parametrize("body", [5, "text", {"unexpected": 1}])
async def test_an_answer_of_another_form_is_an_upstream_error(body: Any) -> None:
    async with connected(httpx.MockTransport(lambda _: httpx.Response(200, json=body))) as (_, client):
        answer = await client.call_tool("get_account_balances", {}, raise_on_error=False)
    assert body_of(answer)["error"]["code"] == "upstream_error"


async def test_a_fault_of_our_own_is_masked() -> None:
    def faulty(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError("a secret of the code")

    async with connected(httpx.MockTransport(faulty)) as (_, client):
        answer = await client.call_tool("get_account_balances", {}, raise_on_error=False)
    assert answer.is_error
    assert body_of(answer)["error"]["code"] == "internal_error"
    assert "secret" not in str(answer.content)


async def test_a_call_that_is_being_cancelled_ends_without_an_error_of_ours() -> None:
    """Nothing, and less than any number, is left of its time."""
    async with asking(lambda _: httpx.Response(200, json=[])) as client:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await client.call("list_portfolio_accounts")


@pytest.mark.parametrize("age", ["²", "-1", "1e9", "9" * 5000, "nonsense"])
async def test_an_age_that_is_no_number_is_none(age: str) -> None:
    headers = {"ib-age-ms": age.encode()}
    async with asking(lambda _: httpx.Response(200, json=[], headers=headers)) as client:
        assert (await client.call("list_portfolio_accounts")).age_ms == 0


@pytest.mark.parametrize("body", [[], {}, {"status": 5}, {"status": {"schema": 1, "state": "unheard of"}}, None])
async def test_an_odd_answer_to_an_opening_is_said(body: Any) -> None:
    async with asking(lambda _: httpx.Response(202, json=body)) as client:
        with pytest.raises(UpstreamError, match="cannot be read"):
            await client.reauthenticate()


async def test_an_answer_is_given_up_at_the_bound_while_it_is_read() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n[")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                writer.write(b" " * 1024 * 1024)
                await writer.drain()
                sent += 1
        writer.close()

    async with listening(serve) as url, asking(url=url) as client:
        with pytest.raises(UpstreamError, match="larger than the 4 MiB"):
            await client.call("list_portfolio_accounts")
    assert sent < 32


async def test_an_account_is_asked_under_the_sign_in_that_listed_it_though_another_question_saw_the_next_one() -> None:
    present, meant = 1, []

    def answer(request: httpx.Request) -> httpx.Response:
        told = {"ib-sign-in": str(present)}
        if request.url.path.endswith("/portfolio/accounts"):
            return httpx.Response(200, json=[{"accountId": "U1"}], headers=told)
        meant.append(request.headers.get("ib-sign-in"))
        return httpx.Response(200, json={}, headers=told)

    async with asking(answer) as client:
        await client.call("list_portfolio_accounts")
        present = 2
        await client.call("count_unread_notifications")
        for _ in range(2):
            await client.call("get_ledger", path={"accountId": "U1"})
        # The guard refuses the number of before; who asks again then means the present user.
        assert meant == [None, "1", None]


async def test_the_accounts_of_a_user_are_listed_anew_as_soon_as_another_is_seen() -> None:
    users = {1: "DU1", 2: "U2"}
    present = 1

    def answer(request: httpx.Request) -> httpx.Response:
        listed = [{"accountId": users[present]}] if request.url.path.endswith("/portfolio/accounts") else {}
        return httpx.Response(200, json=listed, headers={"ib-sign-in": str(present)})

    async with asking(answer) as client:
        directory = AccountDirectory(client)
        assert [row["accountId"] for row in await directory.all()] == ["DU1"]
        present = 2
        await client.call("count_unread_notifications")
        assert [row["accountId"] for row in await directory.all()] == ["U2"]
