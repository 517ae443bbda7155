"""The listener under connections that arrive, or hang, while it stops."""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest
import trustme

from ib_simulator.network.listener import Listener, NetworkGate


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def over_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("rounds", range(6))
@pytest.mark.parametrize("tls", [None, over_tls()], ids=["plain", "tls"])
async def test_a_connection_that_arrives_as_it_stops_is_broken(rounds: int, tls: ssl.SSLContext | None):
    gate = NetworkGate()
    listener = Listener(hello, tls=tls, gate=gate)
    await listener.start()
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        client.setblocking(False)
        for _ in range(rounds):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await listener.stop()
            with suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    assert gate.connections == 0


async def test_a_request_that_ends_slowly_is_waited_for():
    ended = asyncio.Event()
    asked = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    async with Listener(slow) as listener:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asked.wait()
    assert ended.is_set()
    writer.close()
