"""Portfolio analyst: performance over periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from ib_simulator.answers.refusals import bad_request, body_of
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.hours import US_STOCKS
from ib_simulator.world.market import today

PERIODS = ("1D", "7D", "MTD", "1M", "YTD", "1Y")
_SPY = 756733


def accounts_in(world: World, call: Call) -> list[Account]:
    """The accounts that the body names, or 400."""
    ids = body_of(call).get("acctIds")
    if not isinstance(ids, list) or not ids:
        raise bad_request("acctIds is missing")
    accounts = [world.account(str(account_id)) for account_id in ids]
    if any(account is None for account in accounts):
        raise bad_request("Account is invalid")
    return [account for account in accounts if account is not None]


def _begin(period: str, day: date) -> date:
    """The first day of a period that ends on ``day``."""
    return {
        "1D": day,
        "7D": day - timedelta(days=6),
        "MTD": day.replace(day=1),
        "1M": day - timedelta(days=30),
        "YTD": day.replace(month=1, day=1),
        "1Y": day - timedelta(days=365),
    }[period]


def _worth(world: World, account: Account, day: date, now: float) -> float:
    """Net liquidation at the end of ``day``.

    The day before is worth today's value without the day's profit, which balances show too; earlier days are that
    moved back along the market.
    """
    value = world.valuation(account, now)
    last = US_STOCKS.at(now)
    if day >= last.date:
        return value.net_liquidation
    path = world.market.path(world.contracts[_SPY])
    before = US_STOCKS.before(last)
    then = path.day(path.market.number_of(day)).close / path.day(before.number).close
    wobble = Random(f"{world.seed}/{account.id}/{day}").uniform(-0.002, 0.002) if day < before.date else 0.0
    return float(value.previous_net_liquidation * then**0.7 * (1 + wobble))


def _series(world: World, accounts: list[Account], period: str, now: float) -> dict[str, Any]:
    """Net values and cumulative returns by trading day; several accounts are taken together."""
    last = US_STOCKS.at(now)
    first = _begin(period, last.date)
    days, day = [last.date], last
    while (day := US_STOCKS.before(day)).date >= first:
        days.insert(0, day.date)

    def worth(day: date) -> float:
        return sum(_worth(world, account, day, now) for account in accounts)

    start = worth(day.date)
    values = [worth(one) for one in days]
    return {
        "days": days,
        "before": day.date,
        "start": round(start, 4),
        "values": [round(value, 4) for value in values],
        "returns": [round(value / start - 1, 4) for value in values],
    }


def get_performance(world: World, call: Call) -> Answer:
    accounts = accounts_in(world, call)
    period = str(body_of(call).get("period", ""))
    if period not in PERIODS:
        raise bad_request("invalid period")
    nav, cps, tpps = [], [], []
    found: dict[str, Any] = {}
    for account in accounts:
        found = _series(world, [account], period, call.now)
        months = _by_month(found)
        frame = {
            "id": account.id,
            "idType": "acctid",
            "baseCurrency": account.currency,
            "start": f"{found['days'][0]:%Y%m%d}",
            "end": f"{found['days'][-1]:%Y%m%d}",
        }
        start = {"date": f"{found['before']:%Y%m%d}", "val": found["start"]}
        nav.append(frame | {"startNAV": start, "navs": found["values"]})
        cps.append(frame | {"returns": found["returns"]})
        tpps.append(frame | {"returns": list(months.values())})
    dates = [f"{day:%Y%m%d}" for day in found["days"]]
    return Answer(
        {
            "id": "getPerformanceData",
            "currencyType": "base",
            "rc": 0,
            "nd": (found["days"][-1] - found["before"]).days,
            "pm": "TWR",
            "included": [account.id for account in accounts],
            "nav": {"data": nav, "freq": "D", "dates": dates},
            "cps": {"data": cps, "freq": "D", "dates": dates},
            "tpps": {"data": tpps, "freq": "M", "dates": list(months)},
        }
    )


def _by_month(series: dict[str, Any]) -> dict[str, float]:
    """The return of each month by YYYYMM."""
    months: dict[str, float] = {}
    start = series["start"]
    ends = {f"{day:%Y%m}": value for day, value in zip(series["days"], series["values"], strict=True)}
    for month, value in ends.items():
        months[month] = round(value / start - 1, 4)
        start = value
    return months


def get_performance_all_periods(world: World, call: Call) -> Answer:
    accounts = accounts_in(world, call)
    name = accounts[0].id if len(accounts) == 1 else "Consolidated"
    figures: dict[str, Any] = {"periods": list(PERIODS)}
    found: dict[str, Any] = {}
    for period in PERIODS:
        found = _series(world, accounts, period, call.now)
        figures[period] = {
            "nav": found["values"],
            "cps": found["returns"],
            "freq": "D",
            "dates": [f"{day:%Y%m%d}" for day in found["days"]],
            "startNAV": {"date": f"{found['before']:%Y%m%d}", "val": found["start"]},
        }
    stamp = datetime.fromtimestamp(call.now, UTC)
    figures |= {
        "start": f"{_begin('1Y', today(call.now)):%Y%m%d}",
        "end": f"{today(call.now):%Y%m%d}",
        "baseCurrency": accounts[0].currency,
        "lastSuccessfulUpdate": f"{stamp:%Y-%m-%d %H:%M:%S}",
    }
    return Answer(
        {
            "currencyType": "base",
            "rc": 0,
            "nd": 366,
            "pm": "TWR",
            "view": [account.id for account in accounts],
            "included": [account.id for account in accounts],
            "id": "getPerformanceAllPeriods",
            name: figures,
        }
    )


ANSWERS = {
    "get_performance": get_performance,
    "get_performance_all_periods": get_performance_all_periods,
}
