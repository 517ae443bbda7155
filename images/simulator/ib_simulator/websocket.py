"""``/v1/api/ws``: heartbeats, echoes and the state of the session; topics with data are not served yet."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from ib_simulator.backend import Backend
from ib_simulator.gateway import Gateway
from ib_simulator.network.http import Receive, Send
from ib_simulator.network.listener import NetworkGate

HEARTBEAT_S = 10.0
_LOOK_S = 0.5
# The real gateway accepts before it is connected to IBKR and loses what it is sent until then.
_GATEWAY_CONNECTS_S = 0.05


class Socket:
    """One WebSocket; everything goes out as text from IBKR and as binary from the gateway."""

    def __init__(self, backend: Backend, gate: NetworkGate, receive: Receive, send: Send, *, binary: bool) -> None:
        self._backend, self._gate, self._receive, self._send, self._binary = backend, gate, receive, send, binary

    async def serve(self, *, lose_s: float = 0.0) -> None:
        """From ``system`` to the end of the connection or of the sign-in; what arrives in ``lose_s`` is lost."""
        reader = asyncio.ensure_future(self._read(lose_s))
        try:
            await asyncio.sleep(lose_s)
            writer = asyncio.ensure_future(self._write())
            try:
                await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                writer.cancel()
            if not reader.done():
                await self._send({"type": "websocket.close", "code": 1000})
        finally:
            reader.cancel()

    async def _read(self, lose_s: float) -> None:
        loop = asyncio.get_running_loop()
        listens_at = loop.time() + lose_s
        while (message := await self._receive())["type"] != "websocket.disconnect":
            text = message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace")
            if loop.time() < listens_at:
                continue
            if text == "tic":
                await self._say({"topic": "tic", "lastAccessed": round(self._backend.session.seen_at * 1000)})
            elif text == "ech+hb":
                await self._say_text(text)
            else:
                await self._say({"topic": "error", "error": f"not simulated: {text[:80]}"})

    async def _write(self) -> None:
        session, clock = self._backend.session, self._backend.clock
        loop = asyncio.get_running_loop()
        assert session.user is not None
        await self._say({"topic": "system", "success": session.user.name})
        told: bool | None = None
        beat_at = loop.time() + HEARTBEAT_S
        while session.user is not None:
            now = clock.now()
            authenticated = session.flags(now).authenticated
            if authenticated is not told:
                told = authenticated
                await self._say({"topic": "sts", "args": {"authenticated": told, "competing": session.competitor}})
            if loop.time() >= beat_at:
                beat_at += HEARTBEAT_S
                await self._say({"topic": "system", "hb": round(now * 1000)})
            await asyncio.sleep(_LOOK_S)
            session.settle(clock.now())

    async def _say(self, body: dict[str, Any]) -> None:
        await self._say_text(json.dumps(body, separators=(",", ":")))

    async def _say_text(self, text: str) -> None:
        if not self._gate.silent:
            await self._send(
                {"type": "websocket.send", **({"bytes": text.encode()} if self._binary else {"text": text})}
            )


async def serve(
    scope: dict[str, Any], receive: Receive, send: Send, *, backend: Backend, gate: NetworkGate, gateway: Gateway | None
) -> None:
    """Serve one upgrade. IBKR refuses it without a sign-in; the gateway accepts any and stays silent."""
    await receive()
    cookie = dict(scope["headers"]).get(b"cookie", b"") if gateway is None else gateway.cookie_header
    backend.session.settle(backend.clock.now())
    admitted = backend.holds_session(cookie) and scope["path"].endswith("/api/ws")
    if gateway is None and not admitted:
        return await send({"type": "websocket.close", "code": 1008})
    await send({"type": "websocket.accept"})
    with contextlib.suppress(OSError):
        if admitted:
            socket = Socket(backend, gate, receive, send, binary=gateway is not None)
            return await socket.serve(lose_s=0.0 if gateway is None else _GATEWAY_CONNECTS_S)
        while (await receive())["type"] != "websocket.disconnect":
            pass
    return None
