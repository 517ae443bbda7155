"""What an answer calls an instrument leads back to it, in the account in which most things can be mistaken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.agent import Agent, agent

pytestmark = pytest.mark.looptime

ACCOUNT = "U7430001"
TABLES = {
    "get_account_positions": ("positions", {"limit": 1000}),
    "get_account_orders": ("orders", {"status": "all", "limit": 1000}),
    "get_account_trades": ("trades", {"days": 7, "limit": 1000}),
}


async def named_in_answers(a: Agent) -> AsyncIterator[tuple[str, str, int]]:
    for tool, (table, arguments) in TABLES.items():
        for row in (await a.read(tool, account=ACCOUNT, **arguments)).rows(table):
            if row.get("conid"):
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
            rows = meant.get("choices", {}).get("rows", [])
            if conid not in [row[1] for row in rows]:
                wrong.append((tool, symbol, conid, meant))
            for choice in rows:
                led = await conid_of(a, choice[0])
                if led != choice[1]:
                    wrong.append((tool, symbol, choice, led))
        assert not wrong, "\n".join(map(str, wrong))
        assert len(seen) > 40
