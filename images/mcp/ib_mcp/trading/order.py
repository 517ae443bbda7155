"""One order as an agent means it, checked for sense before anybody is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ib_mcp.market.contract import Contract
from ib_mcp.trading.order_types import OrderType, Side, Tif
from ibkr.errors import InvalidRequest

_TRAIL = re.compile(r"(?P<amount>[0-9]{1,9}(?:\.[0-9]{1,6})?) ?(?P<percent>%)?")
# Such orders cannot work without somebody saying whether a machine sent them (CME's rule 536-B).
MARKED_KINDS = frozenset({"FUT", "FOP"})


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a trailing stop or a relative order stays from the market: money, or percent."""

    amount: Decimal
    is_percent: bool = False

    @classmethod
    def read(cls, text: str) -> Distance:
        """``1.5`` or ``2%``; InvalidRequest for anything else."""
        found = _TRAIL.fullmatch(text.strip())
        if found is None or not Decimal(found["amount"]):
            raise InvalidRequest(
                f"trail {text[:20]!r} is no distance.", action="Write an amount, 1.50, or percent, 2%."
            )
        return cls(Decimal(found["amount"]), found["percent"] is not None)

    def __str__(self) -> str:
        return f"{self.amount:f}{'%' if self.is_percent else ''}"


@dataclass(frozen=True, slots=True)
class Algo:
    """IBKR's id of an algo, and its parameters by IBKR's names."""

    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leg:
    """``ratio`` is negative where the leg is sold when the combination is bought."""

    contract: Contract
    ratio: int


@dataclass(frozen=True, slots=True)
class Order:
    """``contract`` of a combination is that of its first leg; ``legs`` has them all.

    Exactly one of ``quantity`` and ``cash`` is set; ``cash`` of a conversion is what is spent. Prices are as quoted.
    """

    contract: Contract
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    cash: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Distance | None = None
    tif: Tif = "DAY"
    outside_hours: bool = False
    algo: Algo | None = None
    is_conversion: bool = False
    legs: tuple[Leg, ...] = ()

    @property
    def sign(self) -> int:
        return 1 if self.side == "BUY" else -1

    @property
    def symbol(self) -> str:
        if not self.legs:
            return self.contract.symbol
        return " ".join(f"{leg.ratio:+d} {leg.contract.symbol}" for leg in self.legs)

    @property
    def multiplier(self) -> Decimal | None:
        """Of a unit's value over its price; None for legs whose multipliers differ, of which IBKR tells no price."""
        found = {each.multiplier or Decimal(1) for each in (leg.contract for leg in self.legs)}
        if not self.legs:
            return self.contract.multiplier or Decimal(1)
        return found.pop() if len(found) == 1 else None

    @property
    def is_marked(self) -> bool:
        """Whether it has to say that a machine sent it."""
        return any(one.kind in MARKED_KINDS for one in (self.contract, *(leg.contract for leg in self.legs)))


def check_sense(order: Order) -> None:
    """InvalidRequest where amounts and prices do not fit the type of order; nothing is guessed."""
    prices = {"limit": order.limit, "stop": order.stop}
    given = {**prices, "trail": order.trail}
    kind = order.type
    missing = [name for name in kind.needs if given[name] is None]
    if missing:
        raise InvalidRequest(
            f"A {kind.words} order needs {' and '.join(missing)}.", action=f"Give {' and '.join(kind.needs)}."
        )
    extra = [name for name, value in given.items() if value is not None and name not in (*kind.needs, *kind.may)]
    if extra:
        uses = ", ".join((*kind.needs, *kind.may)) or "no price"
        raise InvalidRequest(
            f"A {kind.words} order takes no {' or '.join(extra)}; it takes {uses}.",
            action="Leave it out, or give the type that is meant.",
        )
    if (order.quantity is None) == (order.cash is None):
        raise InvalidRequest("Give either quantity (units) or cash (an amount of money).")
    if order.trail is not None and order.trail.is_percent and kind.name == "relative":
        raise InvalidRequest("The offset of a relative order is an amount, not percent.", action="Give trail as 0.02.")
    if order.trail is not None and order.trail.is_percent and order.trail.amount >= 100:
        raise InvalidRequest("A trailing stop cannot be 100% or more away.")
    if order.is_conversion:
        _check_conversion(order)
    if not order.legs:
        for name, value in prices.items():
            if value is not None and value <= 0:
                raise InvalidRequest(f"{name} has to be above 0.")
    elif order.cash is not None:
        raise InvalidRequest("A combination has no cash amount.", action="Give quantity, the number of combinations.")


def _check_conversion(order: Order) -> None:
    if order.contract.kind != "CASH":
        raise InvalidRequest("Only a currency pair can be converted.", action="Give symbol as EUR.USD.")
    if order.type.name != "market":
        raise InvalidRequest("IBKR converts currencies at the market only.", action="Give type market.")
    if order.side == "SELL" and order.cash is not None:
        raise InvalidRequest(
            f"Selling, the amount is that of {order.contract.root}.", action="Give quantity instead of cash."
        )
