"""The ledger on a real disk: what is written stays, one entry for an id, one process for a file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ib_keepalive.trading.database import NotWritten
from ib_keepalive.trading.intent import OrderIntent, read_modify, read_place
from ib_keepalive.trading.ledger import Ledger, Registered
from ib_keepalive.trading.outcome import OrderState, Outcome

NOW = 1_795_539_600.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(directory: Path, clock: Clock | None = None) -> AsyncIterator[Ledger]:
    ledger = Ledger(directory, clock or Clock())
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


def placing(name: str, **changes: Any) -> OrderIntent:
    order = {"conid": 265598, "orderType": "LMT", "side": "BUY", "quantity": 3, "price": 100.0, "tif": "DAY", **changes}
    return read_place("DU1234567", [{**order, "cOID": name}], caller="anna")


async def begin(
    ledger: Ledger, intent: OrderIntent, *, notional: float | None = 300.0, ticket: str | None = None
) -> Any:
    return await ledger.begin(intent, sign_in=1, notional=notional, ticket=ticket)


def ended(name: Any, order_id: str = "17") -> Outcome:
    return Outcome(name, "words", (OrderState("a", order_id, "Submitted"),))


async def test_what_was_sent_without_an_answer_is_unknown_after_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        entry = await begin(ledger, placing("a"), ticket="T")
        assert entry.state == "sending"
        assert not await ledger.unknown()
    async with opened(tmp_path) as ledger:
        (found,) = await ledger.unknown()
        assert (found.id, found.client_order_ids, found.ticket) == (entry.id, ("a",), "T")
        await ledger.settle(found, ended("working"), b"[]")
    async with opened(tmp_path) as ledger:
        known = await ledger.find("a")
        assert known is not None
        assert known.state == "known"
        assert known.outcome == ended("working")
        assert known.answer == b"[]"


async def test_an_id_and_a_ticket_stand_for_one_entry(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        first = await begin(ledger, placing("a"), ticket="T")
        for again in (placing("a"), placing("a", quantity=4)):
            with pytest.raises(Registered) as known:
                await begin(ledger, again)
            assert known.value.entry.id == first.id
        with pytest.raises(Registered):
            await begin(ledger, placing("b"), ticket="T")
        assert len(await ledger.newest()) == 1


async def test_what_was_not_sent_leaves_its_id_free(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.forget(await begin(ledger, placing("a"), ticket="T"))
        assert await ledger.find("a") is None
        assert await ledger.of_ticket("T") is None
        await begin(ledger, placing("a"), ticket="T")


async def test_orders_count_whatever_became_of_them_and_money_only_where_it_may_have_moved(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as ledger:
        for name, outcome in (("a", "working"), ("b", "rejected"), ("c", "outcome_unknown"), ("d", "declined")):
            await ledger.settle(await begin(ledger, placing(name)), ended(outcome))
        clock.now += 120
        await begin(ledger, placing("e"))
        change = read_modify("DU1234567", "17", dict(placing("x").orders[0]), caller="anna")
        await begin(ledger, change, notional=50.0)

        usage = await ledger.usage()
        assert (usage.orders_per_minute, usage.orders_per_day, usage.notional_per_day) == (2, 6, 950.0)
        clock.now += 86400 - 100
        assert (await ledger.usage()).orders_per_day == 2


async def test_a_second_process_finds_the_file_taken_and_takes_it_over_later(tmp_path: Path) -> None:
    first = Ledger(tmp_path, Clock())
    await first.open()
    await begin(first, placing("a"))
    async with opened(tmp_path) as second:
        assert "another process" in str(second.problem)
        with pytest.raises(NotWritten):
            await begin(second, placing("b"))
        await first.close()

        (left,) = await second.unknown()

        assert left.client_order_ids == ("a",)
        assert second.problem is None
    with pytest.raises(NotWritten):
        await first.usage()


@pytest.mark.parametrize("content", [b"no database at all" * 400, b"SQLite format 3\x00" + b"\xff" * 8000])
async def test_a_file_that_is_no_ledger_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "orders.sqlite3").write_bytes(content)
    async with opened(tmp_path) as ledger:
        assert "cannot be used" in str(ledger.problem)
        with pytest.raises(NotWritten):
            await begin(ledger, placing("a"))
    assert (tmp_path / "orders.sqlite3").read_bytes() == content


async def test_a_ledger_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "orders.sqlite3")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    async with opened(tmp_path) as ledger:
        assert "version 7" in str(ledger.problem)


async def test_a_directory_that_comes_later_is_found(tmp_path: Path) -> None:
    missing = tmp_path / "volume"
    async with opened(missing) as ledger:
        assert ledger.problem is not None
        missing.mkdir()
        await begin(ledger, placing("a"))
        assert ledger.problem is None
