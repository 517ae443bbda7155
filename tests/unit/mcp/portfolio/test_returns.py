"""Performance that is cut out of a longer one, and what is told of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest

from ib_mcp.portfolio import returns
from ib_mcp.portfolio.returns import Series


def series_of(changes: list[str], start: str = "2026-01-01") -> Series:
    """By day from the day after ``start``, with the return of each day."""
    total, dates, totals = Decimal(1), [], []
    for number, change in enumerate(changes, 1):
        total *= 1 + Decimal(change)
        dates.append((date.fromisoformat(start) + timedelta(days=number)).strftime("%Y%m%d"))
        totals.append(str(total - 1))
    body = {"freq": "D", "dates": dates, "cps": totals, "nav": [str(1000 * (1 + Decimal(one))) for one in totals]}
    found = returns.parse(body | {"startNAV": {"date": start.replace("-", ""), "val": 1000}})
    assert found is not None
    return found


def test_two_parts_of_a_series_multiply_to_the_whole() -> None:
    random = Random(7)
    whole = series_of([f"{random.uniform(-0.03, 0.03):.4f}" for _ in range(60)])
    for days in range(2, 58):
        last = whole.points[days].date
        following = whole.points[days + 1].date
        early, late = returns.part(whole, None, last), returns.part(whole, following, None)
        assert early is not None
        assert late is not None
        product = (1 + early.points[-1].total) * (1 + late.points[-1].total) - 1
        assert product == pytest.approx(whole.points[-1].total, abs=Decimal("1e-12"))
        assert late.start.date == last


def test_the_drawdown_is_the_largest_fall_from_a_high_to_a_later_low() -> None:
    found = returns.summary(series_of(["0.10", "-0.10", "-0.10", "0.50", "-0.05"]))
    assert found["max_drawdown"] == {"drawdown": -0.19, "from": "2026-01-02", "to": "2026-01-04"}
    assert found["best_day"] == {"date": "2026-01-05", "return": 0.5}
    assert found["worst_day"]["return"] == -0.1
    assert returns.summary(series_of(["0.01", "0.02"]))["max_drawdown"] == {"drawdown": 0}


def test_without_deposits_no_cash_flows_are_told() -> None:
    assert "cash_flows_estimated" not in returns.summary(series_of(["0.01", "-0.02", "0.03"]))


def test_few_days_have_no_volatility() -> None:
    assert "volatility" not in returns.summary(series_of(["0.01"] * 19))
    assert returns.summary(series_of(["0.01"] * 20))["volatility"] == 0
    assert returns.summary(series_of(["0.01", "-0.01"] * 20))["volatility"] == pytest.approx(0.1608, abs=0.001)


@pytest.mark.parametrize(
    ("period", "last", "first"),
    [
        ("3M", "2026-05-31", "2026-02-28"),
        ("1M", "2026-01-15", "2025-12-15"),
        ("6M", "2026-11", "2026-06-01"),
        ("YTD", "2026-11-24", None),
    ],
)
def test_months_back_from_the_end_of_a_longer_month(period: str, last: str, first: str | None) -> None:
    assert returns.begin_of(period, last) == first


def test_weeks_and_months_are_told_by_their_last_day() -> None:
    series = series_of(["0.001"] * 45, start="2026-01-01")
    assert [row[0] for row in returns.rows(series, "monthly")] == ["2026-01-31", "2026-02-15"]
    assert [row[0] for row in returns.rows(series, "weekly")][:2] == ["2026-01-04", "2026-01-11"]
    assert len(returns.rows(series, "daily")) == 45
