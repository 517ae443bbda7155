"""Performance of an account: returns over a part of what IBKR tells, and what a reader wants to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from ib_mcp.formats.numbers import decimal, plain

Step = Literal["daily", "weekly", "monthly"]

# Steps a year, by IBKR's frequency of a series.
_A_YEAR = {"D": 252, "M": 12}
_NAMES = {"D": "daily", "M": "monthly"}
# Of fewer returns than these no volatility is told.
_FEWEST = {"D": 20, "M": 6}
_MONTHS = {"1M": 1, "3M": 3, "6M": 6, "1Y": 12}
# IBKR rounds returns to four places, so that smaller flows cannot be told from rounding.
_SMALLEST_FLOW = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Point:
    """At the end of a day or month: net asset value and the return since the start of the series, as a share of 1."""

    date: str
    value: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Series:
    """``start`` is the state before the first of ``points``, with a return of 0. ``frequency``: D or M."""

    start: Point
    points: list[Point]
    frequency: str

    @property
    def frequency_name(self) -> str:
        return _NAMES.get(self.frequency, self.frequency)

    @property
    def whole(self) -> list[Point]:
        return [self.start, *self.points]


def parse(body: Any) -> Series | None:
    """One period of ``/pa/allperiods``; None when it holds no performance."""
    if not isinstance(body, dict):
        return None
    dates, values, totals = (body.get(name) or [] for name in ("dates", "nav", "cps"))
    start = body.get("startNAV") or {}
    points = [
        Point(_dashed(day), value, total)
        for day, nav, change in zip(dates, values, totals, strict=False)
        if (value := decimal(nav)) is not None and (total := decimal(change)) is not None
    ]
    if not points:
        return None
    first = decimal(start.get("val"))
    begin = Point(_dashed(start.get("date") or points[0].date), points[0].value if first is None else first, Decimal(0))
    return Series(begin, points, str(body.get("freq") or "D"))


def _dashed(day: Any) -> str:
    """``YYYYMMDD`` and ``YYYYMM`` with dashes."""
    digits = str(day).replace("-", "")
    return "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)


def begin_of(period: str, last: str) -> str | None:
    """The first day of a period of months that ends on the day, or in the month, ``last``; None for other periods."""
    months = _MONTHS.get(period)
    if months is None:
        return None
    day = date.fromisoformat(last) if len(last) >= 10 else date.fromisoformat(end_of(last)) + timedelta(days=1)
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for past_the_end in range(4):
        try:
            return day.replace(year=year, month=month + 1, day=day.day - past_the_end).isoformat()
        except ValueError:
            continue
    return None


def part(series: Series, first: str | None, last: str | None) -> Series | None:
    """From the day ``first`` to the day ``last``, both included; None when empty or when ``series`` begins later."""
    kept = [
        point
        for point in series.points
        if (first is None or end_of(point.date) >= first) and (last is None or point.date <= last)
    ]
    before = [point for point in series.whole if first is None or end_of(point.date) < first]
    if not kept or not before:
        return None
    start = series.start if first is None else before[-1]
    rebased = [Point(point.date, point.value, (1 + point.total) / (1 + start.total) - 1) for point in kept]
    return Series(Point(start.date, start.value, Decimal(0)), rebased, series.frequency)


def steps(series: Series) -> list[tuple[str, Decimal]]:
    """The return of each day (or month) by itself."""
    return [(new.date, (1 + new.total) / (1 + old.total) - 1) for old, new in pairwise(series.whole) if 1 + old.total]


def summary(series: Series) -> dict[str, Any]:
    """Shares of 1; volatility is a yearly one."""
    last = series.points[-1]
    found: dict[str, Any] = {
        "return": share(last.total),
        "start": {"date": series.start.date, "net_asset_value": plain(series.start.value)},
        "end": {"date": last.date, "net_asset_value": plain(last.value)},
    }
    each = steps(series)
    if len(each) > 1:
        best, worst = max(each, key=lambda step: step[1]), min(each, key=lambda step: step[1])
        what = "day" if series.frequency == "D" else "month"
        found[f"best_{what}"] = {"date": best[0], "return": share(best[1])}
        found[f"worst_{what}"] = {"date": worst[0], "return": share(worst[1])}
        found["max_drawdown"] = _drawdown(series)
    volatility = _volatility([change for _, change in each], series.frequency)
    return found | ({"volatility": share(volatility)} if volatility is not None else {}) | _flows(series)


def share(value: Decimal) -> Any:
    """Rounded to IBKR's four places."""
    return plain(round(value, 4))


def _drawdown(series: Series) -> dict[str, Any]:
    """The largest loss from a high to a later low."""
    peak = series.start
    worst, since, until = Decimal(0), series.start.date, series.start.date
    for point in series.points:
        if point.total >= peak.total:
            peak = point
        fall = (1 + point.total) / (1 + peak.total) - 1 if 1 + peak.total else Decimal(0)
        if fall < worst:
            worst, since, until = fall, peak.date, point.date
    return {"drawdown": share(worst), "from": since, "to": until} if worst else {"drawdown": 0}


def _volatility(changes: Sequence[Decimal], frequency: str) -> Decimal | None:
    a_year = _A_YEAR.get(frequency)
    if a_year is None or len(changes) < _FEWEST[frequency]:
        return None
    mean = sum(changes, Decimal(0)) / len(changes)
    variance = sum(((change - mean) ** 2 for change in changes), Decimal(0)) / (len(changes) - 1)
    return (variance * a_year).sqrt()


def _flows(series: Series) -> dict[str, Any]:
    """Deposits less withdrawals, where net asset value changed by more than the return explains."""
    flows = []
    for old, new in pairwise(series.whole):
        if not 1 + old.total:
            continue
        flow = new.value - old.value * (1 + new.total) / (1 + old.total)
        if abs(flow) > abs(old.value) * _SMALLEST_FLOW:
            flows.append((new.date, flow))
    if not flows:
        return {}
    largest = sorted(flows, key=lambda one: -abs(one[1]))[:5]
    return {
        "cash_flows_estimated": {
            "sum": plain(round(sum((flow for _, flow in flows), Decimal(0)), 0)),
            "largest": [{"date": day, "amount": plain(round(flow, 0))} for day, flow in sorted(largest)],
        }
    }


def rows(series: Series, step: Step) -> list[list[Any]]:
    """Date, net asset value and return so far: the last point of each week or month, or each."""
    points = series.points
    if step != "daily":
        points = [point for point, later in zip(points, [*points[1:], None], strict=True) if _ends(point, later, step)]
    return [[point.date, plain(point.value), share(point.total)] for point in points]


def _ends(point: Point, later: Point | None, step: Step) -> bool:
    if later is None or len(point.date) < 10:
        return True
    if step == "monthly":
        return point.date[:7] != later.date[:7]
    return date.fromisoformat(point.date).isocalendar()[:2] != date.fromisoformat(later.date).isocalendar()[:2]


def compared(series: Series, closes: dict[str, Decimal]) -> tuple[Decimal, str, str] | None:
    """The return of a benchmark over the same days, with the days of its first and last price; None without prices."""
    first = max((day for day in closes if day <= end_of(series.start.date)), default=None)
    last = max((day for day in closes if day <= end_of(series.points[-1].date)), default=None)
    if first is None or last is None or not closes[first]:
        return None
    return closes[last] / closes[first] - 1, first, last


def end_of(day: str) -> str:
    """A month is as late as its last day."""
    if len(day) >= 10:
        return day
    year, month = map(int, day.split("-"))
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).isoformat()
