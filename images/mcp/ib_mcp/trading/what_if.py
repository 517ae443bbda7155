"""What IBKR says an order would do, as its what-if answers it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import plain
from ib_mcp.formats.text import untrusted
from ibkr.field_values import number

# "1,977.60 USD (10 Shares)": what comes after is said elsewhere.
_MONEY = re.compile(r"(?P<number>[-+]?[0-9.,]+(?:[eE][-+]?[0-9]+)?) *(?P<currency>[A-Z]{3})?(?: *\(.*\))?")
_CODE = re.compile(r"^[0-9]{1,6}/")
_MARGINS = {"initial": "initial", "maintenance": "maintenance", "equity": "equity"}


@dataclass(frozen=True, slots=True)
class Change:
    """Before, by how much, and after; None where IBKR tells none."""

    before: Decimal | None
    change: Decimal | None
    after: Decimal | None

    def shown(self) -> dict[str, Any]:
        return {
            name: plain(value)
            for name, value in (("before", self.before), ("change", self.change), ("after", self.after))
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class WhatIf:
    """``cost``: IBKR's amount, commission and total, as numbers with a currency or in its words. ``refusal``: why it
    would not take the order; ``warnings`` are its texts, one a line."""

    cost: dict[str, Any]
    margin: dict[str, Change]
    position: Change | None
    warnings: tuple[str, ...]
    refusal: str


def parse(body: dict[str, Any]) -> WhatIf:
    told = body.get("amount")
    amounts = told if isinstance(told, dict) else {}
    cost = {name: _money(amounts.get(name)) for name in ("amount", "commission", "total")}
    margin = {name: found for name, key in _MARGINS.items() if (found := _change(body.get(key))) is not None}
    warned = str(body.get("warn") or "").splitlines()
    return WhatIf(
        cost={name: value for name, value in cost.items() if value is not None},
        margin=margin,
        position=_change(body.get("position")),
        warnings=tuple(untrusted(_CODE.sub("", line.strip()), 300) for line in warned if line.strip()),
        refusal=untrusted(body.get("error"), 400),
    )


def _money(text: Any) -> Any:
    """``1977.6 USD`` of ``1,977.60 USD (10 Shares)``; what is no single number stays in IBKR's words."""
    found = _MONEY.fullmatch(str(text or "").strip())
    value = number(found["number"]) if found else None
    if found is None or value is None:
        return untrusted(text, 80) or None
    return {"amount": plain(value), "currency": found["currency"]} if found["currency"] else plain(value)


def _change(body: Any) -> Change | None:
    if not isinstance(body, dict):
        return None
    found = Change(*(_figure(body.get(name)) for name in ("current", "change", "after")))
    return None if found == Change(None, None, None) else found


def _figure(text: Any) -> Decimal | None:
    found = _MONEY.fullmatch(str(text if text is not None else "").strip())
    return number(found["number"]) if found else None
