"""The keeper and the login port against gateways that misbehave on real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import trustme

from ib_keepalive.app import Keepalive
from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.poller import Poller
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.upstream.connections import open_client
from ibkr import catalogue
from support.keepalive import FakeGateway, keeping
from support.serve import serve

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
FLAGS = b'{"authenticated":true,"competing":false,"connected":true}'


@asynccontextmanager
async def gateway(talk: Conversation, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a server that reads a request's head and then does as ``talk`` says."""
    open_now: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            open_now.discard(task)
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now)
        await server.wait_closed()


def settings(url: str, **given: object) -> KeepaliveSettings:
    return KeepaliveSettings(**({"gateway_url": url, "token": "token-of-tests"} | given))


async def probe(url: str, **given: object) -> ProbeResult:
    """What one auth/status shows, and that it leaves no request behind."""
    client, metrics = open_client(settings(url, **given)), Metrics()
    pacer = Pacer(catalogue.load(), metrics)
    async with client:
        result, _ = await Poller(client, metrics, pacer).ask("get_auth_status")
    pacer.close()
    assert "ibmcp_upstream_in_flight 0.0" in metrics.render().decode()
    return result


def says(answer: bytes) -> Conversation:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


def tls_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


async def test_good_answer() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(FLAGS)
    async with gateway(says(head + FLAGS)) as url:
        result = await probe(url)
    assert result.outcome is Outcome.FLAGS
    assert result.latency_ms is not None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closes without an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + FLAGS, id="cuts the body short"),
        pytest.param(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"aut', id="cuts a chunk short"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="is no HTTP server"),
        pytest.param(b"HTTP/1.1 two hundred\r\n\r\n", id="has a wrong status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b" " * 400_000, id="never stops"),
    ],
)
async def test_broken_answer(answer: bytes) -> None:
    async with gateway(says(answer)) as url:
        assert (await probe(url)).outcome is Outcome.BROKEN


async def test_gateway_that_is_gone() -> None:
    assert (await probe(f"http://127.0.0.1:{free_port()}")).outcome is Outcome.REFUSED


async def test_gateway_that_accepts_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ib_keepalive.session.poller.ANSWER_LIMIT_S", 0.1)

    async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with gateway(silence) as url:
        assert (await probe(url)).outcome is Outcome.SILENT


async def test_gateway_whose_own_pages_answer_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ib_keepalive.session.poller.ANSWER_LIMIT_S", 0.1)

    async def app(scope: dict[str, object], receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        if scope["path"] != "/v1/am/x":
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Unknown service"})

    async with serve(app) as url:
        assert (await probe(url)).outcome is Outcome.TIMEOUT


async def test_tls_gateway_on_loopback_needs_no_authority() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FLAGS)
    async with gateway(says(head + FLAGS), tls=tls_for(trustme.CA(), "elsewhere.example")) as url:
        assert (await probe(url)).outcome is Outcome.FLAGS


async def test_tls_gateway_must_be_the_one_of_the_given_authority(tmp_path: Path) -> None:
    right, wrong = trustme.CA(), trustme.CA()
    right.cert_pem.write_to_path(str(tmp_path / "right.pem"))
    wrong.cert_pem.write_to_path(str(tmp_path / "wrong.pem"))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FLAGS)
    async with gateway(says(head + FLAGS), tls=tls_for(right, "127.0.0.1")) as url:
        assert (await probe(url, gateway_ca_file=tmp_path / "right.pem")).outcome is Outcome.FLAGS
        refused = await probe(url, gateway_ca_file=tmp_path / "wrong.pem")
    assert refused.outcome is Outcome.REFUSED
    assert "certificate" in refused.detail


async def test_plain_requests_to_a_tls_gateway_are_broken_not_a_login_problem() -> None:
    async with gateway(says(b""), tls=tls_for(trustme.CA(), "127.0.0.1")) as url:
        assert (await probe(url.replace("https", "http"))).outcome is Outcome.BROKEN


async def test_cookies_of_an_answer_are_never_sent_back() -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: XYZAB=s3cr3t; Path=/\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with gateway(talk) as url, open_client(settings(url)) as client:
        for _ in range(3):
            await client.get("/v1/api/x")
    assert heads
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_redirects_are_not_followed() -> None:
    asked: list[str] = []

    async def app(scope: dict[str, object], receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        asked.append(str(scope["path"]))
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", b"/sso/Login")]})
        await send({"type": "http.response.body"})

    async with serve(app) as url:
        assert (await probe(url)).outcome is Outcome.SIGNED_OUT
    assert asked == ["/v1/api/iserver/auth/status"]


async def test_post_carries_a_length_and_an_empty_object() -> None:
    sent: list[bytes] = []

    async def app(
        scope: dict[str, list[tuple[bytes, bytes]]],
        receive: Callable[[], Awaitable[dict[str, bytes]]],
        send: Callable[[object], Awaitable[None]],
    ) -> None:
        sent.append(dict(scope["headers"]).get(b"content-length", b"none"))
        sent.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": FLAGS})

    async with serve(app) as url:
        await probe(url)
    assert sent == [b"2", b"{}"]


async def test_stopping_in_the_middle_of_a_probe_leaves_nothing_behind() -> None:
    asked = asyncio.Event()
    ended = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        ended.set()

    before = asyncio.all_tasks()
    async with gateway(silence) as url:
        async with Keepalive(settings(url)):
            async with asyncio.timeout(5):
                await asked.wait()
        async with asyncio.timeout(5):
            await ended.wait()
    assert asyncio.all_tasks() == before


@pytest.mark.looptime
async def test_changes_of_state_are_logged_with_their_reason() -> None:
    with structlog.testing.capture_logs() as lines:
        async with keeping(FakeGateway(says=401)):
            await asyncio.sleep(1)
    (line,) = (line for line in lines if line["event"] == "session state changed")
    assert (line["before"], line["state"], line["reason"]) == ("starting", "login_required", "IBKR answers 401")
