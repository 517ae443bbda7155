"""When a contract trades: the weekly pattern of the portal and the six days of the trading side."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ib_simulator.answers.refusals import bad_request, conid_in, known, required
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.hours import NEW_YORK, Hours, TradingDay
from ib_simulator.world.market import today

_CLASSES = frozenset({"STK", "OPT", "FUT", "CFD", "WAR", "SWP", "FND", "BND", "ICS"})
_NAMES = {NEW_YORK: "US/Eastern"}
_PATTERN_SATURDAY = date(2000, 1, 1)
_DAYS_AHEAD = 28


def get_contract_trading_schedule(world: World, call: Call) -> Answer:
    contract = known(world, conid_in(call))
    hours = contract.market
    trading_day = hours.before(hours.at(call.now))
    schedules: dict[str, Any] = {}
    for _ in range(6):
        schedules[f"{trading_day.date:%Y%m%d}"] = {
            "liquid_hours": [{"opening": int(trading_day.open), "closing": int(trading_day.close)}],
            "extended_hours": [
                {"opening": int(trading_day.pre), "closing": int(trading_day.post), "cancel_daily_orders": True}
            ],
        }
        trading_day = hours.after(trading_day)
    return Answer({"exchange_time_zone": _NAMES.get(hours.zone, hours.zone), "schedules": schedules})


def get_trading_schedule(world: World, call: Call) -> Answer:
    kind, symbol = required(call, "assetClass").upper(), required(call, "symbol").upper()
    if kind not in _CLASSES:
        raise bad_request("invalid assetClass")
    wanted = call.query.get("exchange", "").upper()
    conid = conid_in(call) if call.query.get("conid") else None
    found = [
        contract
        for contract in world.contracts.of_symbol(symbol)
        if wanted in {"", contract.exchange} and conid in {None, contract.conid} and _is_of(world, contract, kind)
    ]
    return Answer([_venue(contract, call.now) for contract in found])


def _is_of(world: World, contract: Contract, kind: str) -> bool:
    if kind == "FUT":
        return bool(world.contracts.roots_of(contract.conid))
    if kind == "OPT":
        return contract.strike_step > 0
    return contract.kind == {"BND": "BOND"}.get(kind, kind)


def _venue(contract: Contract, now: float) -> dict[str, Any]:
    """The week's pattern under 2000-01-01 (a Saturday) to 07, then holidays and half days of the weeks ahead."""
    hours = contract.market
    zone = ZoneInfo(hours.zone)
    pattern = []
    for step in range(7):
        day = _PATTERN_SATURDAY + timedelta(days=step)
        trades = hours.every_day or day.weekday() < 5
        trading_day = hours.trading_day(hours.number_of(day)) if trades else None
        pattern.append(_day(day, trading_day, zone))
    first = today(now)
    for step in range(_DAYS_AHEAD):
        day = first + timedelta(days=step)
        if day.weekday() > 4:
            continue
        trading_day = _trading_day(hours, day)
        if trading_day.closed:
            pattern.append(_day(day, None, zone))
        elif hours.is_half_day(day):
            pattern.append(_day(day, trading_day, zone))
    return {
        "id": f"p{contract.conid % 100_000}",
        "tradeVenueId": f"v{contract.conid % 10_000}",
        "exchange": contract.exchange,
        "description": contract.exchange,
        "timezone": hours.zone,
        "schedules": pattern,
    }


def _trading_day(hours: Hours, day: date) -> TradingDay:
    return hours.trading_day(hours.number_of(day))


def _day(day: date, trading_day: TradingDay | None, zone: ZoneInfo) -> dict[str, Any]:
    row: dict[str, Any] = {
        "clearingCycleEndTime": "0000" if trading_day is None else "1700",
        "tradingScheduleDate": f"{day:%Y%m%d}",
        "sessions": [],
        "tradingtimes": [],
    }
    if trading_day is not None:
        liquid = {"openingTime": _clock(trading_day.open, zone), "closingTime": _clock(trading_day.close, zone)}
        whole = {"openingTime": _clock(trading_day.pre, zone), "closingTime": _clock(trading_day.post, zone)}
        row["sessions"] = [liquid | {"prop": "LIQUID"}]
        row["tradingtimes"] = [whole | {"cancelDayOrders": "Y"}]
    return row


def _clock(moment: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%H%M}"


ANSWERS = {
    "get_contract_trading_schedule": get_contract_trading_schedule,
    "get_trading_schedule": get_trading_schedule,
}
