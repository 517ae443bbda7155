"""Gathers what the limits of a policy have to know for one order, by the guard's own paced reads, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.guard.snapshots.batches import OPERATION as SNAPSHOT
from ib_keepalive.guard.snapshots.reader import SnapshotReader
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading import readings
from ib_keepalive.trading.asker import Asker
from ib_keepalive.trading.facts import Facts, Instrument, PendingOrder, Price, Usage
from ib_keepalive.trading.intent import Order, OrderIntent
from ib_keepalive.trading.limits import check
from ib_keepalive.trading.policy import Limits, Policy
from ib_keepalive.trading.reckoning import OPTIONS
from ib_keepalive.trading.terms import Terms, conids_of, read_terms
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.catalogue import Catalogue
from ibkr.errors import UpstreamError

# IBKR lists orders every 5 s at most; what was sent since the last list is added from the ledger.
_ORDERS_KEPT_S = 5.0
_LONGEST_ANSWER_S = 15.0
_KEPT_S = 3600.0
_MOST_KEPT = 5000
_MOST_DESCRIBED = 200
_SHORT_LIMITS = frozenset({"short_selling", "naked_options"})

T = TypeVar("T")
SentSince = Callable[[str, float], Awaitable[Sequence[Order]]]
"""The tickets that were sent for an account since an epoch second, whatever became of them."""


@dataclass(frozen=True, slots=True)
class _Holdings:
    """``listed_at``: when IBKR's list of orders came, in seconds of the loop.

    ``began``: an epoch second before which nothing was sent that may be missing in it.
    """

    generation: int
    listed_at: float
    began: float
    pending: Sequence[PendingOrder] | None


class FactFinder:
    """``wall``: the calendar's clock (epoch seconds); ``sent_since``: see ``SentSince``."""

    def __init__(
        self,
        operations: Catalogue,
        reads: Reader,
        snapshots: SnapshotReader,
        sessions: Sessions,
        wall: Callable[[], float],
        sent_since: SentSince,
    ) -> None:
        self._operations = operations
        self._reads = reads
        self._snapshots = snapshots
        self._sessions = sessions
        self._wall = wall
        self._sent_since = sent_since
        self._instruments: dict[int, tuple[float, Instrument]] = {}
        self._orders: dict[str, _Holdings] = {}

    async def gather(self, intent: OrderIntent, policy: Policy, caller: Caller) -> Facts:
        """What the policy's limits have to know of the order. Any IbError when IBKR does not answer."""
        seen, memory = self._sessions.observe()
        asker = Asker(self._operations, self._reads, memory, caller)
        conids = conids_of(intent.orders)
        accounts, instruments = await _both(
            asker.ask("list_brokerage_accounts"), self._describe(conids, asker, policy.limits)
        )
        facts = Facts(
            is_paper=readings.read_is_paper(accounts, seen.mode),
            accounts=readings.read_accounts(accounts),
            instruments=instruments,
        )
        terms = read_terms(intent.orders)
        if not terms or any(conid not in instruments for conid in conids):
            return facts
        if _counts_money(policy.limits):
            facts = await self._add_money(facts, intent.account, asker)
        wants_prices = _wants_prices(terms, policy.limits)
        wants_holdings = _wants_holdings(intent, terms, instruments, policy.limits)
        if wants_prices or wants_holdings:
            prices, facts = await _both(
                self._read_prices(conids if wants_prices else (), memory, caller),
                self._add_holdings(facts, intent.account, policy, asker) if wants_holdings else _same(facts),
            )
            facts = replace(facts, prices=prices)
        if wants_holdings and _is_short(policy, intent, facts):
            # It may only seem so: what was done a moment ago was counted as working too.
            asker.forget("list_fresh_positions")
            if any(order.side == "SELL" for order in facts.pending or ()):
                asker.forget("list_live_orders")
                self._orders.pop(intent.account, None)
            facts = await self._add_holdings(facts, intent.account, policy, asker)
        self._sessions.check(memory)
        return facts

    async def _describe(self, conids: Iterable[int], asker: Asker, limits: Limits) -> dict[int, Instrument]:
        now = asyncio.get_running_loop().time()
        wanted = tuple(dict.fromkeys(conids))
        missing = [c for c in wanted if c not in self._instruments or now - self._instruments[c][0] > _KEPT_S]
        for start in range(0, len(missing), _MOST_DESCRIBED):
            text = ",".join(map(str, missing[start : start + _MOST_DESCRIBED]))
            body = await asker.ask("get_security_definitions", {"conids": text})
            found = list(readings.read_instruments(body))
            if len(self._instruments) + len(found) > _MOST_KEPT:
                self._instruments.clear()
            self._instruments.update({each.conid: (now, each) for each in found})
        known = {c: self._instruments[c][1] for c in wanted if c in self._instruments}
        if _counts_money(limits) or limits.quantity is not None:
            for conid, instrument in known.items():
                if instrument.divisor is None:
                    rules = await asker.ask("get_contract_rules", body={"conid": conid, "isBuy": True})
                    known[conid] = readings.with_divisor(instrument, rules)
                    self._instruments[conid] = (self._instruments[conid][0], known[conid])
        return known

    async def _add_money(self, facts: Facts, account: str, asker: Asker) -> Facts:
        """With the base currency of the account, and the rates to it."""
        base = readings.read_base(await asker.ask("list_portfolio_accounts"), account)
        currencies = {i.currency for i in facts.instruments.values()}
        # Of a currency pair both count.
        currencies |= {i.symbol for i in facts.instruments.values() if i.security_type == "CASH"}
        rates = {}
        for currency in sorted(currencies - {base}):
            if base and (rate := await self._rate(currency, base, asker)) is not None:
                rates[currency] = rate
        return replace(facts, base=base, rates=rates)

    @staticmethod
    async def _rate(currency: str, base: str, asker: Asker) -> Decimal | None:
        try:
            return readings.read_rate(await asker.ask("get_exchange_rate", {"source": currency, "target": base}))
        except UpstreamError:
            return None

    async def _read_prices(self, conids: Collection[int], memory: SessionMemory, caller: Caller) -> dict[int, Price]:
        if not conids:
            return {}
        row = self._operations[SNAPSHOT]
        query = (("conids", ",".join(map(str, conids))), ("fields", ",".join(readings.PRICE_FIELDS)))
        try:
            prices = await self._snapshots.read(ApiRequest(row, row.path, query), memory, caller)
        except UpstreamError:
            return {}
        since_s = asyncio.get_running_loop().time() - prices.fetched_at
        return readings.read_prices(json.loads(prices.content), since_s=since_s, wall=self._wall())

    async def _add_holdings(self, facts: Facts, account: str, policy: Policy, asker: Asker) -> Facts:
        """With what the account holds and what may still be sold: what is filled while it is read counts twice."""
        orders = await self._list_orders(account, asker)
        pending = orders.pending
        if pending is not None:
            pending = [*pending, *await self._sent(account, orders.began, pending)]
        held = await asker.ask("list_fresh_positions", account=account, not_before=orders.listed_at)
        positions = readings.read_positions(held)
        others = [*readings.read_option_conids(held), *(order.conid for order in pending or ())]
        others += [i.underlying for i in facts.instruments.values() if i.underlying and i.security_type in OPTIONS]
        described = await self._describe([*facts.instruments, *others], asker, Limits())
        return replace(facts, positions=positions, pending=pending, instruments={**described, **facts.instruments})

    async def _list_orders(self, account: str, asker: Asker) -> _Holdings:
        now = asyncio.get_running_loop().time()
        kept = self._orders.get(account)
        if kept is not None and kept.generation == asker.generation and now - kept.listed_at <= _ORDERS_KEPT_S:
            return kept
        asked = self._wall()
        several = len(readings.read_accounts(await asker.ask("list_brokerage_accounts"))) > 1
        query = {"accountId": account} if several else {}
        body, fetched_at, is_own = await asker.ask_with_time("list_live_orders", query)
        # Somebody else's question may have been on its way for as long as an answer takes.
        began = asked if is_own else asked - max(0.0, now - fetched_at) - _LONGEST_ANSWER_S
        listed = _Holdings(asker.generation, fetched_at, began, readings.read_pending(body, account))
        self._orders[account] = listed
        return listed

    async def _sent(self, account: str, since: float, listed: Sequence[PendingOrder]) -> list[PendingOrder]:
        """What was sent since IBKR's list was made and is not in it."""
        names = {order.client_order_id for order in listed}
        found = []
        # The calendar's clock may have been set by a little.
        for order in await self._sent_since(account, since - 1):
            if order.get("cOID") not in names or "cOID" not in order:
                (terms,) = read_terms([order])
                units = terms.quantity if terms.quantity is not None else Decimal("Infinity")
                found += [
                    PendingOrder(
                        leg.conid, "BUY" if leg.units > 0 else "SELL", amount := units * abs(leg.units), amount
                    )
                    for leg in terms.legs
                ]
        return found


