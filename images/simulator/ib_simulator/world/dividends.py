"""Dividends of shares: four a year, each a quarter of a yearly yield."""

from __future__ import annotations

from datetime import date, timedelta

from ib_simulator.world.contract import Contract
from ib_simulator.world.prices import ANCHOR

_QUARTER = timedelta(days=91)
_PAID_AFTER = timedelta(days=21)


def yearly(contract: Contract) -> float:
    """What a share pays in a year, in its currency; 0 for what pays nothing."""
    return contract.price * contract.trait(286, 30) / 1000 if contract.kind == "STK" else 0.0


def quarterly(contract: Contract) -> float:
    return round(yearly(contract) / 4, 4)


def next_ex_date(contract: Contract, day: date) -> date:
    """The first ex-dividend date on ``day`` or later."""
    first = ANCHOR - timedelta(days=contract.trait(288, 91))
    return first + _QUARTER * -((first - day) // _QUARTER)


def paid_between(contract: Contract, first: date, last: date) -> list[date]:
    """The days from ``first`` to ``last`` on which a dividend was paid."""
    if not yearly(contract):
        return []
    found = []
    ex_date = next_ex_date(contract, first - _PAID_AFTER)
    while ex_date + _PAID_AFTER <= last:
        found.append(ex_date + _PAID_AFTER)
        ex_date += _QUARTER
    return found


def ex_date_of(paid: date) -> date:
    return paid - _PAID_AFTER
