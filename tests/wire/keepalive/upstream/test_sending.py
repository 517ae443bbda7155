"""What reaches the gateway on real sockets: each request once, and answers that are packed though nobody asked."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from ib_keepalive.metrics import Metrics
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.client import ConnectionBroken, GatewayClient
from ib_keepalive.upstream.connections import open_transport
from ib_keepalive.upstream.response import LARGEST_ANSWER, FinalAnswer
from ib_mcp.guard.transport import by_sockets
from ibkr import catalogue
from ibkr.errors import UpstreamUnreachable
from ibkr.operation import Effect

ROWS = catalogue.load()
GOOD = b'{"ok":true}'


def http(body: bytes, encoding: str | None = None) -> bytes:
    packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{packed}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


@asynccontextmanager
async def server(answers: Callable[[int], bytes | None]) -> AsyncIterator[tuple[str, list[str]]]:
    """Answers the n-th request with what ``answers`` gives, or closes the connection; notes the methods that came."""
    came: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0"
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                came.append(head.split(b" ")[0].decode())
                answer = answers(len(came))
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = running.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", came
    finally:
        running.close()


@asynccontextmanager
async def gateway_client(url: str) -> AsyncIterator[GatewayClient]:
    async with aclosing(open_transport(KeepaliveSettings(gateway_url=url, token="token-of-tests"))) as transport:
        yield GatewayClient(transport, url, Metrics())


def asking(method: str) -> ApiRequest:
    row = ROWS["get_ledger"]._replace(method=method)
    return ApiRequest(row, "/portfolio/DU1/ledger", (), None if method in ("GET", "DELETE") else b"{}")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("is_idle", [True, False])
async def test_a_request_whose_connection_breaks_is_sent_once(method: str, is_idle: bool) -> None:
    async with (
        server(lambda number: http(GOOD) if number == 1 and is_idle else None) as (url, came),
        gateway_client(url) as client,
    ):
        if is_idle:
            assert (await client.send(asking("GET"), 5)).content == GOOD
        with pytest.raises(ConnectionBroken):
            await client.send(asking(method), 5)
        assert came == (["GET"] if is_idle else []) + [method]


@pytest.mark.parametrize(("effect", "connections"), [("read", 1), ("trade", 3), ("write", 3)])
async def test_what_changes_something_takes_a_connection_that_carries_nothing_else(
    effect: Effect, connections: int
) -> None:
    made = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(http(GOOD))
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running, gateway_client(f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}") as client:
        await client.send(asking("GET"), 5)
        request = replace(asking("DELETE"), endpoint=ROWS["cancel_order"]._replace(effect=effect))
        for _ in range(2):
            assert (await client.send(request, 5)).content == GOOD
    assert made == connections


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_mcp_server_sends_what_changes_something_once(method: str) -> None:
    async with server(lambda number: http(GOOD) if number == 1 else None) as (url, came), by_sockets() as send:
        assert (await send("GET", url + "/v1/api/x", {}, None)).status == 200
        with pytest.raises(UpstreamUnreachable):
            await send(method, url + "/v1/api/x", {}, b"{}")
        assert came == ["GET", method]


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
async def test_an_answer_that_is_packed_though_not_asked_for_is_unpacked(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    async with server(lambda _: http(pack(GOOD), encoding)) as (url, _), gateway_client(url) as client:
        assert (await client.send(asking("GET"), 5)).content == GOOD


@pytest.mark.parametrize(
    ("encoding", "content", "says"),
    [
        ("gzip", gzip.compress(b"\0" * (LARGEST_ANSWER + 1), mtime=0), "larger than"),
        ("gzip", gzip.compress(GOOD, mtime=0)[:-6], "packed in a way"),
        ("gzip", GOOD, "packed in a way"),
        ("br", GOOD, "packed in a way"),
    ],
)
async def test_a_packed_answer_is_bounded_and_whole_or_an_error(encoding: str, content: bytes, says: str) -> None:
    async with server(lambda _: http(content, encoding)) as (url, _), gateway_client(url) as client:
        with pytest.raises(FinalAnswer, match=says):
            await client.send(asking("GET"), 5)
