"""An order whose answer was lost is looked up until it is known, and never sent again."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.guard import asked, error_of
from support.keepalive import eventually
from support.simulated import simulated
from support.simulator import PAPER
from support.trading import Traded, order, traded

pytestmark = pytest.mark.looptime

PLACED = [
    FaultSpec(kind="reset", endpoint="place_orders", count=1, processed=True),
    FaultSpec(kind="cut", endpoint="place_orders", count=1, processed=True),
    FaultSpec(kind="wrong_json", endpoint="place_orders", count=1, processed=True),
    FaultSpec(kind="answer", endpoint="place_orders", count=1, status=503, processed=True, body={"error": "late"}),
]
NOT_PLACED = [
    FaultSpec(kind="reset", endpoint="place_orders", count=1),
    FaultSpec(kind="hang", endpoint="place_orders", count=1),
    FaultSpec(kind="answer", endpoint="place_orders", count=1, status=500, body={"error": "unknown"}),
]


async def row_of(t: Traded, name: str) -> dict[str, Any]:
    response = await t.client.get(f"/trading/orders?client_order_id={name}")
    (row,) = response.json()["orders"]
    found: dict[str, Any] = row
    return found


async def known(t: Traded, name: str) -> dict[str, Any]:
    """The ledger's row once its outcome is known."""
    async with asyncio.timeout(600):
        while (row := await row_of(t, name))["state"] != "known":  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(1)
    return row


# A price that raises no question, so that one request is all there is.
QUIET = order(price=285.0)


@pytest.mark.parametrize("fault", PLACED, ids=lambda fault: f"{fault.kind}")
async def test_an_order_that_arrived_is_found_by_its_client_order_id(tmp_path: Path, fault: FaultSpec) -> None:
    async with traded(simulated(fault), tmp_path) as t:
        await t.watch()
        ticket = await t.ticket({**QUIET, "cOID": "mine-1"})
        first = (await t.submit(ticket)).json()
        assert first["outcome"] == "outcome_unknown"

        row = await known(t, "mine-1")

        (placed,) = t.placed("mine-1")
        assert row["outcome"]["outcome"] in ("working", "filled")
        assert row["outcome"]["orders"][0]["order_id"] == str(placed.id)
        again = (await t.submit(ticket)).json()
        assert again["repeated"]
        assert again["orders"][0]["order_id"] == str(placed.id)
        assert asked(t.broker, "place_orders") == 1


@pytest.mark.parametrize("fault", NOT_PLACED, ids=lambda fault: f"{fault.kind}")
async def test_an_order_that_never_arrived_is_known_not_to_stand(tmp_path: Path, fault: FaultSpec) -> None:
    async with traded(simulated(fault), tmp_path) as t:
        await t.watch()
        ticket = await t.ticket({**QUIET, "cOID": "mine-1"})
        assert (await t.submit(ticket)).json()["outcome"] == "outcome_unknown"

        row = await known(t, "mine-1")

        assert row["outcome"]["outcome"] == "not_placed"
        assert row["settled_at"] - row["sent_at"] > 75
        assert (await t.submit(ticket)).json() == {"mode": "unknown", **row["outcome"], "repeated": True}
        assert not t.placed()


async def test_a_reply_whose_answer_was_lost_is_looked_up_too(tmp_path: Path) -> None:
    lost = FaultSpec(kind="reset", endpoint="answer_order_question", count=1, processed=True)
    async with traded(simulated(lost), tmp_path) as t:
        await t.watch()
        ticket = await t.ticket(order(price=100.0, cOID="mine-1"))
        assert (await t.submit(ticket)).json()["outcome"] == "outcome_unknown"
        row = await known(t, "mine-1")
        assert row["outcome"]["orders"][0]["order_id"] == str(t.placed("mine-1")[0].id)
        assert asked(t.broker, "answer_order_question") == 1


async def test_an_order_alike_waits_until_the_one_before_is_known(tmp_path: Path) -> None:
    async with traded(simulated(NOT_PLACED[0]), tmp_path) as t:
        await t.submit(await t.ticket({**QUIET, "cOID": "mine-1"}))

        refused = (await t.preview(QUIET))["refused"]
        assert "mine-1" in refused[0]
        assert not (await t.preview({**QUIET, "side": "SELL", "price": 290.0}))["refused"]

        await known(t, "mine-1")
        assert not (await t.preview(QUIET))["refused"]


