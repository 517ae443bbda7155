"""Balances by currency whose columns add up to net liquidation."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import decimal

_BASE = "BASE"
# Our name and IBKR's keys (all are added). In this order they are the parts of net liquidation.
_PARTS = {
    "cash": ("cashbalance",),
    "stocks": ("stockmarketvalue",),
    "options": ("stockoptionmarketvalue",),
    "future_options": ("futureoptionmarketvalue",),
    "bonds": ("corporatebondsmarketvalue",),
    "treasury_bonds": ("tbondsmarketvalue",),
    "treasury_bills": ("tbillsmarketvalue",),
    "funds": ("funds",),
    "money_funds": ("moneyfunds",),
    "commodities": ("commoditymarketvalue",),
    "warrants": ("warrantsmarketvalue", "issueroptionsmarketvalue"),
    "crypto": ("cryptocurrencyvalue",),
    "accrued_interest": ("interest",),
    "accrued_dividends": ("dividends",),
}
_PART_BY_KEY = {key: part for part, keys in _PARTS.items() for key in keys}
OTHER, TOTAL = "other", "net_liquidation"
# Not parts: told beside the sum.
_BESIDE = {
    "settled_cash": "settledcash",
    "futures_pnl": "futuresonlypnl",
    "unrealized_pnl": "unrealizedpnl",
    "realized_today": "realizedpnl",
    "exchange_rate": "exchangerate",
}
PARTS = (*_PARTS, OTHER)
BESIDE = tuple(_BESIDE)


@dataclass(frozen=True, slots=True)
class Balance:
    """Amounts in ``currency``. ``parts`` add up to ``total``; ``beside`` are no parts of it.

    ``exchange_rate`` in ``beside``: units of the base currency for one of ``currency``.
    """

    currency: str
    parts: dict[str, Decimal]
    total: Decimal | None
    beside: dict[str, Decimal]
    timestamp: Decimal | None

    @property
    def rate(self) -> Decimal | None:
        return self.beside.get("exchange_rate")

    @property
    def in_base(self) -> Decimal | None:
        return None if self.total is None or self.rate is None else self.total * self.rate


@dataclass(frozen=True, slots=True)
class Ledger:
    """``base``: everything in the account's base currency; ``currencies``: each one by itself."""

    base: Balance | None
    currencies: list[Balance]

    @property
    def net_liquidation(self) -> Decimal | None:
        return self.base.total if self.base else None

    def rate(self, currency: str, base_currency: str | None) -> Decimal | None:
        """Units of the base currency for one of ``currency``."""
        if currency == base_currency:
            return Decimal(1)
        return next((row.rate for row in self.currencies if row.currency == currency), None)


def parse(body: dict[str, Any]) -> Ledger:
    """A body of ``/portfolio/{account}/ledger``."""
    rows = {name: _balance(name, row) for name, row in body.items() if isinstance(row, dict)}
    base = rows.pop(_BASE, None)
    return Ledger(base, [rows[name] for name in sorted(rows)])


def _balance(name: str, row: dict[str, Any]) -> Balance:
    parts: dict[str, Decimal] = {}
    for key, part in _PART_BY_KEY.items():
        amount = decimal(row.get(key))
        if amount is not None:
            parts[part] = parts[part] + amount if part in parts else amount
    total = decimal(row.get("netliquidationvalue"))
    if total is not None:
        parts[OTHER] = total - sum(parts.values(), Decimal(0))
    beside = {ours: known for ours, key in _BESIDE.items() if (known := decimal(row.get(key))) is not None}
    return Balance(name, parts, total, beside, decimal(row.get("timestamp")))
