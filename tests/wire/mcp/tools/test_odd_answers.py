"""Answers as IBKR was seen to give them, and what agents are told of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ib_simulator.control.actions import arguments_of
from ib_simulator.faults.faults import FaultSpec
from support.agent import Agent, agent

pytestmark = pytest.mark.looptime

CLOSES = {"symbol": "IBM", "period": "1w", "bar": "1d"}


def odd(a: Agent, kind: Any, endpoint: str = "*", **more: Any) -> None:
    a.simulator.faults.add(FaultSpec(kind=kind, endpoint=endpoint, **more))


def conids(told: Any) -> list[Any]:
    """Every conid of an answer's tables and objects."""
    found: list[Any] = []
    if isinstance(told, dict):
        found += [value for name, value in told.items() if name == "conid"]
        if "rows" in told and "columns" in told and "conid" in told["columns"]:
            found += [row[told["columns"].index("conid")] for row in told["rows"]]
        found += [conid for value in told.values() for conid in conids(value)]
    return found


@pytest.mark.parametrize("size", [20, 30])
@pytest.mark.parametrize("repeats", [False, True])
async def test_positions_in_pages_of_any_size_are_read_to_their_end(size: int, repeats: bool) -> None:
    async with agent() as a:
        whole = (await a.read("get_account_positions")).body["totals"]["positions"]
        a.simulator.perform("paging", arguments_of("paging", {"size": size, "repeat": repeats}))
        await asyncio.sleep(60)
        assert (await a.read("get_account_positions")).body["totals"]["positions"] == whole


async def test_a_snapshot_that_wants_the_accounts_first_again_is_answered_all_the_same() -> None:
    async with agent() as a:
        await a.read("get_price_snapshot", symbols=["AAPL"])
        odd(a, "accounts_first", "get_price_snapshot", count=1)
        (row,) = (await a.read("get_price_snapshot", symbols=["IBM"])).rows("prices")
        assert row["last"]


@pytest.mark.parametrize("kind", ["nan", "infinity"])
async def test_a_figure_that_is_none_is_null_and_the_rest_is_kept(kind: str) -> None:
    async with agent() as a:
        odd(a, kind, "get_price_history", field="h")
        rows = (await a.read("get_price_history", **CLOSES)).rows("bars")
        assert len(rows) > 2
        assert all(row["high"] is None and row["close"] > 0 for row in rows)


@pytest.mark.parametrize("kind", ["not_utf8", "lone_surrogate"])
async def test_a_broken_character_is_replaced(kind: str) -> None:
    async with agent() as a:
        odd(a, kind, field="name")
        assert (await a.read("get_contract_details", symbol="KO")).body["name"].endswith("\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_what_is_packed_without_being_asked_for_is_unpacked(kind: str) -> None:
    async with agent() as a:
        odd(a, kind)
        assert (await a.read("get_account_positions")).rows("positions")


async def test_a_trade_without_its_milliseconds_has_its_time() -> None:
    async with agent() as a:
        odd(a, "no_trade_time")
        rows = (await a.read("get_account_trades", days=7)).rows("trades")
        assert rows
        assert all(row["time"].endswith("Z") for row in rows)


async def test_a_volume_of_less_than_nothing_is_unknown() -> None:
    async with agent() as a:
        odd(a, "negative_volume")
        rows = (await a.read("get_price_history", **CLOSES)).rows("bars")
        assert [row["volume"] for row in rows] == [None] * len(rows)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_account_positions", {}),
        ("get_account_trades", {"days": 7}),
        ("get_account_orders", {"status": "all"}),
        ("get_price_snapshot", {"symbols": ["AAPL", "IBM"]}),
        ("search_contracts", {"query": "AAPL"}),
        ("get_contract_details", {"symbol": "KO"}),
        ("run_scanner", {}),
    ],
)
async def test_conids_that_come_as_text_are_told_as_numbers(tool: str, arguments: dict[str, Any]) -> None:
    async with agent() as a:
        odd(a, "text_conids")
        told = conids((await a.read(tool, **arguments)).body)
        assert told
        assert {type(conid) for conid in told} <= {int, type(None)}


async def test_an_empty_ledger_is_an_empty_table_and_a_note() -> None:
    async with agent() as a:
        odd(a, "empty", "get_ledger")
        answer = await a.read("get_account_balances")
        assert answer.rows("balances") == []
        assert answer.body["note"]


async def test_a_bad_row_among_positions_spoils_no_other_and_is_named() -> None:
    async with agent() as a:
        whole = (await a.read("get_account_positions")).body["totals"]["positions"]
        await asyncio.sleep(60)
        odd(a, "bad_row", "list_positions")
        told = (await a.read("get_account_positions")).body
        assert told["unreadable"]
        assert told["totals"]["positions"] == whole - len(told["unreadable"])


@pytest.mark.parametrize(
    ("tool", "endpoint", "arguments", "table"),
    [
        ("get_account_trades", "list_trades", {"days": 7}, "trades"),
        ("get_account_orders", "list_live_orders", {"status": "all"}, "orders"),
        ("get_price_history", "get_price_history", CLOSES, "bars"),
    ],
)
async def test_a_bad_row_of_a_list_spoils_no_other_and_is_named(
    tool: str, endpoint: str, arguments: dict[str, Any], table: str
) -> None:
    async with agent() as a:
        sound = await a.read(tool, **arguments)
        assert "unreadable" not in sound.body
        await asyncio.sleep(3600)
        odd(a, "bad_row", endpoint)
        told = await a.read(tool, **arguments)
        (name,) = told.body["unreadable"]
        assert name
        assert len(told.rows(table)) == len(sound.rows(table)) - 1
