"""Quotes of several instruments with one question to the guard, every gap with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import plain
from ib_mcp.formats.times import iso_ms
from ib_mcp.guard.client import Guard
from ib_mcp.market.contract import Contract
from ib_mcp.market.missing import why
from ibkr import field_values
from ibkr.field_values import Timing
from ibkr.fields import BY_NUMBER, Field

_AVAILABILITY = BY_NUMBER["6509"]


@dataclass(frozen=True, slots=True)
class Quote:
    """``values`` by field name, without the missing ones; ``missing`` says why. ``notes`` qualify a value.

    ``timing``: live, delayed, frozen, ...; ``updated``: IBKR's time of the last change; ``age_ms``: of this answer.
    """

    contract: Contract
    timing: Timing
    age_ms: int
    updated: str | None
    values: dict[str, Decimal | bool | str]
    notes: dict[str, str]
    missing: dict[str, str]

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def mid(self) -> Decimal | None:
        """Between bid and ask; None without both."""
        bid, ask = self.values.get("bid"), self.values.get("ask")
        return (bid + ask) / 2 if isinstance(bid, Decimal) and isinstance(ask, Decimal) else None

    @property
    def spread(self) -> Decimal | None:
        """From bid to ask; None without both."""
        bid, ask = self.values.get("bid"), self.values.get("ask")
        return ask - bid if isinstance(bid, Decimal) and isinstance(ask, Decimal) else None

    def shown(self, name: str) -> Any:
        value = self.values.get(name)
        return plain(value) if isinstance(value, Decimal) else value


async def quotes(guard: Guard, contracts: Sequence[Contract], fields: Sequence[Field]) -> list[Quote]:
    """A quote for each contract, in this order."""
    if not contracts:
        return []
    numbers = [field.number for field in fields]
    reply = await guard.call(
        "get_price_snapshot",
        query={
            "conids": ",".join(dict.fromkeys(contract.conidex for contract in contracts)),
            "fields": ",".join(dict.fromkeys((*numbers, _AVAILABILITY.number))),
        },
    )
    rows: dict[str, dict[str, Any]] = {}
    for row in reply.rows:
        rows[str(row.get("conidEx"))] = row
        rows.setdefault(str(row.get("conid")), row)
    return [parse(contract, rows.get(contract.conidex, {}), fields, reply.age_ms) for contract in contracts]


def parse(contract: Contract, row: dict[str, Any], fields: Sequence[Field], age_ms: int) -> Quote:
    """What one row of a snapshot says."""
    letters = row.get(_AVAILABILITY.number)
    available = field_values.availability(str(letters or ""))
    values: dict[str, Decimal | bool | str] = {}
    notes: dict[str, str] = {}
    missing: dict[str, str] = {}
    for field in fields:
        found = field_values.parse(field, row.get(field.number))
        if found.value is None:
            missing[field.name] = why(field, contract.kind, available, nothing_yet=letters is None)
        else:
            values[field.name] = found.value
            if found.note:
                notes[field.name] = found.note
    return Quote(contract, available.timing, age_ms, iso_ms(row.get("_updated")), values, notes, missing)
