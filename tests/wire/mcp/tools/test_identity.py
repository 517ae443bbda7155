"""What an answer calls an instrument leads back to it, in the account in which most things can be mistaken."""

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


async def named_in_answers(a: Agent) -> AsyncIterator[tuple[str, str, int]]:
    """What the answers call instruments, and their conids; combos are checked by their legs below."""
    for tool, (table, arguments) in TABLES.items():
        for row in (await a.read(tool, account=ACCOUNT, **arguments)).rows(table):
            if row.get("conid") and row.get("class") != "BAG":
                yield tool, str(row["symbol"]), int(row["conid"])


async def conid_of(a: Agent, symbol: str) -> int | dict[str, Any]:
    answer = await a.call("get_contract_details", symbol=symbol)
    return answer.error if answer.is_error else int(answer.body["conid"])


async def test_every_name_leads_back_or_is_asked_about_with_choices_that_do() -> None:
    async with agent("odd") as a:
        wrong: list[Any] = []
        seen: set[str] = set()
        async for tool, symbol, conid in named_in_answers(a):
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
        rows = [row for row in positions.rows("positions") if row["class"] in ("STK", "CFD", "BOND", "FUT", "OPT")]
        for row in rows[::4]:
            (quote,) = (await a.read("get_price_snapshot", symbols=[row["symbol"]], fields=["last"])).rows("prices")
            assert quote["conid"] == row["conid"], row["symbol"]
            held = await a.read("get_account_positions", account=ACCOUNT, symbol=row["symbol"])
            assert row["conid"] in [each["conid"] for each in held.rows("positions")], row["symbol"]
            history = await a.call("get_price_history", symbol=row["symbol"], period="1d", bar="1h")
            assert history.is_error or history.body["conid"] == row["conid"], row["symbol"]
