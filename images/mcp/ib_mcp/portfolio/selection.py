"""Which positions a question is about, in which order, and what groups of them come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal

from ib_mcp.formats.numbers import cents, plain
from ib_mcp.market import matching
from ib_mcp.portfolio.holding import Holding
from ibkr.errors import InvalidRequest

Sort = Literal["value", "daily_pnl", "-daily_pnl", "unrealized_pnl", "-unrealized_pnl", "expiry"]
Group = Literal["underlying", "sector", "currency", "class"]

# How people call IBKR's classes, in the singular.
_CLASSES = {
    "stock": {"STK"},
    "share": {"STK"},
    "equity": {"STK"},
    "option": {"OPT", "FOP"},
    "future": {"FUT"},
    "bond": {"BOND", "BILL"},
    "bill": {"BILL", "BOND"},
    "fund": {"FUND"},
    "forex": {"CASH"},
    "currency": {"CASH"},
    "crypto": {"CRYPTO"},
    "coin": {"CRYPTO"},
    "commodity": {"CMDTY"},
    "metal": {"CMDTY"},
    "warrant": {"WAR", "IOPT"},
}


_IBKR_CLASSES = {kind for kinds in _CLASSES.values() for kind in kinds} | {"IND", "CFD", "BAG", "EC"}


def of_classes(holdings: Iterable[Holding], names: Sequence[str]) -> tuple[list[Holding], list[str]]:
    """Those of IBKR's classes (STK, OPT) or of the words that people use for them (stocks, options).

    Beside them the names that are no class.
    """
    meant = {name: _classes(name) for name in names}
    kinds = {kind for found in meant.values() for kind in found}
    return [holding for holding in holdings if holding.kind in kinds], [
        name for name, found in meant.items() if not found
    ]


def _classes(name: str) -> set[str]:
    word = name.strip().lower()
    return _CLASSES.get(word) or _CLASSES.get(word.removesuffix("s")) or {word.upper()} & _IBKR_CLASSES


def expiring(holdings: Iterable[Holding], within_days: int, today: date) -> list[Holding]:
    """Those that expire within so many days, the first ones first."""
    found = [holding for holding in holdings if (days := holding.days(today)) is not None and days <= within_days]
    return sorted(found, key=lambda holding: holding.expiry)


def named(holdings: Sequence[Holding], text: str) -> list[Holding]:
    """What is held of ``text``: everything on a bare ticker, the one instrument of a fuller name or of a conid."""
    words = " ".join(text.upper().split())
    on_ticker = _on_ticker(holdings, words)
    try:
        exact = [holding for holding in holdings if matching.fits(text, holding.contract)]
    except InvalidRequest:
        exact = []
    # A number may be a ticker (4391 in Tokyo) as well as a conid: what is held decides.
    return list(dict.fromkeys([*on_ticker, *exact])) or _described(holdings, words)


def _on_ticker(holdings: Sequence[Holding], ticker: str) -> list[Holding]:
    spellings = {ticker, ticker.translate(str.maketrans(".-/", "   "))}
    direct = {holding.conid for holding in holdings if holding.ticker.upper() in spellings}
    return [
        holding
        for holding in holdings
        if holding.conid in direct or holding.underlying in direct or holding.underlying_ticker.upper() in spellings
    ]


def _described(holdings: Sequence[Holding], words: str) -> list[Holding]:
    """Whose description of IBKR or name of a company has the words."""
    return [holding for holding in holdings if f" {words} " in f" {holding.description} {holding.name} ".upper()]


def near(holdings: Iterable[Holding], text: str) -> list[str]:
    """Held tickers that look like ``text``."""
    return get_close_matches(text.upper(), sorted({holding.ticker.upper() for holding in holdings}), n=3)


_KEYS: dict[str, Callable[[Holding], Any]] = {
    "value": lambda holding: _descending(abs(holding.base_value) if holding.base_value is not None else None),
    "daily_pnl": lambda holding: _ascending(holding.base_daily),
    "-daily_pnl": lambda holding: _descending(holding.base_daily),
    "unrealized_pnl": lambda holding: _ascending(holding.base_unrealized),
    "-unrealized_pnl": lambda holding: _descending(holding.base_unrealized),
    "expiry": lambda holding: holding.expiry or "9",
}


def in_order(holdings: Iterable[Holding], sort: Sort) -> list[Holding]:
    """By ``sort``; those without the figure come last."""
    return sorted(holdings, key=_KEYS[sort])


def _ascending(amount: Decimal | None) -> tuple[bool, Decimal]:
    return amount is None, amount or Decimal(0)


def _descending(amount: Decimal | None) -> tuple[bool, Decimal]:
    return amount is None, -(amount or Decimal(0))


@dataclass(frozen=True, slots=True)
class Sums:
    """In the base currency. ``value`` is part of net liquidation, ``notional`` is not. None: no position tells it."""

    positions: int
    value: Decimal | None
    notional: Decimal | None
    unrealized: Decimal | None
    daily: Decimal | None
    incomplete: int
    without_daily: int

    def shown(self) -> dict[str, Any]:
        amounts = {
            "value": self.value,
            "notional": self.notional,
            "unrealized_pnl": self.unrealized,
            "daily_pnl": self.daily,
        }
        return {name: plain(cents(amount)) for name, amount in amounts.items() if amount is not None}


def sums(holdings: Sequence[Holding]) -> Sums:
    """Of all ``holdings``; ``incomplete`` and ``without_daily`` count those without a value, or a profit of the day."""
    return Sums(
        len(holdings),
        _sum(holding.worth for holding in holdings),
        _sum(holding.base_value for holding in holdings if holding.is_notional),
        _sum(holding.base_unrealized for holding in holdings),
        _sum(holding.base_daily for holding in holdings),
        sum(holding.base_value is None for holding in holdings),
        sum(holding.base_daily is None for holding in holdings),
    )


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def groups(holdings: Iterable[Holding], by: Group) -> dict[str, list[Holding]]:
    """By name of the group, the largest first."""
    found: dict[str, list[Holding]] = {}
    held = list(holdings)
    names = _names_of_underlyings(held) if by == "underlying" else {}
    for holding in held:
        found.setdefault(names.get(holding.conid) or _group(holding, by), []).append(holding)
    return dict(sorted(found.items(), key=lambda item: -abs(_size(item[1]))))


def _size(holdings: Sequence[Holding]) -> Decimal:
    return sum((abs(holding.base_value or Decimal(0)) for holding in holdings), Decimal(0))


def _group(holding: Holding, by: Group) -> str:
    match by:
        case "sector":
            return holding.sector or "no sector"
        case "currency":
            return holding.currency or "unknown"
        case "class":
            return holding.kind or "unknown"
    return holding.underlying_ticker.upper() or holding.ticker.upper() or "unknown"


def _names_of_underlyings(holdings: Sequence[Holding]) -> dict[int, str]:
    """Names by conid for tickers that several companies have, so that ALV in New York is not ALV in Frankfurt."""
    words: dict[str, set[str]] = {}
    for holding in holdings:
        words.setdefault(_group(holding, "underlying"), set()).add(_first_word(holding))
    return {
        holding.conid: f"{ticker} ({word})"
        for holding in holdings
        if len(words[ticker := _group(holding, "underlying")] - {""}) > 1 and (word := _first_word(holding))
    }


def _first_word(holding: Holding) -> str:
    return holding.name.upper().partition(" ")[0]
