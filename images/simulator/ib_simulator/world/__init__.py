"""The world that the simulator's answers describe: instruments, prices, accounts and what the user stored.

Everything follows from the seed and the time of the question. What a user changes (orders, watchlists, alerts, ...)
is kept in the world, so it outlives a brokerage session, as at the broker.

Instruments to try things with: AAPL, IBM and MSFT are listed on several exchanges, SAP, SHEL, BHP and RY in several
currencies under different names. CL is a stock and a future, SPX an index and a share, BTC a coin and a trust, ALV two
companies; AAPL also issues bonds and has a CFD, 4391 and 700 are tickers. Data of IBIS, LSE, AEB, ASX, JSE and SEHK are
delayed, those of NESN, NOVN and the listings in Mexico and Toronto not subscribed; BYND is halted. LSE quotes in pence,
JSE and ZC in cents. Options exist on AAPL, SPX (morning and afternoon), PFE (also adjusted), DAX, on the futures ES, CL
and GC, and some forty more; DAX and SI have futures of several sizes. Events are SCPI, SUNR and SCO2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

from ib_simulator.world.accounts import ACCOUNTS, GROUPS, USER_NAMES, Account, UserKey
from ib_simulator.world.bookings import Booking, bookings
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.holdings import Holding, holdings_of
from ib_simulator.world.hours import US_STOCKS
from ib_simulator.world.market import Market, last_update, today
from ib_simulator.world.orders import OrderStore
from ib_simulator.world.orders.executions import Execution, executions_of
from ib_simulator.world.positions import Positions
from ib_simulator.world.stored import begin
from ib_simulator.world.trades import Trade, trades
from ib_simulator.world.valuation import Valuation, value

__all__ = ["World"]


@lru_cache(maxsize=4)
def _market(seed: int) -> Market:
    return Market(seed, Contracts())


def market_of(seed: int) -> Market:
    """A market of its own; those of one seed share contracts, prices and what they computed, until one is moved."""
    return _market(seed).copy()


class World:
    """One signed-in user's view of the broker.

    ``market``: one that several users share. ``positions_page``: rows in a page of positions, 30 or 100 by IBKR's
    documents. ``pages_repeat``: the last page is answered again after the end, in place of an empty one.
    """

    def __init__(self, seed: int, user: UserKey, *, positions_page: int = 100, market: Market | None = None) -> None:
        self.seed = seed
        self.is_paper = user == "paper"
        self.user_name = USER_NAMES[user]
        self.accounts = ACCOUNTS[user]
        self.groups = GROUPS.get(user, {})
        self.positions_page = positions_page
        self.pages_repeat = False
        self.market = market or market_of(seed)
        self.contracts = self.market.contracts
        self.cold_notifications = 423
        self.orders = OrderStore(seed, self.accounts, self.groups, self.contracts, self.market)
        self.stored = begin(self.accounts)
        self._booked: tuple[tuple[str, date, int] | None, list[Booking]] = None, []
        self._chosen: dict[tuple[str, date], list[Holding]] = {}
        self._positions: dict[tuple[str, date], Positions] = {}
        self._valued: dict[str, tuple[int, Valuation]] = {}
        self._checked: dict[str, tuple[int, Valuation]] = {}
        self._portal: dict[str, Valuation] = {}

    def account(self, account_id: str) -> Account | None:
        return next((account for account in self.accounts if account.id == account_id), None)

    def holdings(self, account: Account, now: float) -> list[Holding]:
        """What ``account`` holds, with what its orders changed."""
        return self.positions(account, now).holdings(now)

    def _held_before(self, account: Account, now: float) -> list[Holding]:
        """Without the orders; chosen anew each month, when old derivatives have expired."""
        month = today(now).replace(day=1)
        found = self._chosen.get((account.id, month))
        if found is None:
            found = holdings_of(account, self.seed, self.contracts, self.market, month)
            self._chosen[account.id, month] = found
        return found

    def positions(self, account: Account, now: float) -> Positions:
        """Positions and cash of ``account``, every fill up to ``now`` included."""
        self.orders.settle(now)
        key = account.id, today(now).replace(day=1)
        found = self._positions.get(key)
        if found is None:
            found = self._positions[key] = Positions(self._held_before(account, now), account.cash)
        for order, place in self.orders.filled[found.applied :]:
            if order.account == account.id:
                for execution in executions_of(order, order.fills[place], self.contracts):
                    found.apply(execution)
        found.applied = len(self.orders.filled)
        return found

    def valuation(self, account: Account, now: float) -> Valuation:
        """``account`` at the prices that market data shows at ``now``."""
        moment = last_update(now)
        positions = self.positions(account, now)
        filled, found = self._valued.get(account.id, (0, None))
        if found is None or found.at != moment or filled != positions.applied:
            dealt = self._dealt(account, now)
            cash = positions.cash(self.market, moment)
            found = value(account, cash, positions.holdings(now), self.market, moment, dealt)
            self._valued[account.id] = positions.applied, found
        return found

    def is_small(self, account: Account, executions: list[Execution], now: float) -> bool:
        """Whether they are paid from the funds of the last minutes without a second look: saves valuing everything."""
        if any(one.contract.right for one in executions):
            return False
        spent = self._spent(account, [(one.contract, one.quantity * one.price) for one in executions], now)
        bookings = self.positions(account, now).bookings
        found = self._checked.get(account.id)
        if found is not None and found[1].at <= now < found[1].at + 300:
            since = [(one.contract, one.quantity * one.price) for one in bookings[found[0] :]]
            if 2 * (spent + self._spent(account, since, now)) < min(found[1].available_funds, found[1].cash):
                return True
        value = self.valuation(account, now)
        self._checked[account.id] = len(bookings), value
        return 2 * spent < min(value.available_funds, value.cash)

    def _spent(self, account: Account, dealt: list[tuple[Contract, float]], now: float) -> float:
        """Quantities times prices as money in the account's currency."""
        return sum(
            abs(paid) * contract.multiplier * self.market.rate(contract.currency, account.currency, now)
            for contract, paid in dealt
        )

    def valuation_after(self, account: Account, executions: list[Execution], now: float) -> Valuation:
        """``valuation`` as it would be with ``executions``, but for the profit of the day."""
        before = self.valuation(account, now)
        positions = self.positions(account, now).copy()
        for execution in executions:
            positions.apply(execution)
        conids = {execution.contract.conid for execution in executions}
        held = [holding for holding in positions.holdings(now) if holding.contract.conid in conids]
        after = value(account, positions.cash(self.market, before.at), held, self.market, before.at, {})
        rows = tuple(row for row in before.rows if row.holding.contract.conid not in conids) + after.rows
        return replace(after, rows=rows, rates=before.rates | after.rates)

    @staticmethod
    def _trading_day(now: float) -> date:
        """The one that is on, or was the last."""
        return US_STOCKS.at(now).date

    def _dealt(self, account: Account, now: float) -> dict[int, list[Booking]]:
        """The bookings of the trading day."""
        day = self._trading_day(now)
        booked = self.bookings(account, now, (today(now) - day).days + 1)
        return by_conid(booking for booking in booked if booking.day >= day)

    def bookings(self, account: Account, now: float, days: int) -> list[Booking]:
        """Of everything held, on the last ``days`` days, fills of orders included."""
        first = today(now) - timedelta(days=days - 1)
        filled = [booking for booking in self.positions(account, now).bookings if booking.day >= first]
        return self._bookings_before(account, now, days) + filled

    def bookings_in(self, account: Account, conid: int, now: float, days: int) -> list[Booking]:
        """As ``bookings``, of one contract."""
        first = today(now) - timedelta(days=days - 1)
        found = [
            booking
            for holding in self._held_before(account, now)
            if holding.contract.conid == conid
            for booking in bookings(account, holding, self.market, now, today(now), days)
        ]
        filled = self.positions(account, now).bookings
        return found + [one for one in filled if one.contract.conid == conid and one.day >= first]

    def _bookings_before(self, account: Account, now: float, days: int) -> list[Booking]:
        """Those that led to what was held before the orders."""
        key = account.id, today(now), days
        if self._booked[0] != key:
            end_of_day = now + 86400.0
            booked = [
                booking
                for holding in self._held_before(account, now)
                for booking in bookings(account, holding, self.market, end_of_day, today(now), days)
            ]
            self._booked = key, booked
        return [booking for booking in self._booked[1] if booking.at <= now]

    def cached_valuation(self, account: Account, now: float) -> Valuation:
        """As ``valuation``, but up to two minutes old: the portal's positions lag."""
        found = self._portal.get(account.id)
        if found is None or not found.at <= now < found.at + 120.0:
            found = self._portal[account.id] = self.valuation(account, now)
        return found

    def forget_cached_valuation(self, account: Account) -> None:
        self._portal.pop(account.id, None)

    def trades(self, account: Account, now: float, days: int) -> list[Trade]:
        """Executions of ``account``, newest first: today's and those of ``days - 1`` days before."""
        booked = self._bookings_before(account, now, days)
        return trades(account, booked, self.contracts, self.market, self.orders.all(now), now, days)


def by_conid(booked: Iterable[Booking]) -> dict[int, list[Booking]]:
    found: dict[int, list[Booking]] = {}
    for booking in booked:
        found.setdefault(booking.contract.conid, []).append(booking)
    return found
