"""An execution of IBKR: what was paid or received for it, with and without commission."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import decimal, plain

_SIGN = {"BUY": -1, "SELL": 1}
# No money changes hands for their value.
_WITHOUT_PAYMENT = frozenset({"FUT", "CFD"})
# IBKR charges in the currency of the trade; for pairs of currencies it is the account's, and IBKR does not say which.
_COMMISSION_UNKNOWN = frozenset({"CASH"})


@dataclass(frozen=True, slots=True)
class Money:
    """``proceeds``: received, negative where paid, without commission; ``net_cash``: with it. ``commission``: a cost.

    ``commission_currency`` is None where it is not known to be the trade's. ``net_cash`` is None where proceeds are
    no payment (futures) or commission is in another currency.
    """

    proceeds: Decimal | None
    commission: Decimal | None
    commission_currency: str | None
    net_cash: Decimal | None


def money(row: dict[str, Any], side: str, kind: str, currency: str | None) -> Money:
    amount, commission = decimal(row.get("net_amount")), decimal(row.get("commission"))
    sign = _SIGN.get(side)
    proceeds = None if amount is None or sign is None else abs(amount) * sign
    known = None if kind in _COMMISSION_UNKNOWN else currency
    payment = proceeds is not None and kind not in _WITHOUT_PAYMENT and known is not None
    net = proceeds - (commission or Decimal(0)) if payment and proceeds is not None else None
    return Money(proceeds, commission, known if commission is not None else None, net)


def totals(rows: Iterable[tuple[str | None, str, Money]]) -> list[list[Any]]:
    """By currency (and kind of a trade that pays nothing): bought, sold, commission. Rows of ``TOTALS``."""
    found: dict[str | None, list[Decimal]] = {}
    counts: dict[str | None, int] = {}
    for currency, kind, one in rows:
        sums = found.setdefault(currency, [Decimal(0)] * 3)
        counts[currency] = counts.get(currency, 0) + 1
        if one.proceeds is not None and kind not in _WITHOUT_PAYMENT:
            sums[0 if one.proceeds < 0 else 1] += one.proceeds
        if one.commission_currency is not None:
            sums[2] += one.commission or Decimal(0)
        elif one.commission:
            found.setdefault(None, [Decimal(0)] * 3)[2] += one.commission
    return [
        [currency or "unknown", counts.get(currency, 0), *map(plain, found[currency])]
        for currency in sorted(found, key=lambda name: (name is None, name or ""))
    ]


TOTALS = ("currency", "trades", "bought", "sold", "commission")
