"""What an account is worth: every holding at its price, cash in each currency, margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from ib_simulator.world.accounts import Account
from ib_simulator.world.bookings import Booking
from ib_simulator.world.holdings import Holding
from ib_simulator.world.market import Market

_MARGIN = {
    "STK": 0.25,
    "CASH": 0.02,
    "CRYPTO": 1.0,
    "BOND": 0.2,
    "BILL": 0.01,
    "FUND": 0.25,
    "CMDTY": 0.1,
    "CFD": 0.2,
    "FUT": 0.08,
    "FOP": 0.0,
    "OPT": 0.0,
    "WAR": 1.0,
    "IOPT": 1.0,
}
"""Maintenance margin as a share of the market value."""

_WRITTEN = 0.1
"""Margin of written options, as a share of what they may have to be delivered for."""

OWNED = ("STK", "OPT", "FOP", "BOND", "BILL", "FUND", "CMDTY", "WAR", "IOPT", "CRYPTO")
"""Classes whose market value counts towards net liquidation. Futures are settled in cash every day, forex is cash, and
of a CFD only the gain counts."""

_INTEREST = 0.031
"""A year's interest on cash, accrued since the month began; half as much again is charged on debt."""


@dataclass(frozen=True, slots=True)
class Valued:
    """A holding at a price; money in the contract's currency, ``rate`` turns it into the account's.

    ``daily`` and ``realized`` are of the trading day, what was dealt in it included.
    """

    holding: Holding
    price: float
    value: float
    unrealized: float
    daily: float
    realized: float
    rate: float

    @property
    def paid(self) -> float:
        """What the position cost."""
        return self.value - self.unrealized

    @property
    def margin(self) -> float:
        """Maintenance margin, in the contract's currency."""
        contract, units = self.holding.contract, self.holding.quantity * self.holding.contract.multiplier
        written = -units * contract.strike * _WRITTEN if contract.right and units < 0 else 0.0
        return abs(self.value) * _MARGIN.get(contract.kind, 0.0) + written


@dataclass(frozen=True)
class Valuation:
    """An account at one moment; money in its base currency unless it says otherwise. ``rates`` by currency.

    ``opening`` is the cash that the month began with, which interest accrues on.
    """

    account: Account
    rows: tuple[Valued, ...]
    rates: dict[str, float]
    at: float
    opening: dict[str, float]

    def total(self, *kinds: str, currency: str | None = None, of: str = "value") -> float:
        """The sum of a figure of the rows over kinds (all if none); in ``currency`` if given."""
        return sum(
            float(getattr(row, of)) * (1.0 if currency else row.rate)
            for row in self.rows
            if (not kinds or row.holding.contract.kind in kinds)
            and (currency is None or row.holding.contract.currency == currency)
        )

    def treasuries(self, currency: str | None = None) -> float:
        """Market value of the government bonds among the bonds; in ``currency`` if given."""
        return sum(
            row.value * (1.0 if currency else row.rate)
            for row in self.rows
            if row.holding.contract.kind == "BOND"
            and row.holding.contract.sector == "Government"
            and currency in {None, row.holding.contract.currency}
        )

    @cached_property
    def by_conid(self) -> dict[int, Valued]:
        return {row.holding.contract.conid: row for row in self.rows}

    @cached_property
    def market_value(self) -> float:
        """Of all positions that count towards net liquidation."""
        return self.total(*OWNED) + self.total("CFD", of="unrealized")

    @cached_property
    def cash(self) -> float:
        return sum(amount * self.rates[currency] for currency, amount in self.account.cash.items())

    @cached_property
    def models(self) -> list[str]:
        """The adviser's models that positions are in; empty stands for none."""
        return list(dict.fromkeys(("", *(row.holding.model for row in self.rows))))

    def of_model(self, model: str) -> Valuation:
        """The positions of ``model`` alone."""
        return replace(self, rows=tuple(row for row in self.rows if row.holding.model == model))

    def accrued_interest(self, currency: str | None = None) -> float:
        """Since the month began: on the cash in ``currency`` and in it, or on all of it in the base currency."""
        day = datetime.fromtimestamp(self.at, UTC).day
        return sum(
            amount * _INTEREST * (1.0 if amount > 0 else 1.5) * day / 365 * (1.0 if currency else self.rates[held])
            for held, amount in self.opening.items()
            if currency in {None, held}
        )

    @cached_property
    def net_liquidation(self) -> float:
        return self.cash + self.market_value + self.accrued_interest()

    @cached_property
    def unrealized_pnl(self) -> float:
        return self.total(of="unrealized")

    @cached_property
    def daily_pnl(self) -> float:
        return self.total(of="daily")

    @cached_property
    def previous_net_liquidation(self) -> float:
        """At the end of the trading day before."""
        return self.net_liquidation - self.daily_pnl

    @cached_property
    def realized_pnl(self) -> float:
        return self.total(of="realized")

    @cached_property
    def maintenance_margin(self) -> float:
        return self.margin()

    def margin(self, *kinds: str) -> float:
        """Maintenance margin of positions of these kinds (all if none)."""
        return sum(row.margin * row.rate for row in self.rows if not kinds or row.holding.contract.kind in kinds)

    @cached_property
    def initial_margin(self) -> float:
        return self.maintenance_margin * 1.1

    @cached_property
    def excess_liquidity(self) -> float:
        return self.net_liquidation - self.maintenance_margin

    @cached_property
    def gross(self) -> float:
        """Market value with shorts counted as positive."""
        return sum(abs(row.value) * row.rate for row in self.rows if row.holding.contract.kind in OWNED)

    @cached_property
    def buying_power(self) -> float:
        return self.available_funds * (4 if self.account.trading_type == "STKNOPT" else 1)

    @cached_property
    def currencies(self) -> set[str]:
        """Those that cash or positions are in."""
        return {*self.account.cash, *(row.holding.contract.currency for row in self.rows)}

    @cached_property
    def available_funds(self) -> float:
        return self.net_liquidation - self.initial_margin


def value(
    account: Account,
    cash: dict[str, float],
    holdings: list[Holding],
    market: Market,
    now: float,
    dealt: Mapping[int, list[Booking]],
) -> Valuation:
    """``account`` with ``cash`` and ``holdings`` at the prices of ``now``; ``dealt`` are the trading day's bookings by
    conid."""
    rates = {currency: market.rate(currency, account.currency, now) for currency in account.cash | cash}
    rows = []
    for holding in holdings:
        contract = holding.contract
        if contract.currency not in rates:
            rates[contract.currency] = market.rate(contract.currency, account.currency, now)
        price = market.price(contract, now)
        units = holding.quantity * contract.multiplier
        prior = market.prior_close(contract, now)
        today = dealt.get(contract.conid, ())
        since_close = sum(one.quantity * contract.multiplier * (prior - one.price) - one.commission for one in today)
        rows.append(
            Valued(
                holding,
                price,
                units * price,
                units * (price - holding.cost),
                units * (price - prior) + since_close,
                sum(one.gain or 0.0 for one in today),
                rates[contract.currency],
            )
        )
    return Valuation(replace(account, cash=cash), tuple(rows), rates, now, account.cash)
