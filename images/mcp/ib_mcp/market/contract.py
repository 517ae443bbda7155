"""One instrument as IBKR describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import decimal
from ib_mcp.formats.tables import pick
from ib_mcp.formats.text import untrusted

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTH_LETTERS = "FGHJKMNQUVXZ"

_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
# "CL     DEC2026" and "CL DEC26": a contract month. With a day before the year it would be a day of expiry.
_CONTRACT_MONTH = re.compile(rf"\b{_MONTH}(?:20|'?)(?P<year>[0-9]{{2}})\b(?!')")
_LOCAL_SYMBOL = re.compile(rf"\b[A-Z0-9]{{1,4}}(?P<letter>[{MONTH_LETTERS}])(?P<year>[0-9])\b")
# "[SPXW  261218C06800000 100]" of an option, "[E3AZ6 P6800 50]" of one on a future.
_BRACKET = re.compile(
    rf"\[(?:(?P<opt>[A-Z0-9]{{1,6}}) +[0-9]{{6}}[CP][0-9]{{8}}|(?P<fop>[A-Z0-9]{{1,5}})[{MONTH_LETTERS}][0-9]{{1,2}}"
    r" [CP][0-9.]+)(?: +(?P<multiplier>[0-9.]+))?\]"
)


@dataclass(frozen=True, slots=True)
class Contract:
    """``symbol`` is what answers call it (see ``naming``); ``root`` the ticker, of a derivative its underlying's.

    ``expiry`` is YYYYMMDD, ``month`` the contract month of a future as YYYYMM; both are empty where IBKR tells none,
    as ``trading_class`` is. ``also`` names other instruments that the same words could have meant.
    """

    conid: int
    symbol: str
    kind: str
    exchange: str
    currency: str
    name: str
    root: str
    underlying: int = 0
    expiry: str = ""
    month: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: Decimal | None = None
    trading_class: str = ""
    text: str = ""
    asked_exchange: str | None = None
    also: tuple[str, ...] = ()

    @property
    def conidex(self) -> str:
        """The conid as market data is asked for, on one exchange where the agent named one."""
        return f"{self.conid}@{self.asked_exchange}" if self.asked_exchange else str(self.conid)

    @property
    def is_option(self) -> bool:
        return self.kind in ("OPT", "FOP", "WAR", "IOPT", "EC")


def from_definition(row: dict[str, Any], trading_class: str = "", words: str = "") -> Contract:
    """Of a row of ``/trsrv/secdef``, not named yet.

    IBKR tells trading class and contract month only in texts, if at all: in the row's own or in ``words``, as they
    stand beside a position, an order or a trade.
    """
    kind = str(row.get("assetClass") or "")
    text = str(pick(row, "fullName", "contractDesc", "name") or "")
    bracket = _BRACKET.search(text) or _BRACKET.search(words)
    multiplier = decimal(row.get("multiplier")) or (decimal(bracket["multiplier"]) if bracket else None)
    expiry = str(row.get("expiry") or "")
    return Contract(
        conid=int(row["conid"]),
        symbol="",
        kind=kind,
        exchange=str(row.get("listingExchange") or ""),
        currency=str(row.get("currency") or ""),
        name=untrusted(pick(row, "name", "fullName"), 80),
        root=str(pick(row, "ticker") or "").upper() or untrusted(text, 40).split(" ")[0].upper(),
        underlying=int(decimal(row.get("undConid")) or 0),
        expiry=expiry,
        month=contract_month(text, expiry) or contract_month(words, expiry) if kind == "FUT" else "",
        strike=(decimal(row.get("strike")) or None) if kind != "FUT" else None,
        right=str(row.get("putOrCall") or "")[:1].upper(),
        multiplier=multiplier or None,
        trading_class=trading_class or class_in(text) or class_in(words),
        text=untrusted(text, 80),
    )


def class_in(text: str) -> str:
    """The trading class that IBKR's description of an option holds, or nothing."""
    found = _BRACKET.search(text)
    return "" if found is None else found["opt"] or found["fop"]


def undescribed(conid: int, text: Any) -> Contract:
    """What is known of an instrument that IBKR describes no more: its words beside a position, an order or a trade."""
    words = untrusted(text, 80)
    return Contract(conid, f"{words} #{conid}".strip(), "", "", "", words, words.split(" ")[0].upper(), text=words)


def contract_month(text: str, expiry: str) -> str:
    """YYYYMM of the contract month in a future's description, or nothing. A year of one digit is near ``expiry``."""
    if found := _CONTRACT_MONTH.search(text.upper()):
        return f"20{found['year']}{MONTHS.index(found['month']) + 1:02}"
    found = _LOCAL_SYMBOL.search(text.upper())
    if found is None or len(expiry) != 8:
        return ""
    first = int(expiry[:4]) - 1
    year = next(year for year in range(first, first + 10) if year % 10 == int(found["year"]))
    return f"{year}{MONTH_LETTERS.index(found['letter']) + 1:02}"
