"""How an agent names an instrument, read without asking anybody.

``AAPL``, ``AAPL@NASDAQ``: a stock or index, perhaps of one exchange; ``ES 202612`` or ``ES 20261218``: a future;
``AAPL 20261218 C 200``: an option; ``EUR.USD``: a currency pair; ``265598`` or ``265598@SMART``: a conid.
Expiries may have dashes, as answers write them; pairs may be written EUR/USD and EURUSD, as elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from ib_mcp.formats.numbers import plain
from ibkr.errors import InvalidRequest

EXAMPLES = "AAPL, AAPL@NASDAQ, ES 202612, EUR.USD, AAPL 20261218 C 200 or a conid"

_CURRENCIES = frozenset(
    re.findall(
        r"\w{3}",
        """
        AED AUD BGN CAD CHF CNH CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MXN MYR NOK NZD PLN RON RUB SAR SEK SGD THB
        TRY TWD USD ZAR
        """,
    )
)
# Where symbols are numbers, so that 700@SEHK is Tencent and not the conid 700.
_NUMBERED = frozenset({"SEHK", "SEHKNTL", "SEHKSZSE", "TSEJ", "TWSE", "KSE"})
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SYMBOL = r"(?P<symbol>[A-Z0-9][A-Z0-9.&+/-]{0,29}(?: [A-Z]{1,2})?)"
_EXCHANGE = r"(?:@(?P<exchange>[A-Z][A-Z0-9.]{1,15}))?"
_EXPIRY = r"(?P<expiry>20[0-9]{2}-?[0-9]{2}(?:-?[0-9]{2})?)"
_PAIR = re.compile(r"(?P<base>[A-Z]{3})[./]?(?P<quote>[A-Z]{3})")
_CONID = re.compile(rf"(?P<conid>[0-9]{{1,10}}){_EXCHANGE}")
_STOCK = re.compile(rf"{_SYMBOL}{_EXCHANGE}")
_FUTURE = re.compile(rf"{_SYMBOL}{_EXCHANGE} {_EXPIRY}")
_OPTION = re.compile(rf"{_SYMBOL}{_EXCHANGE} {_EXPIRY} (?P<right>C|P|CALL|PUT) ?(?P<strike>[0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Conid:
    conid: int
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """A plain symbol; turns out to be an index or something else where no stock has it."""

    symbol: str
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Future:
    """``expiry`` is YYYYMM or YYYYMMDD."""

    symbol: str
    expiry: str
    exchange: str | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """``expiry`` is YYYYMM or YYYYMMDD, ``right`` C or P."""

    symbol: str
    expiry: str
    right: str
    strike: Decimal
    exchange: str | None = None

    def __str__(self) -> str:
        return f"{self.symbol} {self.expiry} {self.right} {plain(self.strike)}"


@dataclass(frozen=True, slots=True)
class Pair:
    base: str
    quote: str


Wanted = Conid | Stock | Future | Option | Pair


def parse(text: str) -> Wanted:
    """What ``text`` names; InvalidRequest when it has none of the forms."""
    words = " ".join(text.upper().split())
    if (found := _CONID.fullmatch(words)) and found["exchange"] not in _NUMBERED:
        return Conid(int(found["conid"]), found["exchange"])
    if (found := _PAIR.fullmatch(words)) and _CURRENCIES.issuperset(found.groups()) and found["base"] != found["quote"]:
        return Pair(found["base"], found["quote"])
    if found := _OPTION.fullmatch(words):
        right, strike = found["right"][0], Decimal(found["strike"])
        return Option(found["symbol"], undashed(found["expiry"]), right, strike, found["exchange"])
    if found := _FUTURE.fullmatch(words):
        return Future(found["symbol"], undashed(found["expiry"]), found["exchange"])
    if found := _STOCK.fullmatch(words):
        return Stock(found["symbol"], found["exchange"])
    raise InvalidRequest(f"{text[:60]!r} names no instrument.", action=f"Write it like {EXAMPLES}.")


def undashed(expiry: str) -> str:
    """An expiry as YYYYMM or YYYYMMDD, also where it was written with dashes."""
    return expiry.replace("-", "")


def month_code(expiry: str) -> str:
    """IBKR's name of the month of ``expiry`` (YYYYMM or YYYYMMDD), e.g. ``DEC26``."""
    month = int(expiry[4:6])
    if not 1 <= month <= 12:
        raise InvalidRequest(
            f"There is no month {expiry[4:6]} in {expiry!r}.", action="Write it as YYYYMM or YYYYMMDD."
        )
    return f"{_MONTHS[month - 1]}{expiry[2:4]}"


def month_of(code: str) -> str:
    """``DEC26`` as ``202612``; ValueError when it is no month."""
    return f"20{code[3:]}{_MONTHS.index(code[:3]) + 1:02}"
