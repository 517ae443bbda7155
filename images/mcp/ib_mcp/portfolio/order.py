"""An order of IBKR's live list or status: how much of what, at which prices, and where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ib_mcp.formats.numbers import decimal, plain
from ib_mcp.formats.tables import pick
from ibkr.spreads import SPREADS

State = Literal["working", "inactive", "finished"]

_FINISHED = frozenset({"Filled", "Cancelled", "ApiCancelled"})
_INACTIVE = frozenset({"Inactive", "WarnState"})
_SIDES = {"B": "BUY", "S": "SELL", "N": "NETTED", "X": "EXPIRED", "SSHORT": "SELL"}
# The end of IBKR's text of size and fills, e.g. "2.4K CAD".
_CURRENCY = re.compile(r"\b([A-Z]{3})$")
_LEGS = re.compile(r"(\d+)/(-?\d+)")
_CASH_KEYS = ("totalCashSize", "total_cash_size", "cash_quantity", "cashQty")


@dataclass(frozen=True, slots=True)
class Prices:
    """Of an order; ``trail`` is an amount, or text in percent."""

    limit: Any = None
    stop: Any = None
    trail: Any = None


@dataclass(frozen=True, slots=True)
class Size:
    """``quantity`` in units, or None with ``cash_quantity`` in ``cash_currency``.

    ``filled_in``: what ``filled`` counts, ``units``, a currency, or ``unknown``.
    """

    quantity: Any
    cash_quantity: Any
    cash_currency: str | None
    filled: Any
    filled_in: str | None


def state(status: Any) -> State:
    """``inactive``: it does not work now, but may become so or has been refused; IBKR does not say which."""
    if status in _FINISHED:
        return "finished"
    return "inactive" if status in _INACTIVE else "working"


def side(value: Any) -> str:
    return _SIDES.get(str(value or ""), str(value or ""))


def prices(row: dict[str, Any]) -> Prices:
    """By the kind of order: IBKR writes a stop, a limit and a trailing amount into the same two fields."""
    kind = "".join(
        sign for sign in str(pick(row, "orderType", "origOrderType", "order_type") or "").upper() if sign.isalpha()
    )
    price, aux = _price(pick(row, "price", "limit_price")), _price(row.get("auxPrice"))
    stop, trailing = _price(pick(row, "stop_price", "stopPrice")), _price(pick(row, "trailingAmt", "trailing_amount"))
    if "TRAIL" in kind:
        limit = price if "LIM" in kind or kind.endswith("LMT") else None
        return Prices(limit, stop if limit is not None else stop or price, _percent(row, trailing or aux))
    if "STOP" in kind or kind.startswith("STP"):
        if "LIM" in kind or kind.endswith("LMT"):
            return Prices(price, stop or aux)
        return Prices(None, stop or aux or price)
    return Prices(price, stop or aux)


def _price(value: Any) -> Any:
    known = decimal(value)
    if known is not None:
        return plain(known) if known else None
    return value or None


def _percent(row: dict[str, Any], trail: Any) -> Any:
    kind = str(pick(row, "trailingType", "trailing_type") or "")
    return f"{trail}%" if kind == "%" and isinstance(trail, int | float) else trail


def size(row: dict[str, Any]) -> Size:
    """Of a row of live orders or of an order's status."""
    cash = decimal(pick(row, *_CASH_KEYS))
    total = decimal(pick(row, "totalSize", "total_size"))
    filled = decimal(pick(row, "filledQuantity", "cum_fill"))
    if not cash:
        return Size(plain(total), None, None, plain(filled), None)
    currency = str(pick(row, "cashCcy", "cash_currency") or "") or None
    return Size(None, plain(cash), currency, plain(filled), _filled_in(row, cash, total, filled, currency))


def _filled_in(
    row: dict[str, Any], cash: Decimal, total: Decimal | None, filled: Decimal | None, currency: str | None
) -> str | None:
    """What the filled figure of a cash order counts: IBKR does not say it, its other figures mostly do."""
    if not filled:
        return None
    said = _CURRENCY.search(str(pick(row, "sizeAndFills", "size_and_fills") or "").strip())
    if said:
        return said[1]
    whole = filled + (decimal(row.get("remainingQuantity")) or Decimal(0))
    if _near(whole, cash):
        return currency or "cash"
    return "units" if total and total != cash and _near(whole, total) else "unknown"


def _near(amount: Decimal, other: Decimal) -> bool:
    return abs(amount - other) <= abs(other) / 100


def legs(row: dict[str, Any]) -> list[tuple[int, int]]:
    """Conid and signed ratio of each leg of a combo; none for anything else."""
    conidex = str(pick(row, "conidex", "conidEx") or "")
    _, found, text = conidex.partition(";;;")
    return [(int(conid), int(ratio)) for conid, ratio in _LEGS.findall(text)] if found else []


def combo_currency(row: dict[str, Any]) -> str | None:
    """Of a combo, by the spread id that its conid is; None for anything else."""
    return SPREADS.get(str(pick(row, "conidex", "conidEx", "conid") or "").partition(";")[0])


def own_text(row: dict[str, Any]) -> str:
    """What IBKR itself calls the instrument of an order or trade, for one that cannot be described any more.

    The ticker alone would be the underlying of a derivative.
    """
    first = str(pick(row, "description1", "contract_description_1", "ticker", "symbol") or "")
    second = str(pick(row, "description2", "contract_description_2") or "")
    text = " ".join(part for part in (first, second) if part)
    kind = str(pick(row, "secType", "sec_type") or "")
    if kind == "CASH" and "." not in text:
        return f"{text}.{row.get('cashCcy') or row.get('currency') or '?'}"
    if second or kind in ("STK", "CASH", "IND", "CRYPTO"):
        return text
    words = str(pick(row, "orderDesc", "order_description_with_contract", "order_description") or "")
    return f"{text or 'unknown'} ({' '.join(part for part in (kind, words) if part)})" if kind or words else text
