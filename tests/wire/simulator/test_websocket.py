"""``/v1/api/ws`` of the simulated broker on real sockets."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ib_simulator import websocket
from ib_simulator.app import Simulator
from support.serve import serve


def address(url: str) -> str:
    return url.replace("http", "ws", 1) + "/v1/api/ws"


async def message(socket: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        return json.loads(await socket.recv())


async def test_it_greets_tells_the_session_and_echoes():
    simulator = Simulator(signed_in="paper", role="backend")
    cookie = {"cookie": f"XYZAB={simulator.session.token}"}
    async with serve(simulator.app) as url, connect(address(url), additional_headers=cookie) as socket:
        assert await message(socket) == {"topic": "system", "success": "robin-paper"}
        assert await message(socket) == {"topic": "sts", "args": {"authenticated": True, "competing": False}}
        await socket.send("tic")
        assert (await message(socket))["topic"] == "tic"
        await socket.send("ech+hb")
        assert await socket.recv() == "ech+hb"
        await socket.send("smd+265598+{}")
        assert await message(socket) == {"topic": "error", "error": "not simulated: smd+265598+{}"}


async def test_it_beats_and_tells_changes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(websocket, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(websocket, "_LOOK_S", 0.01)
    simulator = Simulator(signed_in="paper", role="backend")
    cookie = {"cookie": f"XYZAB={simulator.session.token}"}
    async with serve(simulator.app) as url, connect(address(url), additional_headers=cookie) as socket:
        assert [(await message(socket))["topic"] for _ in range(3)] == ["system", "sts", "system"]
        simulator.do("compete", on=True)
        while (told := await message(socket))["topic"] != "sts":
            assert "hb" in told
        assert told["args"] == {"authenticated": False, "competing": True}
        simulator.do("expire")
        async for _ in socket:
            pass
        assert socket.close_code == 1000


async def test_ibkr_refuses_a_socket_without_a_sign_in():
    simulator = Simulator(role="backend")
    async with serve(simulator.app) as url:
        with pytest.raises(InvalidStatus):
            await connect(address(url))


async def test_the_gateway_sends_binary_and_loses_what_comes_too_early():
    simulator = Simulator(signed_in="paper")
    async with serve(simulator.app) as url, connect(address(url)) as socket:
        await socket.send("ech+hb")
        assert await message(socket) == {"topic": "system", "success": "robin-paper"}
        assert (await message(socket))["topic"] == "sts"
        await socket.send("tic")
        answer = await socket.recv()
        assert isinstance(answer, bytes)
        assert json.loads(answer)["topic"] == "tic"


async def test_the_gateway_accepts_without_a_sign_in_and_stays_silent():
    simulator = Simulator()
    async with serve(simulator.app) as url, connect(address(url)) as socket:
        await socket.send("tic")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await socket.recv()


async def test_silence_covers_open_sockets():
    simulator = Simulator(signed_in="paper")
    async with serve(simulator.app) as url, connect(address(url)) as socket:
        for _ in range(2):
            await message(socket)
        simulator.do("fault", kind="silence")
        await socket.send("ech+hb")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await socket.recv()
        simulator.do("clear-faults")
        with pytest.raises(ConnectionClosed):
            await message(socket)
    assert simulator.gate.connections == 0