def _counts_money(limits: Limits) -> bool:
    return limits.notional is not None or limits.notional_per_day is not None


def _wants_prices(terms: Sequence[Terms], limits: Limits) -> bool:
    """Whether a limit that is set cannot be reckoned from the order's own prices."""
    has_cash = any(each.cash is not None for each in terms)
    if limits.price_distance_percent is not None and any(each.limit is not None for each in terms):
        return True
    if has_cash and (limits.quantity is not None or not (limits.short_selling and limits.naked_options)):
        return True
    own = all((each.is_bounded and not each.is_combination) or each.cash is not None or each.is_exit for each in terms)
    return _counts_money(limits) and not own


def _wants_holdings(
    intent: OrderIntent, terms: Sequence[Terms], instruments: dict[int, Instrument], limits: Limits
) -> bool:
    """Whether a limit that is set asks what is held and working."""
    if intent.kind == "modify":
        return True
    sold = [instruments[leg.conid] for each in terms if not each.is_exit for leg in each.legs if leg.units < 0]
    has_options = any(one.security_type in OPTIONS for one in sold)
    is_limited = not limits.short_selling or not limits.naked_options
    return has_options or (is_limited and any(one.security_type != "CASH" for one in sold))


def _is_short(policy: Policy, intent: OrderIntent, facts: Facts) -> bool:
    return any(not each.passed and each.limit in _SHORT_LIMITS for each in check(policy, intent, facts, Usage()))


async def _same(value: T) -> T:
    return value


async def _both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, Any]) -> tuple[T, Any]:
    """Both results, asked for at the same time; the first error ends the other."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return first.result(), second.result()
