"""What a text may name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from ib_mcp.formats.numbers import plain

CURRENCIES = frozenset(
    re.findall(
        r"\S+",
        """
        AED AUD BGN CAD CHF CNH CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MXN MYR NOK NZD PLN RON RUB SAR SEK
        SGD THB TRY TWD USD ZAR
        """,
    )
)


@dataclass(frozen=True, slots=True)
class Conid:
    conid: int
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A conid or the ticker of a place where tickers are numbers."""

    digits: str
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """A plain symbol; turns out to be an index or something else where no stock has it."""

    symbol: str
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    symbol: str


@dataclass(frozen=True, slots=True)
class Future:
    """``expiry``: YYYYMM (the contract month) or YYYYMMDD, ``20?612`` without the decade, empty for the next one."""

    symbol: str
    expiry: str
    exchange: str | None = None
    trading_class: str = ""
    multiplier: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """``expiry`` is YYYYMM or YYYYMMDD, ``right`` C or P; ``on_future`` where it can only be one on a future."""

    symbol: str
    expiry: str
    right: str
    strike: Decimal
    exchange: str | None = None
    trading_class: str = ""
    multiplier: Decimal | None = None
    on_future: bool = False

    def __str__(self) -> str:
        return f"{self.symbol} {self.expiry} {self.right} {plain(self.strike)}"


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of currencies, or a coin in a currency (an empty ``quote``: in any)."""

    base: str
    quote: str
    exchange: str | None = None

    @property
    def is_coin(self) -> bool:
        return self.base not in CURRENCIES


@dataclass(frozen=True, slots=True)
class Bond:
    """``maturity`` is YYYYMMDD."""

    symbol: str
    coupon: Decimal
    maturity: str


@dataclass(frozen=True, slots=True)
class Cfd:
    symbol: str
    exchange: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Identifier:
    """An ISIN or a CUSIP."""

    code: str


@dataclass(frozen=True, slots=True)
class Words:
    """Perhaps the name of a company."""

    text: str


Wanted = Conid | Number | Stock | Index | Future | Option | Pair | Bond | Cfd | Identifier | Words
