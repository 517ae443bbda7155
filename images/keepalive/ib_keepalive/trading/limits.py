"""What the owner's policy says about an order: a result for each limit that is set, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from ib_keepalive.trading import reckoning
from ib_keepalive.trading.cover import uncovered
from ib_keepalive.trading.facts import Facts, Instrument, PendingOrder, Usage
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.limit_result import LimitResult, among, at_most, listed, plain, result
from ib_keepalive.trading.policy import Limits, Policy
from ib_keepalive.trading.reckoning import OPTIONS, Unknown
from ib_keepalive.trading.terms import ORDER_TYPES, STOPS, Terms, conids_of, read_terms

__all__ = ["LimitResult", "check", "notional"]


def check(policy: Policy, intent: OrderIntent, facts: Facts, usage: Usage) -> list[LimitResult]:
    """Every limit that is set, and what it says of the order, which may go only when all have ``passed``.

    Of a cancellation only the mode and the account count. InvalidRequest where the order cannot be read.
    """
    results = list(_check_account(policy, intent, facts))
    if intent.kind in ("place", "modify"):
        results += _Check(policy.limits, intent, facts, usage).results()
    return results


def notional(policy: Policy, intent: OrderIntent, facts: Facts) -> float | None:
    """What the order adds to the sum of the day, in the base currency; None when it cannot be reckoned."""
    try:
        terms, max_age_s = read_terms(intent.orders), policy.limits.price_age_s
        return float(reckoning.added_notional(terms, _replaced(intent, facts), facts, max_age_s))
    except Unknown:
        return None


def _check_account(policy: Policy, intent: OrderIntent, facts: Facts) -> Iterator[LimitResult]:
    account = intent.account
    yield _of_mode(policy, account, facts)
    if policy.mode == "live":
        named = list(policy.live.accounts)
        yield result(
            "live.accounts",
            named,
            account,
            account in named,
            f"{account} is not among the accounts that may trade live",
        )
    if policy.limits.accounts:
        named = list(policy.limits.accounts)
        yield result("accounts", named, account, account in named, f"{account} is not among {listed(named)}")
    if account not in facts.accounts:
        why = f"{account} is not one of the accounts that IBKR lets this user trade in"
        yield result("accounts", "accounts of the user", account, False, why)


def _of_mode(policy: Policy, account: str, facts: Facts) -> LimitResult:
    match policy.mode:
        case "off":
            return LimitResult("mode", "off", "order", False, policy.problem or "Trading is off: mode is off.")
        case "preview":
            return LimitResult(
                "mode", "preview", "order", False, "mode is preview: orders are previewed, none is sent."
            )
        case "paper":
            kind = {True: "paper", False: "live", None: "unknown"}[facts.is_paper]
            why = (
                f"{account} is not a paper account"
                if kind == "live"
                else "IBKR does not say that this is paper trading"
            )
            return result("mode", "paper", kind, kind == "paper", why)
    return result("mode", "live", "order", True, "")


class _Check:
    """The limits of one place or change."""

    def __init__(self, limits: Limits, intent: OrderIntent, facts: Facts, usage: Usage) -> None:
        self._limits = limits
        self._intent = intent
        self._facts = facts
        self._usage = usage
        self._terms = read_terms(intent.orders)
        self._replaced = _replaced(intent, facts)

    def results(self) -> list[LimitResult]:
        unknown = [conid for conid in conids_of(self._intent.orders) if conid not in self._facts.instruments]
        if unknown:
            why = f"IBKR does not describe the instrument {unknown[0]}, so that no limit could be held against it"
            return [result("instrument", "described by IBKR", unknown[0], False, why)]
        return [
            *self._told(),
            *self._kept(),
            *self._lists(),
            *self._amounts(),
            *self._distances(),
            *self._shorts(),
            *self._counts(),
        ]

    def _told(self) -> Iterator[LimitResult]:
        """What the order says of its instrument has to be what IBKR says of it."""
        for order, terms in zip(self._intent.orders, self._terms, strict=True):
            instrument = self._facts.instruments[terms.legs[0].conid]
            for name, given, known in (
                ("secType", order.get("secType"), _kinds(instrument)),
                ("ticker", order.get("ticker"), {instrument.symbol}),
            ):
                if given is not None and not terms.is_combination and str(given).upper() not in known:
                    why = f"the order says {name} {str(given)[:40]}, and IBKR says {listed(sorted(known))}"
                    yield result("instrument", sorted(known), str(given)[:40], False, why)

    def _kept(self) -> Iterator[LimitResult]:
        """A change keeps instrument and side: what it changes them to would be another order."""
        if self._replaced:
            before = {order.conid: order.side for order in self._replaced.values()}
            now = {leg.conid: "BUY" if leg.units > 0 else "SELL" for leg in self._terms[0].legs}
            why = "the change names another instrument or side than the order has; cancel it and place a new one"
            yield result("change", "same", "same" if now == before else "another", now == before, why)

    def _lists(self) -> Iterator[LimitResult]:
        limits = self._limits
        instruments = [self._facts.instruments[conid] for conid in conids_of(self._intent.orders)]
        if limits.symbols is not None:
            wrong = next((i for i in instruments if not _names(i) & set(limits.symbols)), None)
            yield among("symbols", limits.symbols, instruments[0].symbol if wrong is None else _wording(wrong), wrong)
        given: dict[str, tuple[tuple[str, ...] | None, list[str]]] = {
            "security_types": (limits.security_types, [i.security_type for i in instruments]),
            "order_types": (limits.order_types, [t.type for t in self._terms]),
            "times_in_force": (limits.times_in_force, [t.tif for t in self._terms]),
            "sides": (limits.sides, [side for t in self._terms for side in _sides(t)]),
        }
        for name, (allowed, values) in given.items():
            if allowed is not None:
                bad = next((value for value in values if value not in allowed), None)
                yield among(name, allowed, values[0] if bad is None else bad, bad)
        odd = next((t.type for t in self._terms if t.type not in ORDER_TYPES), None)
        if odd is not None:
            yield among("order_types", tuple(sorted(ORDER_TYPES)), odd[:40], odd)

    def _amounts(self) -> Iterator[LimitResult]:
        limits, facts, age = self._limits, self._facts, self._limits.price_age_s
        if limits.quantity is not None:
            yield at_most("quantity", limits.quantity, lambda: reckoning.largest(self._terms, facts, age))
        if limits.notional is not None:
            yield at_most("notional", limits.notional, lambda: reckoning.notional(self._terms, facts, age), facts.base)
        if limits.notional_per_day is not None:
            before = Decimal(repr(float(self._usage.notional_per_day)))
            yield at_most(
                "notional_per_day",
                limits.notional_per_day,
                lambda: before + reckoning.added_notional(self._terms, self._replaced, facts, age),
                facts.base,
            )

    def _distances(self) -> Iterator[LimitResult]:
        allowed = self._limits.price_distance_percent
        limited = [terms for terms in self._terms if terms.limit is not None]
        if allowed is not None and limited:
            age = self._limits.price_age_s
            yield at_most(
                "price_distance_percent",
                allowed,
                lambda: max(reckoning.distance_percent(terms, self._facts, age) for terms in limited),
                "%",
            )

    def _shorts(self) -> Iterator[LimitResult]:
        if not self._limits.short_selling:
            yield self._no("short_selling", self._short_sale)
        if not self._limits.naked_options:
            yield self._no("naked_options", self._naked_option)

    def _no(self, limit: str, find: Callable[[], str | None]) -> LimitResult:
        try:
            found = find()
        except Unknown as unknown:
            found = f"whether the order is one cannot be told: {unknown}"
        return result(limit, False, found is not None, found is None, f"not permitted, and {found}")

    def _short_sale(self) -> str | None:
        return self._sold_short() or self._left_short()

    def _left_short(self) -> str | None:
        """A purchase that is made smaller may leave what is to end it larger than all that there is to sell then."""
        for before in self._replaced.values():
            amount = reckoning.units(self._terms[0], self._facts, self._limits.price_age_s).get(before.conid, Decimal())
            if before.side != "BUY" or not 0 < amount < before.total:
                continue
            held = self._positions().get(before.conid, Decimal())
            sales = [order for order in self._pending() if (order.conid, order.side) == (before.conid, "SELL")]
            # Of a target and a stop only one is done.
            stops = sum((order.remaining for order in sales if order.order_type in STOPS), Decimal())
            selling = max(stops, sum((order.remaining for order in sales), Decimal()) - stops)
            if selling > max(held, held + amount - (before.total - before.remaining)):
                name = _wording(self._facts.instruments[before.conid])
                return f"{plain(selling)} {name} work to be sold, more than there would be: lower that first"
        return None

    def _sold_short(self) -> str | None:
        for conid, amount in self._sold().items():
            instrument = self._facts.instruments[conid]
            if instrument.security_type == "CASH" or instrument.security_type in OPTIONS:
                continue
            held = self._positions().get(conid, Decimal()) - sum(
                (order.remaining for order in self._pending() if (order.conid, order.side) == (conid, "SELL")),
                Decimal(),
            )
            if amount > max(held, Decimal()):
                free = f"{plain(held)} are held and not for sale already"
                return f"{plain(amount)} {_wording(instrument)} would be sold, and {free}"
        return None

    def _naked_option(self) -> str | None:
        sold = self._sold()
        if not sold:
            return None
        changes = {conid: -amount for conid, amount in sold.items()}
        (first, *others) = [terms for terms in self._terms if not terms.is_exit]
        if first.is_combination and not others:
            # The legs of one combination are traded together.
            changes |= reckoning.units(first, self._facts, self._limits.price_age_s)
        missing = uncovered(replace(self._facts, positions=self._positions(), pending=self._pending()), changes)
        return f"{plain(missing)} units of the underlying would be written without cover" if missing > 0 else None

    def _sold(self) -> dict[int, Decimal]:
        """What is sold anew, by conid; a change that sells no more than before sells nothing anew."""
        sold = reckoning.sold(self._terms, self._facts, self._limits.price_age_s)
        before = {order.conid: order.total for order in self._replaced.values() if order.side == "SELL"}
        return {conid: amount for conid, amount in sold.items() if amount > before.get(conid, Decimal())}

    def _positions(self) -> dict[int, Decimal]:
        if self._facts.positions is None:
            raise Unknown("the positions of the account were not read")
        return dict(self._facts.positions)

    def _pending(self) -> Sequence[PendingOrder]:
        if self._facts.pending is None:
            raise Unknown("the working orders of the account were not read")
        return [order for order in self._facts.pending if order not in self._replaced.values()]

    def _counts(self) -> Iterator[LimitResult]:
        new = len(self._intent.orders)
        for name, allowed, before in (
            ("orders_per_minute", self._limits.orders_per_minute, self._usage.orders_per_minute),
            ("orders_per_day", self._limits.orders_per_day, self._usage.orders_per_day),
        ):
            if allowed is not None:
                count = before + new
                why = f"the policy permits {allowed}, and with this it would be {count}"
                yield result(name, allowed, count, count <= allowed, why)


def _replaced(intent: OrderIntent, facts: Facts) -> dict[int, PendingOrder]:
    """What a change replaces, by conid."""
    if intent.kind != "modify":
        return {}
    return {order.conid: order for order in facts.pending or () if order.order_id == intent.order_id}


def _sides(terms: Terms) -> list[str]:
    return [terms.side, *("BUY" if leg.units > 0 else "SELL" for leg in terms.legs)]


def _names(instrument: Instrument) -> set[str]:
    """What an instrument may be called in the list of symbols."""
    symbol = instrument.symbol.upper()
    return {symbol, f"{symbol}@{instrument.exchange}", f"{symbol}.{instrument.currency}", str(instrument.conid)}


def _kinds(instrument: Instrument) -> set[str]:
    kind = instrument.security_type
    return {kind, f"{instrument.conid}:{kind}", f"{instrument.conid}@{kind}"}


def _wording(instrument: Instrument) -> str:
    return f"{instrument.symbol} ({instrument.security_type}, conid {instrument.conid})"
