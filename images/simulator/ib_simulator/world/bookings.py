"""How a position came about: purchases and sales that lead from nothing to what is held now.

They are counted backwards from the quantity held, so that they always add up to it, whatever span is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.holdings import Holding
from ib_simulator.world.market import Market

_EVERY = {"everything": 53}
"""Days between two bookings in one contract, no whole weeks; where much is held, each is dealt in less often."""

_USUAL = 13
_SELLS = 3
"""One booking of so many takes from the position."""


@dataclass(frozen=True, slots=True)
class Booking:
    """``quantity`` is signed; money is in the contract's currency.

    ``gain``: what it realized against the average cost, None when it took nothing from the position.
    """

    contract: Contract
    day: date
    at: float
    quantity: float
    price: float
    gain: float | None = None
    commission: float = 0.0


def bookings(
    account: Account, holding: Holding, market: Market, now: float, last: date, days: int
) -> Iterator[Booking]:
    """Of one holding on ``last`` and the ``days - 1`` days before, newest first; ends with the one that opened it."""
    contract = holding.contract
    every = _EVERY.get(account.portfolio, _USUAL)
    left = abs(holding.quantity)
    if not left:
        return
    side = 1 if holding.quantity > 0 else -1
    day = last - timedelta(days=(last.toordinal() + contract.conid) % every)
    while (last - day).days < days:
        at = _moment(holding, day)
        if at is not None and at <= now:
            lot = _lot(holding, day)
            if (day.toordinal() // every + contract.conid) % _SELLS == 0:
                quantity, left = -side * lot, left + lot
            else:
                quantity, left = side * min(lot, left), left - lot
            price = market.price(contract, at)
            reduces = quantity * holding.quantity < 0
            gain = -quantity * (price - holding.cost) * contract.multiplier if reduces else None
            yield Booking(contract, day, at, quantity, price, gain)
            if left <= 0:
                return
        day -= timedelta(days=every)


def _moment(holding: Holding, day: date) -> float | None:
    """When on ``day`` it was dealt, None on days without trading."""
    hours = holding.contract.market
    trading_day = hours.trading_day(hours.number_of(day))
    if trading_day.closed or trading_day.date != day:
        return None
    random = Random(f"{holding.contract.conid}/{day}")
    return float(int(random.uniform(max(trading_day.open, trading_day.close - 20_000), trading_day.close - 60)))


def _lot(holding: Holding, day: date) -> float:
    """A fifth to a half of what is held: whole units where what is held is whole."""
    held = abs(holding.quantity)
    lot = held * (0.2 + day.toordinal() % 4 / 10)
    return max(1.0, float(round(lot))) if held.is_integer() else round(lot, 4)
