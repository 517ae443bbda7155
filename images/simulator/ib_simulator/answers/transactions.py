"""What was booked on one instrument: purchases, sales and dividends, and what the sales realized."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ib_simulator.answers.analyst import accounts_in
from ib_simulator.answers.refusals import as_conid, bad_request, body_of
from ib_simulator.call import Answer, Call
from ib_simulator.world import World, dividends
from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.holdings import Holding
from ib_simulator.world.hours import NEW_YORK
from ib_simulator.world.market import today

MAX_DAYS = 1825


def list_transactions(world: World, call: Call) -> Answer:
    accounts, body = accounts_in(world, call), body_of(call)
    conids, currency, days = body.get("conids"), body.get("currency"), body.get("days", 90)
    if not isinstance(conids, list) or len(conids) != 1:
        raise bad_request("conids must hold one conid")
    if not isinstance(currency, str) or not currency:
        raise bad_request("currency is missing")
    if not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        raise bad_request("invalid days")
    conid = as_conid(conids[0])
    last = today(call.now)
    rows = [row for account in accounts for row in _bookings(world, account, conid, days, call.now)]
    gains = [gain for account in accounts for gain in _gains(world, account, conid, days, call.now)]
    rows += [row for account in accounts for row in _dividends(world, account, conid, last, days, call.now)]
    rows.sort(key=lambda row: str(row["rawDate"]), reverse=True)
    for row in (*rows, *gains):
        row["fxRate"] = _rate(world, row["cur"], currency, str(row.get("rawDate") or row["date"]))
    total = sum(float(row["amt"]) * row["fxRate"] * (1 if row["side"] == "G" else -1) for row in gains)
    return Answer(
        {
            "rc": 0,
            "nd": days,
            "rpnl": {"data": gains, "amt": f"{total:.4f}"},
            "currency": currency,
            "from": int((call.now - days * 86400) * 1000),
            "to": int(call.now * 1000),
            "id": "getTransactions",
            "includesRealTime": True,
            "transactions": rows,
        }
    )


def _rate(world: World, source: str, target: str, day: str) -> float:
    """Units of ``target`` for one of ``source`` on ``day`` (YYYYMMDD), or 400."""
    rate = world.market.rate(source, target, datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp())
    if not rate:
        raise bad_request("invalid currency")
    return 1 if source == target else round(rate, 6)


def _held(world: World, account: Account, conid: int, now: float) -> Holding | None:
    return next((holding for holding in world.holdings(account, now) if holding.contract.conid == conid), None)


def _bookings(world: World, account: Account, conid: int, days: int, now: float) -> list[dict[str, Any]]:
    return [
        _row(account, booking.contract, booking.day)
        | {
            "pr": booking.price,
            "qty": booking.quantity,
            "amt": round(-booking.quantity * booking.price * booking.contract.multiplier, 2),
            "type": "Buy" if booking.quantity > 0 else "Sell",
        }
        for booking in world.bookings_in(account, conid, now, days)
    ]


def _row(account: Account, contract: Contract, day: date) -> dict[str, Any]:
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(NEW_YORK))
    return {
        "date": f"{moment:%a %b %d %H:%M:%S %Z %Y}",
        "rawDate": f"{day:%Y%m%d}",
        "cur": contract.currency,
        "acctid": account.id,
        "conid": contract.conid,
        "desc": contract.name,
    }


def _gains(world: World, account: Account, conid: int, days: int, now: float) -> list[dict[str, Any]]:
    """What each booking that took from the position realized."""
    return [
        {
            "date": f"{booking.day:%Y%m%d}",
            "cur": booking.contract.currency,
            "side": "G" if booking.gain >= 0 else "L",
            "acctid": account.id,
            "amt": f"{abs(booking.gain):.4f}",
            "conid": str(conid),
        }
        for booking in world.bookings_in(account, conid, now, days)
        if booking.gain is not None
    ]


def _dividends(world: World, account: Account, conid: int, last: date, days: int, now: float) -> list[dict[str, Any]]:
    """Paid on what was held before the ex-dividend date."""
    holding = _held(world, account, conid, now)
    if holding is None:
        return []
    contract = holding.contract
    everything = world.bookings_in(account, conid, now, MAX_DAYS)
    rows = []
    for paid in dividends.paid_between(contract, last - timedelta(days=days - 1), last):
        ex_date = dividends.ex_date_of(paid)
        entitled = holding.quantity - sum(booking.quantity for booking in everything if booking.day >= ex_date)
        if entitled:
            amount = round(entitled * dividends.quarterly(contract), 2)
            rows.append(
                _row(account, contract, paid) | {"pr": 0.0, "qty": 0, "amt": amount, "type": "Dividend Payment"}
            )
    return rows


ANSWERS = {"list_transactions": list_transactions}
