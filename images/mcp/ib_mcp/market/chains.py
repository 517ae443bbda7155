"""Expiries and strikes of the options on an instrument, found with few questions: IBKR tells one strike at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import exp, sqrt
from statistics import NormalDist
from typing import Any
from zoneinfo import ZoneInfo

from ib_mcp.formats.numbers import decimal
from ib_mcp.market.notation import month_code, month_of
from ib_mcp.market.option_lookups import OptionMarket
from ibkr.errors import InvalidRequest

_NEW_YORK = ZoneInfo("America/New_York")
# When the last options of a day have been traded, for most markets.
_LAST_TRADE = time(16, 15)
_MONTHS_AHEAD = 3
_RANGE = re.compile(r" ?(\d{1,4}) ?(?:(?:-|to|\.\.) ?(\d{1,4}))? ?(?:d|days)? ?", re.IGNORECASE)
_USUAL_VOLATILITY, _RATE = 0.3, 0.04
_STEPS = tuple(map(Decimal, ("100", "50", "25", "10", "5", "1", "0.5")))


@dataclass(frozen=True, slots=True)
class Wish:
    """Which expiries are meant: of ``expiry`` (YYYYMM or YYYYMMDD), or within days from now, or the nearest."""

    expiry: str | None
    days: tuple[int, int] | None

    def months(self, market: OptionMarket, today: date, symbol: str) -> list[str]:
        """IBKR's months in which to look; InvalidRequest lists those that there are."""
        if self.expiry is not None:
            found = market.months_of(self.expiry)
        elif self.days is not None:
            first, last = (today + timedelta(days=count) for count in self.days)
            found = [
                code for code in market.months if f"{first:%Y%m}" <= month_of(code) <= f"{_later(last, market):%Y%m}"
            ]
        else:
            nearest = [code for code in market.months if month_of(code) >= f"{today:%Y%m}"]
            found = nearest[:_MONTHS_AHEAD]
        if not found:
            known = ", ".join(month_of(code) for code in market.months)
            what = self.expiry or (f"in {self.days[0]} to {self.days[1]} days" if self.days else "to come")
            if self.expiry:
                month_code(self.expiry)
            raise InvalidRequest(f"{symbol} has no options of {what}.", action=f"Choose expiry of {known}.")
        return found

    def fits(self, day: date, today: date, market: OptionMarket) -> bool:
        if self.expiry is not None:
            # A month may be that of the contract, which an option on a future is named after.
            return f"{day:%Y%m%d}".startswith(self.expiry) or (len(self.expiry) == 6 and market.kind == "FOP")
        return self.days is None or self.days[0] <= (day - today).days <= self.days[1]


def _later(day: date, market: OptionMarket) -> date:
    """Options on futures are listed under months up to two later than they expire in."""
    return day + timedelta(days=62) if market.kind == "FOP" else day


def parse_days(text: str) -> tuple[int, int]:
    """``30-45`` or ``30`` (a week around it)."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text[:20]!r} is no number of days.", action="Write days like 30-45, or 30.")
    first = int(found[1])
    first, last = (first, int(found[2])) if found[2] else (max(0, first - 7), first + 7)
    if first > last:
        raise InvalidRequest(f"{text[:20]!r} ends before it begins.", action="Write days like 30-45.")
    return first, last


def today_in_new_york(now: float) -> date:
    return datetime.fromtimestamp(now, _NEW_YORK).date()


def is_tradable(day: date, now: float) -> bool:
    """Whether options that expire on ``day`` can still be traded."""
    return now < datetime.combine(day, _LAST_TRADE, _NEW_YORK).timestamp()


def expiry_of(row: dict[str, Any]) -> date | None:
    try:
        return date.fromisoformat(str(row.get("maturityDate") or ""))
    except ValueError:
        return None


def probe(strikes: Sequence[Decimal], price: Decimal | None) -> Decimal:
    """A strike near the money that most expiries have: the roundest within three percent of ``price``."""
    middle = strikes[len(strikes) // 2] if price is None else price
    near = [strike for strike in strikes if abs(strike - middle) <= middle * Decimal("0.03")] or list(strikes)

    def roundness(strike: Decimal) -> tuple[int, Decimal]:
        place = next((place for place, step in enumerate(_STEPS) if strike % step == 0), len(_STEPS))
        return place, abs(strike - middle)

    return min(near, key=roundness)


def nearest(strikes: Iterable[Decimal], price: Decimal, count: int) -> list[Decimal]:
    """The ``count`` strikes around ``price``, in order."""
    return sorted(sorted(strikes, key=lambda strike: (abs(strike - price), strike))[:count])


def strike_of_delta(price: Decimal, delta: float, right: str, days: int, volatility: float | None) -> Decimal:
    """Where an option of about this delta (its size) has its strike, by the model of Black and Scholes."""
    years = max(days, 1) / 365
    spread = (volatility or _USUAL_VOLATILITY) * sqrt(years)
    quantile = NormalDist().inv_cdf(delta if right == "C" else 1 - delta)
    return Decimal(str(round(float(price) * exp((_RATE * years + spread**2 / 2) - quantile * spread), 4)))


def strike_in(row: dict[str, Any]) -> Decimal:
    return decimal(row.get("strike")) or Decimal(0)
