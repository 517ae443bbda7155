"""When markets trade: sessions by exchange, as epoch seconds, daylight saving and main holidays included."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One trading day. ``pre``..``open`` and ``close``..``post`` are extended hours; all epoch seconds.

    ``number`` counts the market's possible trading days, so neighbours differ by one; a holiday has a number and
    ``closed`` set.
    """

    number: int
    date: date
    pre: float
    open: float
    close: float
    post: float
    closed: bool


@dataclass(frozen=True)
class Hours:
    """Trading hours in minutes after local midnight (negative: the evening before).

    ``half_day_close`` and ``half_day_post`` are the ends of New York's half days; 0 where there are none.
    """

    zone: str
    pre: int
    open: int
    close: int
    post: int
    every_day: bool = False
    holidays: str = ""
    half_day_close: int = 0
    half_day_post: int = 0
    _days: dict[int, TradingDay] = field(default_factory=dict, compare=False, repr=False)
    _latest: list[tuple[float, float, TradingDay]] = field(default_factory=list, compare=False, repr=False)

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def number_of(self, day: date) -> int:
        """The number of ``day``, or of the Friday before when it falls on a weekend."""
        if self.every_day:
            return day.toordinal()
        weeks, weekday = divmod(day.toordinal() - 1, 7)
        return weeks * 5 + min(weekday, 4)

    def trading_day(self, number: int) -> TradingDay:
        found = self._days.get(number)
        if found is None:
            ordinal = number if self.every_day else number // 5 * 7 + number % 5 + 1
            found = self._days[number] = self._build(number, date.fromordinal(ordinal))
        return found

    def _build(self, number: int, day: date) -> TradingDay:
        midnight = datetime.combine(day, time(), self.timezone)
        ends = (self.close, self.post)
        if self.is_half_day(day):
            ends = (self.half_day_close, self.half_day_post or self.half_day_close)
        pre, opening, close, post = (_local(midnight, minutes) for minutes in (self.pre, self.open, *ends))
        return TradingDay(number, day, pre, opening, close, post, day in _holidays(self.holidays, day.year))

    def is_half_day(self, day: date) -> bool:
        return bool(self.half_day_close) and _is_half_day(day)

    def at(self, now: float) -> TradingDay:
        """The latest trading day whose pre-market has begun."""
        if self._latest and self._latest[0][0] <= now < self._latest[0][1]:
            return self._latest[0][2]
        number = self.number_of(datetime.fromtimestamp(now, self.timezone).date()) + 1
        day = self.trading_day(number)
        while day.pre > now or day.closed:
            number -= 1
            day = self.trading_day(number)
        self._latest[:] = [(day.pre, self.after(day).pre, day)]
        return day

    def after(self, day: TradingDay) -> TradingDay:
        """The next trading day."""
        following = self.trading_day(day.number + 1)
        while following.closed:
            following = self.trading_day(following.number + 1)
        return following

    def before(self, day: TradingDay) -> TradingDay:
        """The previous trading day."""
        earlier = self.trading_day(day.number - 1)
        while earlier.closed:
            earlier = self.trading_day(earlier.number - 1)
        return earlier

    def is_open(self, now: float, *, extended: bool = False) -> bool:
        day = self.at(now)
        return day.pre <= now < day.post if extended else day.open <= now < day.close


def _local(midnight: datetime, minutes: int) -> float:
    # Wall-clock arithmetic: 09:30 stays 09:30 on the days the clocks change.
    return (midnight + timedelta(minutes=minutes)).timestamp()


@cache
def _holidays(region: str, year: int) -> frozenset[date]:
    if not region:
        return frozenset()
    if region != "US":
        return frozenset({date(year, 1, 1), date(year, 12, 25)})
    fixed = {_observed(date(year, *day)) for day in ((6, 19), (7, 4), (12, 25))}
    new_year = date(year, 1, 1)
    # Of a Saturday it is not made up for.
    fixed.add(new_year if new_year.weekday() == 5 else _observed(new_year))
    moving = {
        nth_weekday(year, 1, 0, 3),
        nth_weekday(year, 2, 0, 3),
        easter(year) - timedelta(days=2),
        nth_weekday(year, 6, 0, 1) - timedelta(days=7),
        nth_weekday(year, 9, 0, 1),
        nth_weekday(year, 11, 3, 4),
    }
    return frozenset(fixed | moving)


