"""Whose holdings are named beside a quote, and how long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ib_mcp.market.contract import Contract
from ib_mcp.portfolio import holding, ledger
from ib_mcp.portfolio.last_seen import LastSeen

pytestmark = pytest.mark.looptime

NEW_YORK = Contract(12411, "SAP", "STK", "NYSE", "USD", "SAP SE-SPONSORED ADR", "SAP")
FRANKFURT = holding.parse(
    {"conid": 14204, "ticker": "SAP", "assetClass": "STK", "currency": "EUR", "position": 25}, ledger.parse({}), "EUR"
)


def seen(sign_ins: list[int]) -> LastSeen:
    found = LastSeen(lambda: tuple(sign_ins))
    found.note("U1", [replace(FRANKFURT, symbol="SAP@IBIS")])
    return found


async def test_only_a_bare_ticker_is_taken_for_what_is_held() -> None:
    found = seen([1])
    assert found.instead(" sap", NEW_YORK, lambda account: True) == ["SAP@IBIS"]
    for text in ("SAP@NYSE", "12411", "#12411"):
        assert found.instead(text, NEW_YORK, lambda account: True) == []


async def test_accounts_of_others_are_not_told() -> None:
    assert seen([1]).instead("SAP", NEW_YORK, lambda account: account == "U2") == []


async def test_what_is_held_itself_needs_no_word() -> None:
    found = seen([1])
    found.note("U2", [replace(FRANKFURT, conid=NEW_YORK.conid, symbol="SAP")])
    assert found.instead("SAP", NEW_YORK, lambda account: True) == []
    assert found.instead("SAP", NEW_YORK, lambda account: account == "U1") == ["SAP@IBIS"]


async def test_it_ends_with_the_sign_in_and_with_the_hour() -> None:
    sign_ins = [1]
    found = seen(sign_ins)
    sign_ins[0] = 2
    assert found.instead("SAP", NEW_YORK, lambda account: True) == []
    found = seen(sign_ins)
    await asyncio.sleep(3601)
    assert found.instead("SAP", NEW_YORK, lambda account: True) == []
