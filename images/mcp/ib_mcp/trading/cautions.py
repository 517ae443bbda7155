"""What a careful person would say about an order before it is placed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ib_mcp.formats.numbers import shown
from ib_mcp.formats.times import iso
from ib_mcp.trading.contract_rules import ContractRules, is_fraction
from ib_mcp.trading.order import Order
from ib_mcp.trading.tickets import Group
from ibkr.field_values import Timing

_FAR = Decimal("0.05")
# Quotes older than this are those of a market that moved on.
_OLD_S = 60
_HOUSE = {
    "delayed": "The prices are delayed by 15 to 20 minutes.",
    "frozen": "The prices are the last ones before the market closed.",
    "frozen_delayed": "The prices are the last delayed ones before the market closed.",
    "not_subscribed": "There are no prices: the user has no market-data subscription for this instrument.",
    "not_acknowledged": "There are no prices: the user has not signed IBKR's market-data agreement for the API.",
    "unknown": "IBKR does not say whether the prices are live.",
}


@dataclass(frozen=True, slots=True)
class Market:
    """Prices as quoted; ``age_s`` of the answer, ``updated``: IBKR's time of the last change.

    ``is_open`` in regular hours, ``is_open_extended`` outside them too; None where not told.
    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    timing: Timing = "unknown"
    age_s: float | None = None
    updated: str | None = None
    is_open: bool | None = None
    is_open_extended: bool | None = None
    next_open: float | None = None
    expires_in_days: int | None = None

    @property
    def reference(self) -> Decimal | None:
        """Between bid and ask, else the last price."""
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.last

    def opposite(self, side: str) -> Decimal | None:
        """What an order of ``side`` would be filled at now."""
        return self.ask if side == "BUY" else self.bid


def of_market(order: Order, market: Market) -> Iterable[str]:
    """About the hours and the prices."""
    if market.timing != "live":
        yield _HOUSE[market.timing]
    elif market.age_s is not None and market.age_s > _OLD_S:
        yield f"The prices are {market.age_s:.0f} s old."
    yield from _of_hours(order, market)
    if market.reference is None:
        yield "IBKR tells no price at present: notional and distance from the market are not known."
    elif not order.legs:
        yield from _of_limit(order, market, market.reference)
        yield from _of_stop(order, market.reference)


def _of_limit(order: Order, market: Market, reference: Decimal) -> Iterable[str]:
    limit, opposite = order.limit, market.opposite(order.side)
    if limit is None or order.type.name not in ("limit", "limit_on_close"):
        return
    if opposite is not None and (limit - opposite) * order.sign >= 0:
        beyond = "at or above the ask" if order.sign > 0 else "at or below the bid"
        yield f"The limit {shown(limit)} is {beyond}, {shown(opposite)}: it would be filled at once."
    if away := _far(limit, reference):
        yield f"The limit {shown(limit)} is {away} the market, {shown(reference)}."


def _of_stop(order: Order, reference: Decimal) -> Iterable[str]:
    if order.stop is None:
        return
    # A stop is triggered by a market that runs away, "if touched" by one that comes.
    runs = -1 if order.type.name in ("mit", "lit") else 1
    if (order.stop - reference) * order.sign * runs <= 0:
        yield f"The market is at {shown(reference)}: the stop {shown(order.stop)} would be triggered at once."
    elif away := _far(order.stop, reference):
        yield f"The stop {shown(order.stop)} is {away} the market, {shown(reference)}."


def _far(price: Decimal, reference: Decimal) -> str:
    """E.g. ``12.3% below``; nothing for a price near the market."""
    if abs(price - reference) <= abs(reference) * _FAR:
        return ""
    return f"{abs(price - reference) / abs(reference) * 100:.1f}% {'below' if price < reference else 'above'}"


def _of_hours(order: Order, market: Market) -> Iterable[str]:
    if market.is_open is None or market.is_open:
        if market.is_open and order.type.is_unprotected and order.type.name == "market":
            yield "A market order is filled at whatever price there is."
        return
    opens = f" It opens at {iso(market.next_open)}." if market.next_open else ""
    if market.is_open_extended and order.outside_hours:
        yield "Regular hours are over; in extended hours prices are thin."
    elif order.tif == "IOC":
        yield f"The market is closed: an IOC order is cancelled at once.{opens}"
    elif market.is_open_extended and not order.outside_hours:
        yield f"Regular hours are over, and this order works in regular hours only.{opens}"
    else:
        yield f"The market is closed: the order waits until it opens.{opens}"


def of_position(order: Order, held: Decimal | None) -> Iterable[str]:
    """About what is held and what would be."""
    kind, size = order.contract.kind, order.quantity
    if order.legs or order.is_conversion:
        if order.is_conversion:
            yield "IBKR converts on a best-effort basis; the amount may differ a little."
        return
    if held is None:
        if order.side == "SELL":
            yield "IBKR does not tell the position: this may sell short."
        return
    if size is None:
        if order.side == "SELL" and held <= 0:
            yield "Nothing is held: this sells short."
        return
    after = held + order.sign * size
    if order.side == "SELL" and after < 0:
        what = "writes options" if order.contract.is_option else "sells short"
        yield f"{shown(size)} are sold and {shown(max(held, Decimal(0)))} held: this {what} ({shown(after)} after it)."
    elif order.side == "BUY" and held < 0 < after:
        yield f"This turns a short position of {shown(held)} into a long one of {shown(after)}."
    if kind in ("OPT", "FOP") and order.side == "SELL" and after < 0:
        yield "Options that are written can lose more than they bring."


def of_order(order: Order, rules: ContractRules) -> Iterable[str]:
    """About the order by itself."""
    if order.cash is not None and not order.is_conversion:
        rounded = ", of most shares rounded down to whole ones" if order.contract.kind == "STK" else ""
        yield f"IBKR takes an amount of money on a best-effort basis{rounded}."
    if is_fraction(order) and order.contract.kind == "STK":
        yield "Parts of a share are traded in regular hours only, and cannot be moved to another broker."
    if order.type.name in ("stop", "trailing"):
        yield "Once triggered it is filled at whatever price there is."
    step = rules.usual_step
    is_odd = order.quantity is not None and step is not None and step > 1 and order.quantity % step != 0
    if is_odd and order.contract.currency != "USD" and order.contract.kind == "STK" and step is not None:
        yield f"IBKR counts {order.symbol} in steps of {shown(step)}: another quantity may be refused."
    if order.tif == "GTC":
        yield "IBKR ends a GTC order with the quarter after the current one."


def of_group(orders: Sequence[Order], group: Group) -> Iterable[str]:
    if group == "bracket" and any(child.tif == "DAY" for child in orders[1:]):
        yield "The closing orders end with the day: with GTC the position stays protected."
    if group == "bracket" and len(orders) == 2:
        yield "The bracket has no stop_loss." if orders[1].limit is not None else "The bracket has no take_profit."


def of_expiry(market: Market) -> Iterable[str]:
    if market.expires_in_days is not None and market.expires_in_days <= 7:
        days = market.expires_in_days
        yield "It expires today." if days == 0 else f"It expires in {days} day{'' if days == 1 else 's'}."
