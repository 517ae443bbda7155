"""What the limits have to know of the world besides the order: as IBKR tells it, never as the order does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

# What IBKR tells late where it gives no live prices.
DELAY_S = 900.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """``symbol``: of derivatives the underlying's. ``multiplier``: units of the underlying in one contract.

    ``divisor``: quoted prices in one unit of the currency, 100 for pence. Either is None where IBKR does not tell it.
    ``right`` (C or P), ``strike``, ``maturity`` (YYYYMMDD) and ``underlying`` (conid) of derivatives.
    """

    conid: int
    symbol: str
    security_type: str
    currency: str
    exchange: str = ""
    multiplier: Decimal | None = Decimal(1)
    divisor: Decimal | None = Decimal(1)
    right: str | None = None
    strike: Decimal | None = None
    maturity: str = ""
    underlying: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """As quoted; ``age_s``: seconds since IBKR had it from the exchange."""

    age_s: float
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """One that may still be filled, of whomever: ``remaining`` of its ``total`` units.

    ``order_id``: IBKR's, None while it is not known. Of a combination there is one for each leg.
    """

    conid: int
    side: str
    remaining: Decimal
    total: Decimal
    order_id: str | None = None
    order_type: str = ""
    price: Decimal | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """``is_paper``: whether IBKR calls the user's accounts paper accounts, None while it does not say.

    ``accounts``: those that IBKR lets the user trade in, without groups and the pseudo account of all. ``instruments``:
    of the order, legs included, and of the options held; ``prices`` by conid; ``rates``: units of the ``base`` currency
    for one of another; ``positions``: units held by conid, negative when short; ``pending``: orders of the account that
    may still be filled. Positions or pending orders are None where they were not read, since no limit asked for them.
    """

    is_paper: bool | None
    accounts: frozenset[str]
    base: str = ""
    instruments: Mapping[int, Instrument] = field(default_factory=dict)
    prices: Mapping[int, Price] = field(default_factory=dict)
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    positions: Mapping[int, Decimal] | None = None
    pending: Sequence[PendingOrder] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What was sent before, from the ledger: changes count as orders, and so does what IBKR refused.

    ``orders_per_minute``: in the last 60 s. ``orders_per_day`` and ``notional_per_day`` (base currency): in the last
    24 hours, so that no clock that is set and no time zone begins a day anew. What seems to be of the future counts.
    """

    orders_per_minute: int = 0
    orders_per_day: int = 0
    notional_per_day: float = 0.0
