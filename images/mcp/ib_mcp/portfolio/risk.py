"""What a move of the market would do to an account, by the betas and deltas that IBKR gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ib_mcp.portfolio.holding import Holding

WITH_BETA = frozenset({"STK", "FUND", "CFD"})
# What moves as the S&P 500 does, against which betas are measured, and has no beta of its own at IBKR.
_MARKET = frozenset({"SPX", "SPXW", "XSP", "ES", "MES"})


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Of one instrument: beta against the market, delta of an option, price of what it is."""

    beta: Decimal | None = None
    delta: Decimal | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class MarketMove:
    """``change``: of net liquidation in the base currency. ``left_out`` are the holdings that could not be counted."""

    change: Decimal
    counted: int
    left_out: list[Holding]


def after_move(holdings: Sequence[Holding], known: Mapping[int, Sensitivity], percent: Decimal) -> MarketMove:
    """A first-order estimate for a move of the market by ``percent``; ``known`` by conid, of underlyings as well."""
    change = Decimal(0)
    left_out: list[Holding] = []
    for one in holdings:
        exposure = _market_exposure(one, known)
        if exposure is None:
            left_out.append(one)
        else:
            change += exposure * percent / 100
    return MarketMove(change, len(holdings) - len(left_out), left_out)


def _market_exposure(one: Holding, known: Mapping[int, Sensitivity]) -> Decimal | None:
    """Base currency that moves with the market; None when IBKR does not tell enough."""
    own = known.get(one.conid, Sensitivity())
    if one.kind in WITH_BETA:
        return None if own.beta is None or one.base_value is None else own.beta * one.base_value
    if one.ticker.upper() not in _MARKET and one.underlying_ticker.upper() not in _MARKET:
        beta = known.get(one.underlying, Sensitivity()).beta
    else:
        beta = Decimal(1)
    if one.kind == "FUT":
        return None if beta is None or one.base_value is None else beta * one.base_value
    if not one.right or beta is None:
        return None
    underlying = known.get(one.underlying, Sensitivity()).price
    if own.delta is None or underlying is None or one.multiplier is None or one.rate is None:
        return None
    return own.delta * underlying * one.position * one.multiplier * one.rate * beta
