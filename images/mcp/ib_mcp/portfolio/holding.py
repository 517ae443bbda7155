"""One position, as IBKR's row tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import decimal
from ib_mcp.formats.tables import pick
from ib_mcp.market.contract import Contract, contract_month, undescribed
from ib_mcp.portfolio.ledger import Ledger

# Their market value is what they move, not what they are worth: it is no part of net liquidation.
NOTIONAL = frozenset({"FUT", "CASH", "CFD"})
DERIVATIVES = frozenset({"OPT", "FOP", "WAR", "IOPT", "FUT"})
# Value over price times quantity. Bonds are quoted in percent of par, and some shares in a hundredth of their currency.
_USUAL_MULTIPLIERS = tuple(Decimal(text) for text in ("1", "100", "10", "1000", "0.01", "5", "50", "20", "2", "0.1"))
_TRADING_CLASS = re.compile(r"\[(\S+)\s")


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a quote adds: the day's profit in the position's currency, and the price of the underlying."""

    daily_pnl: Decimal | None = None
    underlying_price: Decimal | None = None
    underlying_timing: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """Amounts in ``currency``; ``base_value`` and ``base_unrealized`` in the account's, of which ``rate`` are one.

    ``multiplier``: value over price times position, None where IBKR's figures do not say. ``expiry``: YYYYMMDD.
    ``trading_class`` where IBKR's description has it.
    """

    conid: int
    ticker: str
    kind: str
    exchange: str
    currency: str
    name: str
    description: str
    position: Decimal
    price: Decimal | None
    average_price: Decimal | None
    value: Decimal | None
    unrealized: Decimal | None
    base_value: Decimal | None
    base_unrealized: Decimal | None
    rate: Decimal | None
    multiplier: Decimal | None
    expiry: str
    right: str
    strike: Decimal | None
    underlying: int
    underlying_ticker: str
    trading_class: str
    sector: str
    model: str
    symbol: str
    quoted: Quoted = Quoted()

    @property
    def contract(self) -> Contract:
        """What is held, as far as the position tells it."""
        return Contract(
            self.conid,
            self.symbol,
            self.kind,
            self.exchange,
            self.currency,
            self.name,
            self.ticker.upper(),
            self.underlying,
            expiry=self.expiry,
            month=contract_month(self.description, self.expiry) if self.kind == "FUT" else "",
            strike=self.strike,
            right=self.right,
            multiplier=self.multiplier,
            trading_class=self.trading_class,
            text=self.description,
        )

    @property
    def is_notional(self) -> bool:
        return self.kind in NOTIONAL

    @property
    def worth(self) -> Decimal | None:
        """Its part of net liquidation, in the base currency."""
        return None if self.is_notional else self.base_value

    @property
    def base_daily(self) -> Decimal | None:
        daily = self.quoted.daily_pnl
        return None if daily is None or self.rate is None else daily * self.rate

    def days(self, today: date) -> int | None:
        """Until it expires."""
        try:
            return (date.fromisoformat(self.expiry) - today).days if self.expiry else None
        except ValueError:
            return None

    @property
    def in_the_money(self) -> bool | None:
        price, strike = self.quoted.underlying_price, self.strike
        if price is None or strike is None or not self.right:
            return None
        return price > strike if self.right == "C" else price < strike

    def called(self, contract: Contract | None) -> Holding:
        """With the name of ``contract``."""
        return self if contract is None else replace(self, symbol=contract.symbol)

    def with_quote(self, quoted: Quoted) -> Holding:
        return replace(self, quoted=quoted)


def parse(row: dict[str, Any], ledger: Ledger, base_currency: str | None) -> Holding:
    """A row of ``/portfolio/{account}/positions``. ValueError when it has no conid or no quantity."""
    conid, position = decimal(row.get("conid")), decimal(row.get("position"))
    if conid is None or position is None:
        raise ValueError("no conid or no quantity")
    currency = str(row.get("currency") or "")
    value, unrealized = decimal(row.get("mktValue")), decimal(row.get("unrealizedPnl"))
    price = decimal(row.get("mktPrice"))
    kind, description = str(row.get("assetClass") or ""), str(row.get("contractDesc") or "")
    ticker = str(pick(row, "ticker") or description.partition(" ")[0])
    trading_class = _TRADING_CLASS.search(description)
    told, rate = decimal(row.get("baseMktValue")), ledger.rate(currency, base_currency)
    if rate is None and told is not None and value:
        rate = told / value
    return Holding(
        conid=int(conid),
        ticker=ticker,
        kind=kind,
        exchange=str(row.get("listingExchange") or ""),
        currency=currency,
        name=str(pick(row, "name", "fullName") or ""),
        description=description,
        position=position,
        price=price,
        average_price=decimal(row.get("avgPrice")),
        value=value,
        unrealized=unrealized,
        base_value=_in_base(row, "baseMktValue", value, rate),
        base_unrealized=_in_base(row, "baseUnrealizedPnl", unrealized, rate),
        rate=rate,
        multiplier=_multiplier(kind, decimal(row.get("multiplier")), position, price, value),
        expiry=str(row.get("expiry") or ""),
        right=str(row.get("putOrCall") or "")[:1],
        strike=(decimal(row.get("strike")) or None) if row.get("putOrCall") else None,
        underlying=int(decimal(row.get("undConid")) or 0),
        underlying_ticker=str(pick(row, "undSym") or ticker),
        trading_class=trading_class[1] if trading_class else "",
        sector=str(row.get("sector") or ""),
        model=str(row.get("model") or ""),
        symbol=undescribed(int(conid), description).symbol,
    )


def _in_base(row: dict[str, Any], key: str, amount: Decimal | None, rate: Decimal | None) -> Decimal | None:
    told = decimal(row.get(key))
    if told is not None:
        return told
    return None if amount is None or rate is None else amount * rate


def _multiplier(
    kind: str, told: Decimal | None, position: Decimal, price: Decimal | None, value: Decimal | None
) -> Decimal | None:
    """IBKR's own where its value agrees; else the usual one that does, since a wrong one would mislead."""
    told = told or None
    if not price or not position or not value:
        return told if told or kind in DERIVATIVES else Decimal(1)
    actual = value / (price * position)
    for candidate in (told, *_USUAL_MULTIPLIERS):
        # IBKR rounds values to cents.
        if candidate and abs(candidate * price * position - value) <= max(Decimal("0.011"), abs(value) / 1000):
            return candidate
    return told if told and abs(actual / told - 1) < Decimal("0.05") else None
