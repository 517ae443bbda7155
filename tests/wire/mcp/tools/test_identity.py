"""What an answer calls an instrument leads back to it, in every simulated account and every tool."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ib_simulator.app import Simulator
from support.agent import Agent, agent

pytestmark = pytest.mark.looptime

ACCOUNT = "U7430001"
TABLES = {
    "get_account_positions": ("positions", {"limit": 1000}),
    "get_account_orders": ("orders", {"status": "all", "limit": 1000}),
    "get_account_trades": ("trades", {"days": 7, "limit": 1000}),
}


async def named_in_answers(a: Agent, account: str = ACCOUNT) -> AsyncIterator[tuple[str, str, int]]:
    """What the answers call instruments, and their conids; combos are checked by their legs below."""
    for tool, (table, arguments) in TABLES.items():
        for row in (await a.read(tool, account=account, **arguments)).rows(table):
            if row.get("conid") and row.get("class") != "BAG":
                yield tool, str(row["symbol"]), int(row["conid"])


async def conid_of(a: Agent, symbol: str) -> int | dict[str, Any]:
    answer = await a.call("get_contract_details", symbol=symbol)
    return answer.error if answer.is_error else int(answer.body["conid"])


async def accounts_of(a: Agent) -> list[str]:
    return [row["account"] for row in (await a.read("list_accounts")).rows("accounts")]


@pytest.mark.parametrize("user", ["odd", "paper", "live"])
async def test_every_name_leads_back_or_is_asked_about_with_choices_that_do(user: str) -> None:
    async with agent(user) as a:
        wrong: list[Any] = []
        seen: set[str] = set()
        named = [found for account in await accounts_of(a) async for found in named_in_answers(a, account)]
        for tool, symbol, conid in named:
            if symbol in seen:
                continue
            seen.add(symbol)
            meant = await conid_of(a, symbol)
            if isinstance(meant, int):
                if meant != conid:
                    wrong.append((tool, symbol, conid, meant))
                continue
            if f"#{conid}" in symbol:
                # It has expired, which IBKR's answer says; the name still says which one it was.
                assert f"{conid}; it may have expired" in meant["message"]
                continue
            rows = meant.get("choices", {}).get("rows", [])
            if conid not in [row[1] for row in rows]:
                wrong.append((tool, symbol, conid, meant))
            for choice in rows:
                led = await conid_of(a, choice[0])
                if led != choice[1]:
                    wrong.append((tool, symbol, choice, led))
        assert not wrong, "\n".join(map(str, wrong))
        assert len(seen) > 40


async def test_within_an_answer_a_name_stands_for_one_instrument() -> None:
    def on_friday_night(simulator: Simulator) -> None:
        # Then three sizes of the DAX future are among the trades.
        simulator.clock.advance(302_400)
        simulator.sign_in("odd")

    async with agent("odd", prepare=on_friday_night) as a:
        named: dict[tuple[str, str], set[int]] = {}
        async for tool, symbol, conid in named_in_answers(a):
            named.setdefault((tool, symbol), set()).add(conid)
        assert [key for key, conids in named.items() if len(conids) > 1] == []


async def test_the_legs_of_a_combo_lead_to_their_instruments() -> None:
    async with agent("odd") as a:
        rows = (await a.read("get_account_orders", account=ACCOUNT, status="all", limit=1000)).rows("orders")
        combos = [row["symbol"] for row in rows if row["class"] == "BAG"]
        assert combos
        for leg in re.findall(r"\[([^\]]+)\]", " ".join(combos)):
            assert isinstance(await conid_of(a, leg), int)


async def test_a_name_means_the_same_instrument_in_every_tool() -> None:
    async with agent("odd") as a:
        positions = await a.read("get_account_positions", account=ACCOUNT, limit=1000)
        rows = positions.rows("positions")
        assert len(rows) > 40
        for row in rows:
            asked = await a.call("get_price_snapshot", symbols=[row["symbol"]], fields=["last"])
            if asked.is_error:
                assert row["conid"] in [choice[1] for choice in asked.error["choices"]["rows"]], row["symbol"]
            else:
                (quote,) = asked.rows("prices")
                assert quote["conid"] == row["conid"], row["symbol"]
            held = await a.read("get_account_positions", account=ACCOUNT, symbol=row["symbol"])
            assert row["conid"] in [each["conid"] for each in held.rows("positions")], row["symbol"]
            history = await a.call("get_price_history", symbol=row["symbol"], period="1d", bar="1h")
            assert history.is_error or history.body["conid"] == row["conid"], row["symbol"]


@pytest.mark.parametrize("tool", ["get_account_orders", "get_account_trades"])
async def test_a_name_asked_of_orders_and_trades_finds_its_own_rows(tool: str) -> None:
    table, arguments = TABLES[tool]
    async with agent("odd") as a:
        for row in (await a.read(tool, account=ACCOUNT, **arguments)).rows(table):
            if row["class"] != "BAG":
                found = (await a.read(tool, account=ACCOUNT, symbol=row["symbol"], **arguments)).rows(table)
                assert row["conid"] in [each["conid"] for each in found], row["symbol"]


async def test_a_held_name_asked_of_chains_and_transactions_means_the_held_one() -> None:
    async with agent("odd") as a:
        rows = (await a.read("get_account_positions", account=ACCOUNT, limit=1000)).rows("positions")
        for row in rows:
            chain = await a.call("get_option_chain", symbol=row["symbol"])
            if not chain.is_error and row["class"] == "STK":
                assert chain.body["conid"] == row["conid"], row["symbol"]
        for row in rows[:3]:
            answer = await a.call("get_account_transactions", account=ACCOUNT, symbol=row["symbol"])
            assert answer.is_error or answer.body["conid"] == row["conid"], row["symbol"]
