"""What rows of orders and trades are about, by the contract that IBKR describes or by IBKR's own text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import pick
from ib_mcp.formats.text import untrusted
from ib_mcp.market import naming
from ib_mcp.market.contract import Contract, undescribed
from ib_mcp.portfolio import order
from ib_mcp.tools.base import Answer
from ibkr.errors import IbError

_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Described:
    """``contracts`` and units of their prices by conid; ``note`` says what could not be described, and why."""

    contracts: dict[int, Contract]
    units: dict[int, str | None]
    note: Answer

    def of(self, row: dict[str, Any]) -> Contract | None:
        """The contract of an order or trade; None for a combo and for what is not described."""
        conid = str(row.get("conid") or "")
        return self.contracts.get(int(conid)) if conid.isdecimal() else None

    def unit(self, row: dict[str, Any]) -> str | None:
        """Of its prices, where that is not the currency as such: ``GBP/100`` for pence."""
        conid = str(row.get("conid") or "")
        return self.units.get(int(conid)) if conid.isdecimal() else None

    def currency(self, row: dict[str, Any]) -> str | None:
        contract = self.of(row)
        told = contract.currency if contract else order.combo_currency(row) or pick(row, "currency", "cashCcy")
        return str(told) if told else None


def conids_of(row: dict[str, Any]) -> list[Any]:
    """Of its instrument, or of the legs of a combo."""
    return [conid for conid, _ in order.legs(row)] or ([] if order.combo_currency(row) else [row.get("conid")])


async def described(context: ToolContext, conids: Iterable[Any]) -> Described:
    """Of those conids that are numbers, by names that tell them apart."""
    asked = list(dict.fromkeys(int(conid) for conid in conids if str(conid or "").isdecimal()))
    try:
        known = await context.contracts.known(asked)
    except IbError as error:
        return Described({}, {}, {"not_described": f"Names are IBKR's own texts. {error.message}"})
    unknown = [conid for conid in asked if conid not in known]
    note = {"not_described": f"IBKR no longer describes {', '.join(map(str, unknown[:10]))}"} if unknown else {}
    distinct = {contract.conid: contract for contract in naming.distinct(known.values())}
    return Described(distinct, await context.contracts.units.of(known.values()), note)


def symbol_of(row: dict[str, Any], known: Described) -> str:
    """As the other tools take it; a combo by its legs; else IBKR's text of the row, never the underlying alone."""
    legs = order.legs(row)
    if legs:
        return " ".join(_leg(conid, ratio, known.contracts) for conid, ratio in legs)
    contract = known.of(row)
    if contract is not None:
        return contract.symbol
    text, conid = untrusted(order.own_text(row), 120), str(row.get("conid") or "")
    is_one = (
        conid.isdecimal() and not order.combo_currency(row) and str(pick(row, "secType", "sec_type") or "") != "CASH"
    )
    return undescribed(int(conid), text).symbol if is_one else text


def readable(rows: Iterable[dict[str, Any]], needed: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Those that have ``needed``, without which a row says nothing, and the others."""
    sound: list[dict[str, Any]] = []
    broken: list[dict[str, Any]] = []
    for row in rows:
        (broken if row.get(needed) in (None, "") else sound).append(row)
    return sound, broken


def unreadable(rows: Sequence[dict[str, Any]], known: Described) -> Answer:
    """The names of rows that IBKR sent without what they should tell, if there are any."""
    names = [symbol_of(row, known) or f"order {pick(row, 'orderId', 'order_id')}" for row in rows[:_MOST_NAMES]]
    return {"unreadable": names} if names else {}


def _leg(conid: int, ratio: int, known: dict[int, Contract]) -> str:
    return f"{ratio:+d}*[{known[conid].symbol if conid in known else conid}]"


async def left_out_note(context: ToolContext, account: str, what: str) -> Answer:
    """A warning where IBKR may tell ``what`` of another account: it has one selected for everybody."""
    selected = (await context.guard.call("list_brokerage_accounts", account=account)).object.get("selectedAccount")
    if selected in (None, account, "All"):
        return {}
    return {
        "complete": False,
        "note": f"IBKR tells the {what} of the account selected in this session ({selected}), which is another one.",
    }
