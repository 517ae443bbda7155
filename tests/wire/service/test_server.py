"""The bounds of a listener whose limits are small: who has to go, who is still answered, and what is given up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from ib_service.http.limits import Limits
from ib_service.http.server import Listener, config, open_sockets

LIMITS = Limits(
    connections=4, reserve=2, head_s=0.3, body_s=0.3, body_bytes=1000, unread_answer_s=0.3, reserved_head_s=0.2
)
GET = b"GET /%s HTTP/1.1\r\nhost: a\r\n\r\n"


class App:
    """Answers ``/healthz`` at once, ``/large`` with 64 MiB, ``/body`` after the body, ``/echo`` with it, ``/stream`` in
    two parts, the second when ``go`` is set, and all else when it is."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.left = asyncio.Event()
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        content = b"ok"
        self.asked += 1
        if scope["path"] in ("/body", "/echo"):
            message = await receive()
            sent = message.get("body", b"")
            while message.get("more_body"):
                message = await receive()
                sent += message.get("body", b"")
            content = sent if scope["path"] == "/echo" else content
            if message["type"] == "http.disconnect":
                self.left.set()
                return
        elif scope["path"] == "/large":
            content = b"a" * 64 * 1024 * 1024
        elif scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await self.go.wait()
            await send({"type": "http.response.body", "body": b"two"})
            return
        elif scope["path"] != "/healthz":
            await self.go.wait()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]}
        )
        await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def serving(limits: Limits = LIMITS) -> AsyncIterator[tuple[App, Any]]:
    """The app, and ``connect``, which opens a connection to it and closes it at the end."""
    app = App()
    listener = Listener("test", "127.0.0.1", 0, limits)
    (own,) = open_sockets([listener])
    server = uvicorn.Server(config(listener, app))
    running = asyncio.create_task(server.serve(sockets=[own]))
    writers: list[asyncio.StreamWriter] = []

    async def connect(sent: bytes = b"") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*own.getsockname())
        writers.append(writer)
        writer.write(sent)
        reader.writer = writer  # type: ignore[attr-defined]
        return reader

    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            yield app, connect
    finally:
        app.go.set()
        for writer in writers:
            writer.close()
        server.should_exit = True
        await running


async def status(reader: asyncio.StreamReader) -> int:
    return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


async def is_closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        return await reader.read(1) == b""
    return True


async def test_where_all_connections_are_at_work_health_is_answered_and_everything_else_told_to_wait() -> None:
    async with serving() as (app, connect):
        busy = [await connect(GET % b"work") for _ in range(4)]
        while app.asked < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await status(await connect(GET % b"healthz")) == 200
        refused = await connect(GET % b"work")
        assert await status(refused) == 503
        assert json.loads(await refused.readuntil(b"}}"))["error"]["code"] == "pacing_limited"
        assert await is_closed(refused)
        app.go.set()
        assert [await status(one) for one in busy] == [200] * 4


async def test_no_more_connections_are_held_than_the_reserve_has_room_for() -> None:
    async with serving(Limits(connections=4, reserve=2, reserved_head_s=20)) as (app, connect):
        for _ in range(4):
            await connect(GET % b"work")
        while app.asked < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        waiting = [await connect(b"GET") for _ in range(2)]
        # The next one takes the place of who waits for the longest time.
        assert await status(await connect(GET % b"healthz")) == 200
        assert await is_closed(waiting[0])


async def test_who_has_sent_half_a_request_for_the_longest_time_gives_way() -> None:
    async with serving() as (_, connect):
        half = [await connect(b"GET /") for _ in range(4)]
        assert await status(await connect(GET % b"healthz")) == 200
        assert await is_closed(half[0])


async def test_who_is_idle_gives_way_where_nobody_sends_half_a_request() -> None:
    async with serving() as (_, connect):
        idle = [await connect(GET % b"healthz") for _ in range(4)]
        assert [await status(one) for one in idle] == [200] * 4
        await asyncio.sleep(0)
        assert await status(await connect(GET % b"healthz")) == 200
        await idle[0].readexactly(2)
        assert await is_closed(idle[0])


async def test_a_body_that_does_not_come_is_answered_408_and_the_app_told_that_the_caller_is_gone() -> None:
    async with serving() as (app, connect):
        slow = await connect(b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab")
        assert await status(slow) == 408
        await app.left.wait()


async def test_a_body_beyond_the_bound_is_answered_413_announced_or_not() -> None:
    async with serving() as (app, connect):
        large = await connect(b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 2000\r\n\r\n" + b"a" * 2000)
        assert await status(large) == 413
        chunk = b"1f4\r\n" + b"a" * 500 + b"\r\n"
        chunked = await connect(b"POST /body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 3)
        assert await status(chunked) == 413
        await app.left.wait()


async def test_an_app_that_asks_for_a_body_after_the_refusal_learns_that_the_caller_is_gone() -> None:
    async with serving() as (app, connect):
        head = b"POST /body HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2000\r\n\r\n"
        assert await status(await connect(head + b"a" * 2000)) == 413
        await app.left.wait()


async def test_endless_trailers_are_refused() -> None:
    async with serving() as (_, connect):
        trailing = await connect(b"POST /body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ")
        trailing.writer.write(b"a" * 100_000)
        assert await status(trailing) == 431


async def test_a_head_as_large_as_allowed_is_served_with_its_body_and_the_next_request() -> None:
    async with serving(Limits(body_bytes=200_000)) as (_, connect):
        head = b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\nx: " + b"a" * 32_000 + b"\r\n\r\n"
        served = await connect((head + b"b" * 100_000) * 2)
        assert await status(served) == 200
        await served.readexactly(2)
        assert await status(served) == 200


async def test_requests_that_wait_for_their_turn_keep_their_bodies() -> None:
    async with serving() as (_, connect):
        asking = b"".join(
            b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            for body in (b"first", b"second", b"third")
        )
        served = await connect(asking)
        for body in (b"first", b"second", b"third"):
            assert await status(served) == 200
            assert await served.readexactly(len(body)) == body


async def test_the_beginning_of_a_stream_waits_for_nothing() -> None:
    async with serving() as (app, connect):
        served = await connect(GET % b"stream")
        async with asyncio.timeout(10):
            assert await status(served) == 200
            assert await served.readexactly(3) == b"one"
            app.go.set()
            assert await served.readexactly(3) == b"two"


async def test_a_queue_of_pipelined_requests_is_refused() -> None:
    async with serving() as (app, connect):
        many = await connect(GET % b"work" + (GET % b"healthz") * 1000)
        assert await is_closed(many)
        assert app.asked == 1


@pytest.mark.parametrize("junk", [b"\r\n" * 100_000, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n" * 5000])
async def test_what_comes_after_the_last_request_stalls_nobody(junk: bytes) -> None:
    async with serving() as (_, connect):
        last = await connect(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" + junk)
        await is_closed(last)
        await connect(junk)
        assert await status(await connect(GET % b"healthz")) == 200


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async with serving() as (_, connect):
        unread = await connect(GET % b"large")
        unread.writer.transport.pause_reading()
        await asyncio.sleep(1)
        unread.writer.transport.resume_reading()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await unread.readexactly(64 * 1024 * 1024)
            raise AssertionError("it came whole")


async def test_an_idle_connection_that_has_never_asked_is_closed_without_a_word() -> None:
    async with serving() as (_, connect):
        assert await (await connect()).read() == b""


async def test_an_upgrade_that_is_not_offered_is_answered_as_a_plain_request() -> None:
    async with serving() as (_, connect):
        head = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
        upgrading = await connect(head)
        assert await status(upgrading) == 200