def _observed(day: date) -> date:
    """The Friday before a Saturday, the Monday after a Sunday."""
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def easter(year: int) -> date:
    """Easter Sunday, by the calendar of Gregory XIII."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    month, day = divmod(epact + weekday - 7 * ((golden + 11 * epact + 22 * weekday) // 451) + 114, 31)
    return date(year, month, day + 1)


def _is_half_day(day: date) -> bool:
    """In New York: the day after Thanksgiving, and the weekdays before Independence Day and Christmas."""
    if (day.month, day.day) in {(7, 3), (12, 24)}:
        return day.weekday() < 4
    return day.month == 11 and day == nth_weekday(day.year, 11, 3, 4) + timedelta(days=1)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """E.g. the third Friday: ``nth_weekday(2026, 12, 4, 3)``."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


NEW_YORK = "America/New_York"
US_STOCKS = Hours(NEW_YORK, 240, 570, 960, 1200, holidays="US", half_day_close=780, half_day_post=1020)
US_OPTIONS = Hours(NEW_YORK, 570, 570, 960, 960, holidays="US", half_day_close=780)
# What is traded on a holiday counts as part of the next day.
US_FUTURES = Hours(NEW_YORK, -360, -360, 1020, 1020, holidays="US", half_day_close=795)
US_BONDS = Hours(NEW_YORK, 480, 480, 1020, 1020, holidays="US", half_day_close=840)
FOREX = Hours(NEW_YORK, -405, -405, 1020, 1020, holidays="main")
CRYPTO = Hours("Etc/UTC", 0, 0, 1440, 1440, every_day=True)

_BY_EXCHANGE = {
    "ASX": Hours("Australia/Sydney", 600, 600, 960, 960, holidays="main"),
    "FUNDSERV": Hours(NEW_YORK, 570, 570, 960, 960, holidays="US"),
    "FWB": Hours("Europe/Berlin", 480, 480, 1320, 1320, holidays="main"),
    "IBCMDTY": FOREX,
    "JSE": Hours("Africa/Johannesburg", 540, 540, 1020, 1020, holidays="main"),
    "SEHKSZSE": Hours("Asia/Shanghai", 570, 570, 900, 900, holidays="main"),
    "SEHK": Hours("Asia/Hong_Kong", 570, 570, 960, 960, holidays="main"),
    "TSEJ": Hours("Asia/Tokyo", 540, 540, 930, 930, holidays="main"),
    "AEB": Hours("Europe/Amsterdam", 540, 540, 1050, 1050, holidays="main"),
    "CBOT": US_FUTURES,
    "CME": US_FUTURES,
    "COMEX": US_FUTURES,
    "EBS": Hours("Europe/Zurich", 540, 540, 1050, 1050, holidays="main"),
    "EUREX": Hours("Europe/Berlin", 480, 480, 1320, 1320, holidays="main"),
    "IBIS": Hours("Europe/Berlin", 540, 540, 1050, 1050, holidays="main"),
    "IDEALPRO": FOREX,
    "LSE": Hours("Europe/London", 480, 480, 990, 990, holidays="main"),
    "MEXI": Hours("America/Mexico_City", 510, 510, 900, 900, holidays="main"),
    "NYMEX": US_FUTURES,
    "PAXOS": CRYPTO,
    "TSE": Hours("America/Toronto", 570, 570, 960, 960, holidays="main"),
}


def market_of(kind: str, exchange: str) -> Hours:
    """The hours of an instrument of this kind (IBKR's secType) on this exchange."""
    if kind in {"BOND", "BILL"}:
        return US_BONDS
    if exchange in _BY_EXCHANGE:
        return _BY_EXCHANGE[exchange]
    return US_OPTIONS if kind in {"OPT", "IND"} else US_STOCKS
