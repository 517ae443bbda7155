"""Bookings of one instrument in an account (trades, dividends, ...) and the profit realized by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import decimal, plain
from ib_mcp.formats.times import iso_date

TOTALS = ("type", "currency", "count", "quantity", "amount")
# "Mon Dec 11 00:00:00 EST 2023": the zone is left out, since it is that of the date.
_SPELLED = "%a %b %d %H:%M:%S %Y"


@dataclass(frozen=True, slots=True)
class Realized:
    """``amount`` in the currency that IBKR was asked for; ``of``: ``asked`` days, or the ``whole`` of IBKR's answer."""

    amount: Decimal
    of: str


def date_of(row: dict[str, Any]) -> str | None:
    """ISO date of a booking; IBKR gives a number, or words."""
    if row.get("rawDate"):
        return iso_date(row["rawDate"])
    words = str(row.get("date") or "").split()
    if len(words) == 6:
        try:
            return datetime.strptime(" ".join([*words[:4], words[5]]), _SPELLED).date().isoformat()
        except ValueError:
            return " ".join(words)
    return iso_date(row.get("date"))


def since(rows: Iterable[dict[str, Any]], first: str) -> list[dict[str, Any]]:
    """Those of the day ``first`` (ISO) and later; those without a readable date are kept."""
    return [row for row in rows if (day := date_of(row)) is None or not day[:1].isdigit() or day >= first]


def of_types(rows: Iterable[dict[str, Any]], types: Sequence[str]) -> list[dict[str, Any]]:
    """Whose type has one of the words: ``dividend`` fits ``Dividend Payment``."""
    wanted = [name.strip().casefold().removesuffix("s") for name in types if name.strip()]
    return [row for row in rows if any(word in str(row.get("type") or "").casefold() for word in wanted)]


def totals(rows: Iterable[dict[str, Any]]) -> list[list[Any]]:
    """Rows of ``TOTALS`` by type and currency."""
    found: dict[tuple[str, str], list[Decimal]] = {}
    for row in rows:
        sums = found.setdefault((str(row.get("type") or "?"), str(row.get("cur") or "?")), [Decimal(0)] * 3)
        for place, amount in enumerate((Decimal(1), decimal(row.get("qty")), decimal(row.get("amt")))):
            sums[place] += amount or 0
    # IBKR's own figures are floats, whose last digits would add up to noise.
    return [
        [kind, currency, *(plain(round(amount, 8)) for amount in sums)]
        for (kind, currency), sums in sorted(found.items())
    ]


def realized(body: dict[str, Any], first: str) -> Realized | None:
    """Since the day ``first``, where the rules by which IBKR's own sum comes about are certain; else IBKR's sum."""
    profit = body.get("rpnl")
    whole = decimal(profit.get("amt")) if isinstance(profit, dict) else None
    if whole is None or not isinstance(profit, dict):
        return None
    rows = objects(profit.get("data"))
    for rule in _RULES:
        amounts = [(iso_date(row.get("date")) or "", rule(row)) for row in rows]
        if abs(sum((amount for _, amount in amounts), Decimal(0)) - whole) <= Decimal("0.01"):
            return Realized(sum((amount for day, amount in amounts if day >= first), Decimal(0)), "asked")
    return Realized(whole, "whole")


def _amount(row: dict[str, Any]) -> Decimal:
    return decimal(row.get("amt")) or Decimal(0)


def _rate(row: dict[str, Any]) -> Decimal:
    return decimal(row.get("fxRate")) or Decimal(1)


def _sign(row: dict[str, Any]) -> int:
    return -1 if row.get("side") == "L" else 1


# Whether IBKR signs the amounts of its rows, and whether they are in the currency asked for, is told nowhere: the sum
# that it sends beside them decides.
_RULES: tuple[Callable[[dict[str, Any]], Decimal], ...] = (
    lambda row: _amount(row) * _rate(row),
    _amount,
    lambda row: _amount(row) * _rate(row) * _sign(row),
    lambda row: _amount(row) * _sign(row),
)
