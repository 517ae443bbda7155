"""What IBKR's tickets mean in figures: legs, amounts, prices and which ticket only ends what another begins. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ib_keepalive.trading.intent import Order
from ibkr.errors import InvalidRequest
from ibkr.spreads import SPREADS

_COMBINATION = ";;;"
_LEG = re.compile(r"([0-9]{1,12})(?:@[A-Za-z0-9.]{1,20})?/(-?[0-9]{1,4})")
# How ``price`` and ``auxPrice`` are meant by type: L the limit, S what triggers the order, X nothing that bounds it.
_PRICES = {
    "MKT": "XX",
    "LMT": "LX",
    "STP": "SX",
    "STOP_LIMIT": "LS",
    "TRAIL": "SX",
    "TRAILLMT": "LS",
    "MIT": "SX",
    "LIT": "LS",
    "MOC": "XX",
    "LOC": "LX",
    "MIDPRICE": "LX",
    "REL": "LX",
}
ORDER_TYPES = frozenset(_PRICES)
_TARGETS = frozenset({"LMT", "MIT", "LIT", "LOC"})
STOPS = frozenset({"STP", "STOP_LIMIT", "TRAIL", "TRAILLMT"})


@dataclass(frozen=True, slots=True)
class Leg:
    """``units`` of the instrument for each unit of the order: above 0 when it is bought."""

    conid: int
    units: int


@dataclass(frozen=True, slots=True)
class Terms:
    """One ticket. ``legs`` are as they will be traded: the sides of a combination that is sold are turned round.

    One of ``quantity`` (units) and ``cash`` (money) is set. ``trail``: how far a trailing stop is away, in the price's
    unit or, with ``is_percent``, in percent. ``is_exit``: it closes only what the first order of its bracket opened.
    ``is_alternative``: when one order of its place call is filled, the others are cancelled.
    """

    legs: tuple[Leg, ...]
    side: str
    type: str
    tif: str
    quantity: Decimal | None = None
    cash: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Decimal | None = None
    is_percent: bool = False
    is_combination: bool = False
    is_exit: bool = False
    is_alternative: bool = False

    @property
    def is_target(self) -> bool:
        """Whether it waits for the market to come to a better price."""
        return self.type in _TARGETS

    @property
    def is_stop(self) -> bool:
        """Whether it waits for the market to come to a worse price."""
        return self.type in STOPS

    @property
    def is_bounded(self) -> bool:
        """Whether it never costs more than its limit, for each unit."""
        return self.side == "BUY" and self.limit is not None and self.type != "TRAILLMT"


def read_terms(orders: Sequence[Order]) -> tuple[Terms, ...]:
    """The terms of the orders of an ``OrderIntent``. InvalidRequest where a combination cannot be read."""
    terms = [_read(order) for order in orders]
    if not terms or "cOID" not in orders[0]:
        return tuple(terms)
    handle = orders[0]["cOID"]
    children = [n for n, order in enumerate(orders) if n and order.get("parentId") == handle]
    if _close([terms[n] for n in children], terms[0]):
        return tuple(replace(each, is_exit=n in children) for n, each in enumerate(terms))
    return tuple(terms)


def conids_of(orders: Sequence[Order]) -> tuple[int, ...]:
    """The instruments of orders, legs included."""
    return tuple(dict.fromkeys(leg.conid for order in orders for leg in _legs(order)))


def alternatives(terms: Sequence[Terms], amounts: Sequence[Decimal]) -> Decimal:
    """The most of ``amounts`` that orders of one instrument and side come to, of which one cancels the others.

    A target and a stop lie on both sides of the market, so that only one of them is done. Whatever else could be done
    at the same moment counts with its sum.
    """
    targets = sum((a for t, a in zip(terms, amounts, strict=True) if t.is_target), Decimal())
    stops = sum((a for t, a in zip(terms, amounts, strict=True) if t.is_stop), Decimal())
    others = sum((a for t, a in zip(terms, amounts, strict=True) if not (t.is_target or t.is_stop)), Decimal())
    return max(targets, stops) + others


def _read(order: Order) -> Terms:
    kind = str(order["orderType"]).upper()
    prices: dict[str, Decimal | None] = {"L": None, "S": None}
    for meaning, name in zip(_PRICES.get(kind, "XX"), ("price", "auxPrice"), strict=True):
        prices[meaning] = _number(order, name)
    cash = _number(order, "cashQty")
    legs = _legs(order)
    sign = 1 if order["side"] == "BUY" else -1
    return Terms(
        legs=tuple(Leg(leg.conid, leg.units * sign) for leg in legs),
        side=order["side"],
        type=kind,
        tif=str(order["tif"]).upper(),
        quantity=_number(order, "quantity"),
        cash=_number(order, "fxQty") if cash is None else cash,
        limit=prices["L"],
        stop=prices["S"],
        trail=_number(order, "trailingAmt"),
        is_percent=order.get("trailingType") == "%",
        is_combination=_COMBINATION in str(order.get("conidex", "")),
        is_alternative=order.get("isSingleGroup") is True,
    )


def _close(children: Sequence[Terms], parent: Terms) -> bool:
    """Whether the children of a bracket together do no more than close what their parent opens."""
    opened = tuple(Leg(leg.conid, -leg.units) for leg in parent.legs)
    quantities = [child.quantity for child in children if child.quantity is not None and child.legs == opened]
    if parent.quantity is None or not children or len(quantities) < len(children):
        return False
    return alternatives(children, quantities) <= parent.quantity


def _legs(order: Order) -> tuple[Leg, ...]:
    if "conid" in order:
        return (Leg(int(order["conid"]), 1),)
    before, is_combination, after = str(order["conidex"]).partition(_COMBINATION)
    if not is_combination:
        return (Leg(int(before.partition("@")[0]), 1),)
    if before.partition("@")[0] not in SPREADS:
        raise InvalidRequest(f"{before[:40]!r} is none of the numbers under which IBKR trades combinations.")
    legs = []
    for text in after.split(","):
        found = _LEG.fullmatch(text)
        if found is None or int(found[2]) == 0:
            raise InvalidRequest(f"{text[:40]!r} is not a leg; they look like 265598/1 or 265598/-2.")
        legs.append(Leg(int(found[1]), int(found[2])))
    if len({leg.conid for leg in legs}) < len(legs):
        raise InvalidRequest("A combination names an instrument twice.")
    return tuple(legs)


def _number(order: Order, name: str) -> Decimal | None:
    value = order.get(name)
    # By its shortest form, which is what was written: 0.1 is a tenth.
    return None if value is None else Decimal(repr(value))
