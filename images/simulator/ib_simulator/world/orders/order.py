"""One order: what was sent, what became of it, and its fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ib_simulator.world.contract import Contract

FINAL = frozenset({"Filled", "Cancelled", "Inactive"})

ORDER_TYPES = {
    "LMT": "Limit",
    "MKT": "Market",
    "STP": "Stop",
    "STOP_LIMIT": "Stop Limit",
    "MIDPRICE": "MidPrice",
    "TRAIL": "Trailing Stop",
    "TRAILLMT": "Trailing Stop Limit",
    "MIT": "Market If Touched",
    "LIT": "Limit If Touched",
    "MOC": "Market On Close",
    "LOC": "Limit On Close",
    "REL": "Relative",
}
"""As tickets name a type, and as lists show it."""

OTHER_NAMES = {"MARKETONCLOSE": "MOC", "LIMITONCLOSE": "LOC", "RELATIVE": "REL"}
"""As contract rules name them, taken in tickets too."""

SPREAD_CONID = 28812380
"""What stands before the legs of a combination in US dollars."""

Legs = tuple[tuple[int, int], ...]
"""Conids and ratios of a combination; the sign of a ratio is the side."""


def conidex_of(legs: Legs) -> str:
    """E.g. ``28812380;;;111111/1,222222/-1``."""
    return f"{SPREAD_CONID};;;{','.join(f'{conid}/{ratio}' for conid, ratio in legs)}"


def type_of(ticket: dict[str, Any]) -> str:
    """The order type by its name in ``ORDER_TYPES``."""
    named = str(ticket.get("orderType", ""))
    return OTHER_NAMES.get(named.upper(), named.upper())


def cash_of(ticket: dict[str, Any]) -> float:
    """The amount of money that a ticket is for, else 0."""
    return float(ticket.get("cashQty") or ticket.get("fxQty") or 0)


@dataclass(frozen=True, slots=True)
class Fill:
    """A part of an order that was dealt. ``price`` is as quoted. ``legs``: what each leg of a combination cost."""

    number: int
    at: float
    quantity: float
    price: float
    legs: tuple[float, ...] = ()


@dataclass
class Order:
    """``ticket`` is what was sent. ``average`` and the ticket's prices are as quoted (pence in London).

    ``filled`` counts units. ``legs`` are conids and ratios of a combination, whose ``contract`` is the underlying.
    ``group``: the adviser's group that the order is for, in place of an account. ``earlier``: was there when the user
    first looked. ``units``: how many are wanted; of an order for money known with its first fill.

    What moves it: ``ends_at`` (None: never), ``cancels_at`` while a cancel is on its way, ``triggered`` for what waits
    for a price, ``stop`` where a trailing one stands, ``parent`` an order that has to be filled first, ``oca`` the
    group of which one is filled, ``next_fill_at`` the earliest next part.
    """

    id: int
    account: str
    contract: Contract
    ticket: dict[str, Any]
    placed_at: float
    status: str
    changed_at: float
    average: float = 0.0
    filled: float = 0.0
    legs: Legs = ()
    group: str = ""
    earlier: bool = False
    units: float = 0.0
    ends_at: float | None = None
    cancels_at: float | None = None
    triggered: bool = False
    stop: float | None = None
    parent: int | None = None
    oca: str = ""
    next_fill_at: float = 0.0
    reason: str = ""
    fills: list[Fill] = field(default_factory=list)
    history: list[tuple[float, str]] = field(default_factory=list)
    row: dict[str, Any] | None = None
    """Its row in lists, once it is final."""

    @property
    def side(self) -> str:
        return str(self.ticket["side"]).upper()

    @property
    def sign(self) -> int:
        return 1 if self.side == "BUY" else -1

    @property
    def type(self) -> str:
        return type_of(self.ticket)

    @property
    def tif(self) -> str:
        return str(self.ticket.get("tif") or "DAY").upper()

    @property
    def quantity(self) -> float:
        """In units; 0 when the order is for an amount of money."""
        return 0.0 if self.cash else float(self.ticket.get("quantity") or 0)

    @property
    def cash(self) -> float:
        """The amount of money that the order is for, else 0."""
        return cash_of(self.ticket)

    @property
    def remaining(self) -> float:
        return max(0.0, round((self.units or self.quantity) - self.filled, 8))

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def conidex(self) -> str:
        return conidex_of(self.legs) if self.legs else str(self.ticket.get("conidex") or self.contract.conid)

    @property
    def handle(self) -> str:
        """The client's own order id, or empty."""
        return str(self.ticket.get("cOID") or "")

    def become(self, status: str, now: float, reason: str = "") -> None:
        """Change its status, and note when and why."""
        if status == self.status:
            return
        self.status, self.changed_at = status, now
        self.reason = reason or self.reason
        self.history.append((now, f"{status}: {reason}" if reason else status))

    def fill(self, quantity: float, price: float, now: float, legs: tuple[float, ...] = ()) -> None:
        """Deal ``quantity`` at ``price``; Filled with the last of it."""
        before = self.filled
        self.filled = round(before + quantity, 8)
        self.average = (self.average * before + price * quantity) / self.filled
        self.changed_at = now
        self.fills.append(Fill(len(self.fills) + 1, now, quantity, price, legs))
        self.history.append((now, f"filled {quantity:g} at {price:g}"))
        if not self.remaining:
            self.become("Filled", now)