async def test_what_was_on_its_way_at_a_crash_is_looked_up_after_it(tmp_path: Path) -> None:
    broker = simulated(FaultSpec(kind="hang", endpoint="place_orders", count=1, processed=True))
    async with traded(broker, tmp_path) as t:
        await t.watch()
        ticket = await t.ticket({**QUIET, "cOID": "mine-1"})
        sending = asyncio.create_task(t.submit(ticket))
        await eventually(lambda: bool(asked(broker, "place_orders")))
    await asyncio.gather(sending, return_exceptions=True)

    async with traded(broker, tmp_path) as t:
        first = (await t.submit(ticket)).json()
        assert (first["outcome"], first["repeated"]) == ("outcome_unknown", True)
        row = await known(t, "mine-1")
        assert row["outcome"]["orders"][0]["order_id"] == str(t.placed("mine-1")[0].id)
        assert asked(broker, "place_orders") == 1


async def test_a_caller_that_leaves_after_it_was_sent_finds_the_outcome(tmp_path: Path) -> None:
    async with traded(simulated(FaultSpec(kind="latency", endpoint="place_orders", seconds=5)), tmp_path) as t:
        await t.watch()
        ticket = await t.ticket({**QUIET, "cOID": "mine-1"})
        first = await t.submit(ticket, **{"ib-deadline-ms": "2000"})
        assert first.json()["outcome"] == "outcome_unknown"
        second = (await t.submit(ticket)).json()
        assert second["outcome"] == "working"
        assert second["repeated"]
        assert len(t.placed()) == 1


async def test_the_same_client_order_id_stands_for_one_order(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        path = f"/v1/api/iserver/account/{PAPER}/orders"
        first = await t.client.post(path, json={"orders": [{**QUIET, "cOID": "mine-1"}]})
        again = await t.client.post(path, json={"orders": [{**QUIET, "cOID": "mine-1"}]})
        other = await t.client.post(path, json={"orders": [{**QUIET, "cOID": "mine-1", "quantity": 6}]})

        assert first.json() == again.json()
        assert again.headers["ib-repeated"] == "true"
        assert other.status_code == 403
        assert "another order" in error_of(other)["message"]
        assert len(t.placed()) == 1


@pytest.mark.parametrize("state", ["corrupt", "missing", "newer", "readonly"])
async def test_without_a_ledger_nothing_is_traded(tmp_path: Path, state: str) -> None:
    file = tmp_path / "orders.sqlite3"
    if state == "corrupt":
        file.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    elif state == "newer":
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    async with traded(simulated(), tmp_path) as t:
        if state in ("missing", "readonly"):
            t.trading.ledger._database._connection.close()  # type: ignore[union-attr]
        response = await t.client.post("/trading/tickets", json={"kind": "place", "account": PAPER, "orders": [QUIET]})
        assert response.status_code == 403 or response.json()["ticket"] is None
        status = (await t.client.get("/trading/status")).json()
        assert status["effective_mode"] == "off"
        assert "ledger" in status["problem"]
        assert not asked(t.broker, "place_orders")


async def test_an_outcome_that_could_not_be_written_down_is_true_and_written_later(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        await t.watch()
        database = t.trading.ledger._database
        kept = database._connection

        def fill_the_disk(*_: object) -> None:
            database._connection = sqlite3.connect(":memory:")

        t.broker.faults.add(FaultSpec(kind="latency", endpoint="place_orders", seconds=2))
        sending = asyncio.create_task(t.raw("POST", "orders", json={"orders": [{**QUIET, "cOID": "mine-1"}]}))
        await eventually(lambda: bool(asked(t.broker, "place_orders")))
        fill_the_disk()
        assert (await sending).json()[0]["order_id"] == str(t.placed("mine-1")[0].id)
        assert (await t.client.get("/trading/status")).json()["effective_mode"] == "off"

        database._connection = kept
        row = await known(t, "mine-1")
        assert row["outcome"]["outcome"] in ("working", "filled")
        assert (await t.client.get("/trading/status")).json()["effective_mode"] == "paper"
