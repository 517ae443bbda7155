"""Whatever is ordered, changed, cancelled and filled in whatever order: what was permitted never breaks a limit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ib_keepalive.trading.cover import shortages
from ib_keepalive.trading.facts import Facts, PendingOrder, Usage
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.limits import check
from support.order_facts import (
    AAPL,
    CALL,
    HIGH_CALL,
    LATER_CALL,
    MSFT,
    PUT,
    combination,
    facts,
    modify,
    place,
    policy,
    ticket,
)

POLICY = policy("short_selling = false\nnaked_options = false\nquantity = 500\n")
CONIDS = (AAPL, MSFT, CALL, LATER_CALL, HIGH_CALL, PUT)
AMOUNTS = st.integers(1, 300)
SIDES = st.sampled_from(("BUY", "SELL"))

Action = tuple[Any, ...]
ACTIONS = st.one_of(
    st.tuples(st.just("place"), st.sampled_from(CONIDS), SIDES, AMOUNTS),
    st.tuples(st.just("spread"), st.sampled_from(CONIDS), st.sampled_from(CONIDS), SIDES, st.integers(1, 3)),
    st.tuples(st.just("bracket"), st.sampled_from((AAPL, CALL)), SIDES, AMOUNTS, AMOUNTS),
    st.tuples(st.just("modify"), st.integers(0, 9), AMOUNTS),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("fill"), st.integers(0, 9), st.integers(1, 300)),
)


@dataclass
class Broker:
    """Takes every order that the limits permit, and fills it as it likes."""

    positions: dict[int, Decimal] = field(default_factory=lambda: {AAPL: Decimal(150), MSFT: Decimal(20)})
    pending: list[PendingOrder] = field(default_factory=list)
    # Orders that only work once their parent is filled, by the parent's id.
    waiting: dict[str, list[PendingOrder]] = field(default_factory=dict)
    numbers: int = 0

    def facts(self) -> Facts:
        listed = [*self.pending, *(order for orders in self.waiting.values() for order in orders)]
        return facts(positions=dict(self.positions), pending=listed)

    def permits(self, intent: OrderIntent) -> bool:
        return all(result.passed for result in check(POLICY, intent, self.facts(), Usage()))

    def do(self, action: Action) -> None:
        match action:
            case "place", conid, side, amount:
                self._place(ticket(conid, side, amount))
            case "spread", one, other, side, amount if one != other:
                order = combination((one, 1), (other, -1), side=side, quantity=amount)
                if self.permits(place(order)):
                    # The legs of a combination are traded together.
                    sign = 1 if side == "BUY" else -1
                    self._trade(one, Decimal(sign * amount))
                    self._trade(other, Decimal(-sign * amount))
            case "bracket", conid, side, amount, closing:
                self._bracket(conid, side, amount, closing)
            case "modify", number, amount if self.pending:
                order = self.pending[number % len(self.pending)]
                wish = modify(ticket(order.conid, order.side, amount), order.order_id or "")
                if self.permits(wish):
                    done = order.total - order.remaining
                    changed = replace(order, total=Decimal(amount), remaining=max(Decimal(), amount - done))
                    self.pending[self.pending.index(order)] = changed
            case "cancel", number if self.pending:
                self.waiting.pop(self.pending.pop(number % len(self.pending)).order_id or "", None)
            case "fill", number, amount if self.pending:
                self._fill(number % len(self.pending), Decimal(amount))

    def _place(self, order: dict[str, Any]) -> None:
        if self.permits(place(order)):
            self.pending.append(self._working(order))

    def _bracket(self, conid: int, side: str, amount: int, closing: int) -> None:
        back = "SELL" if side == "BUY" else "BUY"
        parent = ticket(conid, side, amount, cOID="b")
        children = [
            ticket(conid, back, closing, parentId="b"),
            ticket(conid, back, closing, orderType="STP", parentId="b"),
        ]
        if self.permits(place(parent, *children)):
            working = self._working(parent)
            self.pending.append(working)
            # One cancels the other, so that one of them is filled at most.
            self.waiting[working.order_id or ""] = [self._working(children[0])]

    def _working(self, order: dict[str, Any]) -> PendingOrder:
        self.numbers += 1
        amount = Decimal(order["quantity"])
        return PendingOrder(order["conid"], order["side"], amount, amount, str(self.numbers), order["orderType"])

    def _fill(self, place: int, amount: Decimal) -> None:
        order = self.pending[place]
        filled = min(amount, order.remaining)
        self._trade(order.conid, filled if order.side == "BUY" else -filled)
        left = replace(order, remaining=order.remaining - filled)
        self.pending[place] = left
        if not left.remaining:
            self.pending.pop(place)
            self.pending += self.waiting.pop(order.order_id or "", [])

    def _trade(self, conid: int, amount: Decimal) -> None:
        self.positions[conid] = self.positions.get(conid, Decimal()) + amount


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_nothing_is_ever_sold_short_or_written_without_cover(actions: list[Action]) -> None:
    broker = Broker()
    for action in actions:
        broker.do(action)
        assert min(broker.positions.get(AAPL, 0), broker.positions.get(MSFT, 0)) >= 0, action
        missing = shortages(replace(broker.facts(), pending=()), {})
        assert max(missing.values(), default=0) <= 0, action


PRICES = st.integers(1, 100_000).map(lambda cents: cents / 100)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(("LMT", "MKT", "STP", "STOP_LIMIT")),
    SIDES,
    st.integers(1, 1000),
    PRICES,
    PRICES,
    st.integers(1, 500_000),
)
def test_what_is_permitted_costs_no_more_than_the_limit(
    kind: str, side: str, quantity: int, price: float, stop: float, most: int
) -> None:
    """Filled at once, at the worst price that the order and the market of this moment admit."""
    prices = {"LMT": {"price": price}, "MKT": {"price": None}, "STP": {"price": stop}}
    more = prices.get(kind, {"price": price, "auxPrice": stop})
    order = ticket(AAPL, side, quantity, orderType=kind, **more)
    read = policy(f"short_selling = true\nnaked_options = true\nnotional = {most}")
    results = check(read, place(order), facts(), Usage())

    if all(result.passed for result in results):
        bound = price if kind in ("LMT", "STOP_LIMIT") else None
        market = 200.1 if side == "BUY" else 199.9
        if side == "BUY" and bound is not None:
            market = min(market, bound)
        assert quantity * market <= most + 0.01
