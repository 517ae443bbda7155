"""Faults of the simulated broker on real sockets, and in process as far as they exist there."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trustme

from ib_simulator.app import Simulator
from support.serve import InProcess, serve

LEDGER = "/v1/api/portfolio/DU7420001/ledger"
INVALIDATE = "/v1/api/portfolio/DU7420001/positions/invalidate"


def simulator_with(**fault: Any) -> Simulator:
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", **fault)
    return simulator


@asynccontextmanager
async def on_a_socket(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(simulator.app) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        yield client
    assert simulator.gate.connections == 0


@asynccontextmanager
async def in_process(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway") as client:
        yield client


both = pytest.mark.parametrize("reached", [on_a_socket, in_process])
Reached = Callable[[Simulator], Any]


async def held(simulator: Simulator, number: int = 1) -> None:
    """Wait until the simulator holds that many requests."""
    async with asyncio.timeout(10):
        while simulator.faults.held < number:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def connections(simulator: Simulator, number: int) -> None:
    """Wait until the simulator has that many connections."""
    async with asyncio.timeout(10):
        while simulator.gate.connections != number:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@both
async def test_a_hanging_request_is_answered_after_the_release(reached: Reached):
    simulator = simulator_with(kind="hang", endpoint="get_ledger", count=1)
    async with reached(simulator) as client:
        asking = asyncio.ensure_future(client.get(LEDGER))
        await held(simulator)
        assert (await client.get("/v1/api/tickle")).status_code == 200
        assert not asking.done()
        simulator.do("release")
        assert (await asking).status_code == 200
    assert simulator.faults.held == 0


@both
async def test_clearing_a_fault_releases_what_it_held(reached: Reached):
    simulator = simulator_with(kind="hang")
    async with reached(simulator) as client:
        asking = asyncio.ensure_future(client.get(LEDGER))
        await held(simulator)
        simulator.do("clear-faults")
        assert (await asking).status_code == 200


@both
async def test_a_reset_breaks_the_connection_before_the_request_is_carried_out(reached: Reached):
    simulator = simulator_with(kind="reset", method="POST", count=1)
    async with reached(simulator) as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/v1/api/logout")
        assert (await client.get("/v1/api/tickle")).status_code == 200
    assert [request.status for request in simulator.requests] == [None, 200]


@both
async def test_a_processed_reset_loses_only_the_answer(reached: Reached):
    simulator = simulator_with(kind="reset", method="POST", count=1, processed=True)
    async with reached(simulator) as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/v1/api/logout")
        assert (await client.get("/v1/api/tickle")).status_code == 401


@pytest.mark.parametrize("role", ["gateway", "backend"])
async def test_a_cut_body_ends_inside(role: Any):
    simulator = Simulator(signed_in="paper", role=role, limits=False)
    simulator.do("fault", kind="cut", path="*/tickle", count=1)
    async with on_a_socket(simulator) as client:
        client.cookies.set("XYZAB", simulator.session.token)
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            await client.get("/v1/api/tickle")
        assert (await client.get("/v1/api/tickle")).status_code == 200


async def test_a_stalled_body_goes_on_after_the_release():
    simulator = simulator_with(kind="stall", endpoint="tickle", count=1)
    async with on_a_socket(simulator) as client, client.stream("GET", "/v1/api/tickle") as answer:
        pieces = answer.aiter_raw()
        first = await anext(pieces)
        await held(simulator)
        simulator.do("release")
        whole = first + b"".join([piece async for piece in pieces])
        assert b'"authenticated":true' in whole


@both
@pytest.mark.parametrize(
    ("fault", "status", "media", "body"),
    [
        ({"kind": "answer", "status": 503}, 503, "application/json", '{"error":"simulated","statusCode":503}'),
        ({"kind": "answer", "status": 429, "body": {"error": "slow"}}, 429, "application/json", '{"error":"slow"}'),
        ({"kind": "answer", "status": 200, "body": []}, 200, "application/json", "[]"),
        ({"kind": "answer", "status": 502, "body": "Bad Gateway"}, 502, "text/plain", "Bad Gateway"),
        ({"kind": "answer", "status": 204}, 204, "application/json", ""),
        ({"kind": "wrong_json"}, 200, "application/json", '{"error": "truncated by a pro'),
    ],
)
async def test_an_answer_is_replaced(reached: Reached, fault: dict[str, Any], status: int, media: str, body: str):
    async with reached(simulator_with(**fault)) as client:
        answer = await client.get(LEDGER)
        assert (answer.status_code, answer.text) == (status, body)
        assert answer.headers["content-type"].startswith(media)


@both
async def test_html_comes_in_place_of_json(reached: Reached):
    async with reached(simulator_with(kind="html")) as client:
        answer = await client.get(LEDGER)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.text.startswith("<!doctype html>")


@pytest.mark.looptime
async def test_latency_is_waited_on_the_loops_clock():
    simulator = simulator_with(kind="latency", seconds=2, endpoint="get_ledger")
    loop = asyncio.get_running_loop()
    async with in_process(simulator) as client:
        began = loop.time()
        await client.get(LEDGER)
        assert loop.time() - began == 2
        await client.get("/v1/api/tickle")
        assert loop.time() - began == 2


@pytest.mark.looptime
async def test_six_histories_at_once_break_the_limit_of_five():
    # Asked of IBKR itself: the gateway's five slots would keep the sixth waiting.
    simulator = Simulator(signed_in="paper", role="backend")
    simulator.do("fault", kind="latency", seconds=1, endpoint="get_price_history")
    async with in_process(simulator) as client:
        client.cookies.set("XYZAB", simulator.session.token)
        path = "/v1/api/iserver/marketdata/history?conid=265598&period=1d&bar=1h"
        answers = await asyncio.gather(*(client.get(path) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers)[-1] == 429
        assert simulator.limits.breaches == {"get_price_history": 1}


async def test_faults_match_by_method_path_agent_and_chance():
    simulator = simulator_with(kind="answer", status=500, method="GET", path="*/portfolio/*", user_agent="robot*")
    async with in_process(simulator) as client:
        robot = {"user-agent": "robot/1"}
        assert (await client.get(LEDGER)).status_code == 200
        assert (await client.post(INVALIDATE, headers=robot)).status_code == 200
        assert (await client.get("/v1/api/tickle", headers=robot)).status_code == 200
        assert (await client.get(LEDGER, headers=robot)).status_code == 500
        simulator.do("clear-faults")
        simulator.do("fault", kind="answer", status=500, chance=0.5)
        statuses = [(await client.get(LEDGER)).status_code for _ in range(100)]
        assert 25 < statuses.count(500) < 75


async def test_chance_follows_the_seed():
    async def statuses(seed: int) -> list[int]:
        simulator = Simulator(seed, signed_in="paper", limits=False)
        simulator.do("fault", kind="answer", status=500, chance=0.5)
        async with in_process(simulator) as client:
            return [(await client.get(LEDGER)).status_code for _ in range(40)]

    assert await statuses(1) == await statuses(1)
    assert await statuses(1) != await statuses(2)


async def test_a_silent_port_accepts_and_answers_nothing_until_it_is_cleared():
    simulator = Simulator(signed_in="paper", limits=False)
    async with on_a_socket(simulator) as client:
        assert (await client.get("/v1/api/tickle")).status_code == 200
        simulator.do("fault", kind="silence")
        for headers in ({}, {"connection": "close"}):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/v1/am/x", headers=headers, timeout=0.1)
        await connections(simulator, 0)
        waiting = asyncio.ensure_future(client.get("/v1/api/tickle"))
        await connections(simulator, 1)
        simulator.do("clear-faults")
        with pytest.raises(httpx.ReadError):
            await waiting
        assert (await client.get("/v1/api/tickle")).status_code == 200


async def test_silence_swallows_answers_that_were_on_their_way():
    simulator = simulator_with(kind="hang", endpoint="tickle", count=1)
    async with on_a_socket(simulator) as client:
        asking = asyncio.ensure_future(client.get("/v1/api/tickle"))
        await held(simulator)
        simulator.do("fault", kind="silence")
        simulator.do("release")
        assert (await asyncio.wait({asking}, timeout=0.1))[0] == set()
        simulator.do("clear-faults")
        with pytest.raises(httpx.ReadError):
            await asking


async def test_a_refusing_port_accepts_nothing_and_keeps_its_number():
    simulator = Simulator(signed_in="paper", limits=False)
    async with on_a_socket(simulator) as client:
        assert (await client.get("/v1/api/tickle")).status_code == 200
        for _ in range(2):
            simulator.do("fault", kind="refuse")
            with pytest.raises((httpx.ReadError, httpx.ConnectError)):
                await client.get("/v1/api/tickle")
            with pytest.raises(httpx.ConnectError):
                await client.get("/v1/api/tickle")
            simulator.do("clear-faults")
            assert (await client.get("/v1/api/tickle")).status_code == 200


@pytest.mark.looptime
async def test_silence_and_refusal_exist_in_process_too():
    simulator = simulator_with(kind="silence")
    async with in_process(simulator) as client:
        asking = asyncio.ensure_future(client.get("/v1/api/tickle"))
        await asyncio.sleep(3600)
        assert not asking.done()
        simulator.do("clear-faults")
        with pytest.raises(httpx.ReadError):
            await asking
        simulator.do("fault", kind="refuse")
        with pytest.raises(httpx.ConnectError):
            await client.get("/v1/api/tickle")


async def test_a_held_request_of_the_backend_ends_with_its_client():
    simulator = Simulator(signed_in="paper", role="backend", limits=False)
    simulator.do("fault", kind="hang", endpoint="tickle")
    async with on_a_socket(simulator) as client:
        client.cookies.set("XYZAB", simulator.session.token)
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/v1/api/tickle", timeout=0.1)
        async with asyncio.timeout(10):
            while simulator.faults.held:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    assert [request.status for request in simulator.requests] == [None]


async def test_a_stalled_body_ends_with_its_client():
    simulator = simulator_with(kind="stall", endpoint="tickle", count=1)
    async with on_a_socket(simulator) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/v1/api/tickle", timeout=0.1)
        async with asyncio.timeout(10):
            while simulator.faults.held:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_a_held_request_of_the_gateway_outlives_its_client():
    simulator = simulator_with(kind="hang", endpoint="log_out")
    async with on_a_socket(simulator) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/api/logout", timeout=0.1)
        assert simulator.state()["busy_slots"] == 1
        simulator.do("clear-faults")
        async with asyncio.timeout(10):
            while simulator.session.user is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert simulator.state()["busy_slots"] == 0


async def test_ending_the_server_breaks_what_hangs():
    simulator = simulator_with(kind="hang")
    async with serve(simulator.app) as url, httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.ensure_future(client.get("/v1/api/tickle"))
        await held(simulator)
    with pytest.raises(httpx.HTTPError):
        await asking
    assert simulator.gate.connections == 0


async def test_over_tls_a_backend_answers_with_a_length_and_can_be_reset():
    authority = trustme.CA()
    server, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trust)
    simulator = Simulator(signed_in="paper", role="backend", limits=False)
    async with serve(simulator.app, tls=server) as url, httpx.AsyncClient(base_url=url, verify=trust) as client:
        client.cookies.set("XYZAB", simulator.session.token)
        answer = await client.get("/v1/api/tickle")
        assert int(answer.headers["content-length"]) == len(answer.content)
        simulator.do("fault", kind="reset", count=1)
        with pytest.raises(httpx.ReadError):
            await client.get("/v1/api/tickle")


async def test_the_gateway_sends_bodies_on_in_chunks():
    async with on_a_socket(Simulator(signed_in="paper")) as client:
        answer = await client.get("/v1/api/tickle")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in answer.headers
