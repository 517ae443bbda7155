"""Executions: a few on every trading day of the past, and those of the order book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ib_simulator.world.accounts import Account
from ib_simulator.world.bookings import Booking
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.futures import expiry_of
from ib_simulator.world.market import Market, today
from ib_simulator.world.orders import Order, conidex_of
from ib_simulator.world.orders.executions import commission_of


@dataclass(frozen=True, slots=True)
class Trade:
    """``side`` is B, S, or X for an option that expired. ``price`` and ``amount`` are in the contract's currency.

    ``legs`` are conids and ratios of a combination, whose ``contract`` is the underlying.
    """

    id: str
    account: str
    contract: Contract
    side: str
    quantity: float
    price: float
    at: float
    order_id: int
    reference: str
    legs: tuple[tuple[int, int], ...] = ()

    @property
    def conidex(self) -> str:
        return conidex_of(self.legs) if self.legs else str(self.contract.conid)

    @property
    def amount(self) -> float:
        return self.quantity * self.price * (100.0 if self.legs else self.contract.multiplier)

    @property
    def commission(self) -> float:
        if self.side == "X":
            return 0.0
        return sum(commission_of(self.contract, self.quantity) for _ in self.legs or (0,))


def trades(
    account: Account,
    booked: list[Booking],
    contracts: Contracts,
    market: Market,
    orders: list[Order],
    now: float,
    days: int,
) -> list[Trade]:
    """Executions of ``account`` today and on the ``days - 1`` days before, newest first."""
    found = [
        Trade(
            f"0000e0d5.{order.id:x}.{fill.number:02d}.01",
            order.account,
            order.contract,
            order.side[0],
            fill.quantity,
            fill.price / order.contract.magnifier,
            fill.at,
            order.id,
            order.handle,
            order.legs,
        )
        for order in orders
        if order.account == account.id
        for fill in order.fills
    ]
    found += [_booked(account, booking) for booking in booked]
    found += _expired(account, contracts, market, now)
    first = today(now) - timedelta(days=days - 1)
    kept = [trade for trade in found if trade.at <= now and today(trade.at) >= first]
    return sorted(kept, key=lambda trade: trade.at, reverse=True)


def _booked(account: Account, booking: Booking) -> Trade:
    contract, day = booking.contract, booking.day
    return Trade(
        f"0000e0d5.{day:%y%m%d}{contract.conid:x}.01.01",
        account.id,
        contract,
        "B" if booking.quantity > 0 else "S",
        abs(booking.quantity),
        booking.price,
        booking.at,
        1_100_000_000 + (day.toordinal() * 1000 + contract.conid) % 50_000_000,
        "",
    )


def _expired(account: Account, contracts: Contracts, market: Market, now: float) -> Iterator[Trade]:
    """An option that was bought two days before its last Friday, and how it expired without value."""
    if account.portfolio not in {"everything", "odd"}:
        return
    underlying = contracts.of_symbol("AAPL")[0]
    friday = today(now) - timedelta(days=(today(now).weekday() - 4) % 7 or 7)
    expiry = expiry_of(friday)
    last = underlying.market.trading_day(underlying.market.number_of(expiry))
    strike = (round(market.price(underlying, last.close) / underlying.strike_step) + 2) * underlying.strike_step
    option = contracts.option(underlying, expiry, strike, "C")
    number = 1_150_000_000 + expiry.toordinal() % 10_000 * 10
    bought = underlying.market.before(underlying.market.before(last)).open + 3600
    price = max(0.05, market.price(option, bought))
    for place, (side, moment, paid) in enumerate((("B", bought, price), ("X", last.close + 1200, 0.0))):
        name = f"0000e0d5.{expiry:%y%m%d}9{place}.01.01"
        yield Trade(name, account.id, option, side, 5.0, paid, moment, number + place, "")
