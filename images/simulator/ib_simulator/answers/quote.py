"""One contract at one moment, as its market data is read."""

from __future__ import annotations

from functools import cached_property

from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.options import Greeks
from ib_simulator.world.prices import Range
from ib_simulator.world.valuation import Valuation, Valued


def availability(contract: Contract, *, is_open: bool) -> str:
    """The letters of field 6509, and of ``mdAvailability`` of history."""
    if contract.feed == "N":
        return "N"
    if contract.feed == "D":
        return "DPB" if is_open else "YPB"
    return "RpB" if is_open else "ZB"


class Quote:
    """One contract at one moment, with what several fields share computed once.

    ``asked_at`` is the time of the question, ``now`` the time that the data shows: delayed data lags.
    """

    def __init__(self, world: World, contract: Contract, now: float) -> None:
        self.world = world
        self.contract = contract
        self.asked_at = now
        self.now = world.market.seen_at(contract, now)
        self.trading_day = contract.market.at(self.now)
        self.is_open = self.trading_day.pre <= self.now < self.trading_day.post

    @cached_property
    def last(self) -> float:
        return self.world.market.price(self.contract, self.now)

    @cached_property
    def sides(self) -> tuple[float, float]:
        return self.world.market.spread(self.contract, self.last)

    @cached_property
    def prior(self) -> float:
        return self.world.market.prior_close(self.contract, self.now)

    @cached_property
    def close(self) -> float:
        """Today's close once there is one, before that the close of the day before."""
        market = self.world.market
        if self.now < self.trading_day.close:
            return self.prior
        return market.price(self.contract, self.trading_day.close)

    @cached_property
    def day(self) -> Range | None:
        """The regular hours so far; None before they begin."""
        start, end = self.trading_day.open, min(self.now, self.trading_day.close)
        if end <= start:
            return None
        path = self.world.market.path(self.contract)
        own = path.market.at(end - 1)
        low, high = max(start, own.open), min(end, own.close)
        if high <= low:
            return None
        return self.world.market.range_of(self.contract, path.between(low, high, own), low, high)

    @cached_property
    def volume(self) -> int:
        return self.world.market.volume(self.contract, self.trading_day, self.trading_day.open, self.now)

    @cached_property
    def greeks(self) -> Greeks | None:
        return self.world.market.greeks(self.contract, self.now) if self.contract.right else None

    @cached_property
    def portfolio(self) -> Valuation:
        """The user's first account, as the portal shows it."""
        return self.world.cached_valuation(self.world.accounts[0], self.asked_at)

    @cached_property
    def held(self) -> Valued | None:
        """The user's own position."""
        return self.portfolio.by_conid.get(self.contract.conid)

    def trait(self, salt: int, below: int) -> int:
        """A number under ``below`` that belongs to the instrument."""
        return self.contract.trait(salt, below)

    def money(self, price: float) -> str:
        return f"{price * self.contract.magnifier:.{self.contract.quoted_decimals}f}"
