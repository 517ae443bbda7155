"""Orders as agents write them, read without asking anybody."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from ib_mcp.market.contract import Contract
from ib_mcp.trading.order import Algo, Distance, Leg, Order, check_sense
from ib_mcp.trading.order_types import TYPES, Side, Tif, TypeName
from ibkr.errors import InvalidRequest

_LEG = re.compile(r"(?:(?P<side>BUY|SELL) +)?(?P<ratio>[+-]?[0-9]{1,3}) *[xX]? +(?P<symbol>.+)", re.IGNORECASE)
_MOST_LEGS = 6


def _folded(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _lowered(value: Any) -> Any:
    return value.strip().lower().replace(" ", "_") if isinstance(value, str) else value


def _worded(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


# Texts are read too, which need not be said.
_NUMBER = WithJsonSchema({"type": "number"})
Amount = Annotated[Decimal, Field(gt=0, max_digits=15), _NUMBER]
Price = Annotated[Decimal, Field(max_digits=15), _NUMBER]
SideWord = Annotated[Side, BeforeValidator(_folded)]
TypeWord = Annotated[TypeName, BeforeValidator(_lowered)]
TifWord = Annotated[Tif, BeforeValidator(_folded)]
TrailWord = Annotated[str, BeforeValidator(_worded), Field(max_length=20)]


class OrderWords(BaseModel):
    """One order in words. ``symbol`` may be left out of a combination, which has legs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbol: Annotated[str | None, BeforeValidator(_worded)] = None
    side: SideWord
    quantity: Amount | None = None
    cash: Amount | None = None
    type: TypeWord = "limit"
    limit: Price | None = None
    stop: Price | None = None
    trail: TrailWord | None = None
    tif: TifWord = "DAY"
    outside_hours: bool = False


_OF_ITS_OWN = frozenset({"type", "limit", "stop", "trail", "cash", "quantity"})


def group_of(first: OrderWords, others: Sequence[Mapping[str, Any]]) -> list[OrderWords]:
    """``first`` and the other orders of a one-cancels-all group; what those leave out is as in ``first``."""
    given = first.model_dump(exclude_unset=True)
    found = [first]
    for place, other in enumerate(others, 1):
        shared = {name: value for name, value in given.items() if name not in _OF_ITS_OWN}
        if "quantity" not in other and "cash" not in other:
            shared |= {name: given[name] for name in ("quantity", "cash") if name in given}
        try:
            found.append(OrderWords.model_validate({**shared, **other}))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, problem["loc"]))[:40]
            raise InvalidRequest(
                f"Order {place} of oca: {where}: {problem['msg'][:120]}.",
                action=f"An order of oca has: {', '.join(OrderWords.model_fields)}.",
            ) from None
    return found


def leg_words(texts: Sequence[str]) -> list[tuple[int, str]]:
    """Ratio and symbol of each leg: ``1 AAPL 20261218 C 280``, ``-1 ...``, ``SELL 1 ...``."""
    if not 2 <= len(texts) <= _MOST_LEGS:
        raise InvalidRequest(f"A combination has 2 to {_MOST_LEGS} legs.")
    found = []
    for text in texts:
        leg = _LEG.fullmatch(" ".join(text.split()))
        ratio = int(leg["ratio"]) if leg else 0
        if leg is None or not ratio or (leg["side"] and ratio < 0):
            raise InvalidRequest(
                f"The leg {text[:60]!r} cannot be read.",
                action="Write ratio and instrument, of sold legs with a minus: -1 AAPL 20261218 C 290.",
            )
        found.append((-ratio if (leg["side"] or "").upper() == "SELL" else ratio, leg["symbol"]))
    common = reduce(math.gcd, (abs(ratio) for ratio, _ in found))
    if common > 1:
        raise InvalidRequest(
            f"The ratios of the legs have the common divisor {common}.",
            action=f"Divide the ratios by {common} and multiply quantity by it.",
        )
    return found


def read(
    words: OrderWords,
    contract: Contract,
    *,
    legs: Sequence[Leg] = (),
    algo: str | None = None,
    algo_parameters: Mapping[str, Any] | None = None,
    convert: bool = False,
) -> Order:
    """The order that is meant. InvalidRequest says what is missing or too much."""
    if contract.kind == "IND":
        raise InvalidRequest(
            f"{contract.symbol} is an index, which cannot be traded.",
            action="Name a future, an option or a fund on it."
            + (f" Did you mean {', '.join(contract.also[:3])}?" if contract.also else ""),
        )
    if algo_parameters and algo is None:
        raise InvalidRequest("algo_parameters belong to an algo.", action="Give algo too.")
    conids = [leg.contract.conid for leg in legs]
    if len(set(conids)) < len(conids):
        raise InvalidRequest("Two legs are the same instrument.")
    order = Order(
        contract,
        words.side,
        TYPES[words.type],
        words.quantity,
        words.cash,
        words.limit,
        words.stop,
        Distance.read(words.trail) if words.trail is not None else None,
        words.tif,
        words.outside_hours,
        Algo(algo, algo_parameters or {}) if algo else None,
        convert,
        tuple(legs),
    )
    check_sense(order)
    return order
