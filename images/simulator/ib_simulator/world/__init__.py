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

from datetime import date
from functools import lru_cache

from ib_simulator.world.accounts import ACCOUNTS, GROUPS, USER_NAMES, Account, UserKey
from ib_simulator.world.bookings import Booking, bookings
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.holdings import Holding, holdings_of
from ib_simulator.world.hours import US_STOCKS
from ib_simulator.world.market import Market, last_update, today
from ib_simulator.world.orders import OrderStore
from ib_simulator.world.stored import begin
from ib_simulator.world.trades import Trade, trades
from ib_simulator.world.valuation import Valuation, value

__all__ = ["World"]


@lru_cache(maxsize=4)
def _market(seed: int) -> Market:
    # Contracts and prices never change, so worlds of one seed share them and what they computed.
    return Market(seed, Contracts())


class World:
    """One signed-in user's view of the broker.

    ``positions_page``: rows in a page of positions, 30 or 100 by IBKR's documents. ``pages_repeat``: the last page is
    answered again after the end, in place of an empty one.
    """

    def __init__(self, seed: int, user: UserKey, *, positions_page: int = 100) -> None:
        self.seed = seed
        self.is_paper = user == "paper"
        self.user_name = USER_NAMES[user]
        self.accounts = ACCOUNTS[user]
        self.groups = GROUPS.get(user, {})
        self.positions_page = positions_page
        self.pages_repeat = False
        self.market = _market(seed)
        self.contracts = self.market.contracts
        self.cold_notifications = 423
        self.orders = OrderStore(seed, self.accounts, self.groups, self.contracts, self.market)
        self.stored = begin(self.accounts)
        self._booked: tuple[tuple[str, date, int] | None, list[Booking]] = None, []
        self._holdings: dict[tuple[str, date], list[Holding]] = {}
        self._valued: dict[str, Valuation] = {}
        self._portal: dict[str, Valuation] = {}

    def account(self, account_id: str) -> Account | None:
        return next((account for account in self.accounts if account.id == account_id), None)

    def holdings(self, account: Account, now: float) -> list[Holding]:
        """What ``account`` holds; chosen anew each month, when old derivatives have expired."""
        month = today(now).replace(day=1)
        found = self._holdings.get((account.id, month))
        if found is None:
            found = holdings_of(account, self.seed, self.contracts, self.market, month)
            self._holdings[account.id, month] = found
        return found

    def valuation(self, account: Account, now: float) -> Valuation:
        """``account`` at the prices that market data shows at ``now``."""
        moment = last_update(now)
        found = self._valued.get(account.id)
        if found is None or found.at != moment:
            dealt = self._dealt(account, moment)
            found = self._valued[account.id] = value(account, self.holdings(account, now), self.market, moment, dealt)
        return found

    def _dealt(self, account: Account, now: float) -> dict[int, list[Booking]]:
        """The bookings of the trading day that is on, or was the last."""
        day = US_STOCKS.at(now).date
        found: dict[int, list[Booking]] = {}
        for booking in self.bookings(account, now, (today(now) - day).days + 1):
            if booking.day == day:
                found.setdefault(booking.holding.contract.conid, []).append(booking)
        return found

    def bookings(self, account: Account, now: float, days: int) -> list[Booking]:
        """Of everything held, on the last ``days`` days."""
        key = account.id, today(now), days
        if self._booked[0] != key:
            end_of_day = now + 86400.0
            booked = [
                booking
                for holding in self.holdings(account, now)
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
        booked = self.bookings(account, now, days)
        return trades(account, booked, self.contracts, self.market, self.orders.all(now), now, days)
