"""A fault for each step of an order, told by what the client sees and by the simulator's own record of orders."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ib_simulator.app import Simulator
from support.serve import InProcess, serve

ORDERS = "/v1/api/iserver/account/DU7420001/orders"
ORDER = {
    "conid": 265598,
    "side": "BUY",
    "quantity": 5,
    "orderType": "LMT",
    "price": 10.0,
    "tif": "GTC",
    "cOID": "only-once",
}
SUPPRESSED = {"messageIds": ["o163", "o354"]}


@asynccontextmanager
async def on_a_socket(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(simulator.app) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        await ready(client)
        yield client


@asynccontextmanager
async def in_process(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway", timeout=10) as client:
        await ready(client)
        yield client


async def ready(client: httpx.AsyncClient, *, suppressed: bool = True) -> None:
    await client.get("/v1/api/iserver/accounts")
    if suppressed:
        await client.post("/v1/api/iserver/questions/suppress", json=SUPPRESSED)


async def place(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post(ORDERS, json={"orders": [ORDER | more]})


def handles(simulator: Simulator) -> list[str]:
    return [row["client_order_id"] for row in simulator.orders()]


both = pytest.mark.parametrize("reached", [on_a_socket, in_process])
Reached = Callable[[Simulator], Any]


@both
@pytest.mark.parametrize(("kind", "taken"), [("order_request_lost", []), ("order_answer_lost", ["only-once"])])
async def test_a_lost_request_or_answer_is_a_broken_connection(reached: Reached, kind: str, taken: list[str]):
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind=kind, count=1)
    async with reached(simulator) as client:
        with pytest.raises(httpx.ReadError):
            await place(client)
        assert handles(simulator) == taken
        again = await place(client)
        assert ("already registered" in again.text) is bool(taken)
        assert handles(simulator) == ["only-once"]


@pytest.mark.parametrize(("kind", "taken"), [("order_request_lost", []), ("order_answer_lost", ["only-once"])])
async def test_a_lost_request_or_answer_may_be_a_status(kind: str, taken: list[str]):
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind=kind, count=1, status=503)
    async with in_process(simulator) as client:
        answer = await place(client)
        assert (answer.status_code, answer.content) == (503, b"")
        assert handles(simulator) == taken


async def test_a_late_answer_is_to_an_order_that_was_taken_at_once():
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="order_answer_late", seconds=0.3, count=1)
    async with on_a_socket(simulator) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(ORDERS, json={"orders": [ORDER]}, timeout=0.1)
        assert handles(simulator) == ["only-once"]


async def test_an_order_may_be_taken_after_its_client_gave_up():
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="order_taken_late", seconds=0.3, count=1)
    async with on_a_socket(simulator) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(ORDERS, json={"orders": [ORDER]}, timeout=0.1)
        assert handles(simulator) == []
        async with asyncio.timeout(10):
            while not handles(simulator):
                await client.get("/v1/api/iserver/accounts")
        assert handles(simulator) == ["only-once"]


@both
async def test_the_gateway_may_end_between_an_order_and_its_answer(reached: Reached):
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="order_gateway_crash", count=1)
    async with reached(simulator) as client:
        with pytest.raises(httpx.ReadError):
            await place(client)
        assert (await client.get("/v1/api/iserver/accounts")).status_code == 401
        assert handles(simulator) == ["only-once"]
        simulator.do("sign-in")
        await ready(client)
        assert "already registered" in (await place(client)).text


async def test_the_answer_to_a_question_may_never_be_answered():
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="question_unanswered", count=1)
    async with serve(simulator.app) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        await ready(client, suppressed=False)
        (question,) = (await place(client)).json()
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"/v1/api/iserver/reply/{question['id']}", json={"confirmed": True}, timeout=0.1)
        assert simulator.faults.held == 1
        simulator.do("release")


async def test_faults_of_orders_leave_everything_else_alone():
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="order_request_lost")
    async with in_process(simulator) as client:
        assert (await client.get("/v1/api/iserver/account/orders")).status_code == 200
        assert (await client.post(f"{ORDERS}/whatif", json={"orders": [ORDER]})).status_code == 200
        path = f"/v1/api/iserver/account/DU7420001/order/{1_200_000_702}"
        for request in (client.delete(path), client.post(path, json=ORDER), place(client)):
            with pytest.raises(httpx.ReadError):
                await request


async def test_any_other_request_may_make_a_question_void():
    simulator = Simulator(signed_in="paper", limits=False)
    async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway") as client:
        await ready(client, suppressed=False)
        for voids, status in ((False, 200), (True, 400)):
            simulator.do("order-pace", any_request_voids=voids)
            (question,) = (await place(client, cOID=f"voids-{voids}")).json()
            await client.get("/v1/api/iserver/account/trades")
            answer = await client.post(f"/v1/api/iserver/reply/{question['id']}", json={"confirmed": True})
            assert answer.status_code == status


async def test_questions_are_added_to_the_next_order():
    simulator = Simulator(signed_in="paper", limits=False)
    async with in_process(simulator) as client:
        simulator.do("order-questions", message_ids=["o10153", "o382"], text="Is this what you want?")
        asked = []
        answer = (await place(client)).json()
        while "id" in answer[0]:
            asked.append((answer[0]["messageIds"], answer[0]["message"]))
            answer = (await client.post(f"/v1/api/iserver/reply/{answer[0]['id']}", json={"confirmed": True})).json()
        assert asked == [([name], ["Is this what you want?"]) for name in ("o10153", "o382")]
        assert "order_id" in (await place(client, cOID="second")).json()[0]


async def test_lists_may_be_behind():
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("order-pace", list_s=5, acknowledge_s=2)
    async with in_process(simulator) as client:
        assert (await place(client)).json()[0]["order_status"] == "PendingSubmit"
        for advance_s, listed in ((0, False), (6, True)):
            simulator.do("clock", advance_s=advance_s)
            await client.get("/v1/api/iserver/account/orders")
            rows = (await client.get("/v1/api/iserver/account/orders")).json()["orders"]
            assert any(row.get("order_ref") == "only-once" for row in rows) is listed
        assert simulator.orders()[0]["status"] in {"Submitted", "PreSubmitted"}


async def test_the_exchange_fills_rejects_and_cancels():
    simulator = Simulator(signed_in="paper", limits=False)
    async with in_process(simulator) as client:
        for name in "abc":
            await place(client, cOID=name)
        ids = [row["order_id"] for row in simulator.orders()]
        simulator.do("order-event", order_id=ids[0], event="fill", quantity=2.0, price=10.0)
        simulator.do("order-event", order_id=ids[1], event="reject", reason="no permission")
        simulator.do("order-event", order_id=ids[2], event="cancel")
        rows = simulator.orders()
        assert [(row["status"], row["filled"]) for row in rows[1:]] == [("Inactive", 0), ("Cancelled", 0)]
        assert (rows[0]["filled"], rows[0]["fills"][0]["price"]) == (2, 10.0)
        assert rows[1]["reason"] == "no permission"
