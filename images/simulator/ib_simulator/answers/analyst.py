"""Portfolio analyst: performance over periods and transactions of one instrument."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from ib_simulator.answers.refusals import as_conid, bad_request, body_of
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.hours import NEW_YORK
from ib_simulator.world.market import today

PERIODS = ("1D", "7D", "MTD", "1M", "YTD", "1Y")
MAX_DAYS = 1825
_SPY = 756733


def _accounts(world: World, call: Call) -> list[Account]:
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
    """Net liquidation at the end of ``day``: today's value moved back along the market."""
    contract = world.contracts[_SPY]
    path = world.market.path(contract)
    number = path.market.number_of(day)
    then = path.at(now) if day >= today(now) else path.day(number).close
    wobble = Random(f"{world.seed}/{account.id}/{day}").uniform(-0.002, 0.002) if day < today(now) else 0.0
    level: float = (then / path.at(now)) ** 0.7 * (1 + wobble)
    return world.valuation(account, now).net_liquidation * level


def _series(world: World, accounts: list[Account], period: str, now: float) -> dict[str, Any]:
    """Net values and cumulative returns by trading day; several accounts are taken together."""
    last = today(now)
    first = _begin(period, last)
    hours = world.contracts[_SPY].market
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    days = [day for day in days if day.weekday() < 5 and not hours.trading_day(hours.number_of(day)).closed] or [last]
    before = hours.before(hours.trading_day(hours.number_of(days[0]))).date

    def worth(day: date) -> float:
        return sum(_worth(world, account, day, now) for account in accounts)

    start = worth(before)
    values = [worth(day) for day in days]
    return {
        "days": days,
        "before": before,
        "start": round(start, 4),
        "values": [round(value, 4) for value in values],
        "returns": [round(value / start - 1, 4) for value in values],
    }


def get_performance(world: World, call: Call) -> Answer:
    accounts = _accounts(world, call)
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
    accounts = _accounts(world, call)
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


def list_transactions(world: World, call: Call) -> Answer:
    accounts, body = _accounts(world, call), body_of(call)
    conids, currency, days = body.get("conids"), body.get("currency"), body.get("days", 90)
    if not isinstance(conids, list) or len(conids) != 1:
        raise bad_request("conids must hold one conid")
    if not isinstance(currency, str) or not currency:
        raise bad_request("currency is missing")
    if not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        raise bad_request("invalid days")
    conid = as_conid(conids[0])
    last = today(call.now)
    rows = [row for account in accounts for row in _transactions(world, account, conid, last, days, call.now)]
    rows.sort(key=lambda row: str(row["rawDate"]), reverse=True)
    realized = [_gain(row) for row in rows if row["type"] == "Sell"]
    total = sum(float(row["amt"]) * (1 if row["side"] == "G" else -1) for row in realized)
    return Answer(
        {
            "rc": 0,
            "nd": days,
            "rpnl": {"data": realized, "amt": f"{total:.4f}"},
            "currency": currency,
            "from": int((call.now - days * 86400) * 1000),
            "to": int(call.now * 1000),
            "id": "getTransactions",
            "includesRealTime": True,
            "transactions": [{name: value for name, value in row.items() if name != "cost"} for row in rows],
        }
    )


def _gain(row: dict[str, Any]) -> dict[str, Any]:
    """What a sale realized, measured against the price of the purchases before it."""
    gain = row["amt"] * (1 - row["cost"] / row["pr"])
    return {
        "date": row["rawDate"],
        "cur": row["cur"],
        "fxRate": row["fxRate"],
        "side": "G" if gain >= 0 else "L",
        "acctid": row["acctid"],
        "amt": f"{abs(gain):.4f}",
        "conid": str(row["conid"]),
    }


def _transactions(
    world: World, account: Account, conid: int, last: date, days: int, now: float
) -> list[dict[str, Any]]:
    """About one a fortnight in what the account holds: buying twice, selling once."""
    held = {holding.contract.conid: holding.contract for holding in world.holdings(account, now)}
    contract = held.get(conid)
    if contract is None:
        return []
    rows = []
    for back in range(days):
        day = last - timedelta(days=back)
        trading_day = contract.market.trading_day(contract.market.number_of(day))
        if (day.toordinal() + conid) % 14 or trading_day.date != day or trading_day.closed or trading_day.close > now:
            continue
        sells = day.toordinal() // 14 % 3 == 0
        quantity = (5 + day.toordinal() % 4 * 5) * (-1 if sells else 1)
        price = world.market.price(contract, trading_day.close - 3600)
        moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(NEW_YORK))
        rows.append(
            {
                "date": f"{moment:%a %b %d %H:%M:%S %Z %Y}",
                "rawDate": f"{day:%Y%m%d}",
                "cur": contract.currency,
                "fxRate": 1,
                "pr": price,
                "cost": world.market.price(contract, trading_day.close - 14 * 86400),
                "qty": quantity,
                "acctid": account.id,
                "amt": round(-quantity * price * contract.multiplier, 2),
                "conid": conid,
                "type": "Sell" if sells else "Buy",
                "desc": contract.name,
            }
        )
    return rows


ANSWERS = {
    "get_performance": get_performance,
    "get_performance_all_periods": get_performance_all_periods,
    "list_transactions": list_transactions,
}
