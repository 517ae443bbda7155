"""Option values and greeks by the Black-Scholes formula, without dividends."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt
from typing import NamedTuple

RATE = 0.038
"""Interest rate of every calculation, per year."""

YEAR = 365.25 * 86400
_SHORTEST = 1800 / YEAR


class Greeks(NamedTuple):
    """``theta`` per calendar day, ``vega`` per percentage point of volatility."""

    price: float
    delta: float
    gamma: float
    theta: float
    vega: float
    volatility: float


def smile(volatility: float, spot: float, strike: float, years: float) -> float:
    """The implied volatility of a strike: dearer below the money, dearer still for short lives."""
    moneyness = log(strike / spot) / max(0.15, sqrt(years))
    return max(0.05, volatility * (1 - 0.18 * moneyness + 0.12 * moneyness * moneyness))


def value(spot: float, strike: float, years: float, volatility: float, right: str) -> float:
    """The price alone."""
    return greeks(spot, strike, years, volatility, right).price


def greeks(spot: float, strike: float, years: float, volatility: float, right: str) -> Greeks:
    """Price and greeks of a European option; ``right`` is C or P, ``years`` the time to expiry."""
    if years <= 0:
        inner = spot - strike if right == "C" else strike - spot
        return Greeks(max(inner, 0.0), (1.0 if right == "C" else -1.0) * (inner > 0), 0.0, 0.0, 0.0, volatility)
    years = max(years, _SHORTEST)
    spread = volatility * sqrt(years)
    d1 = (log(spot / strike) + (RATE + volatility * volatility / 2) * years) / spread
    d2 = d1 - spread
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    discounted = strike * exp(-RATE * years)
    decay = -spot * density * volatility / (2 * sqrt(years))
    if right == "C":
        price = spot * _normal(d1) - discounted * _normal(d2)
        delta, theta = _normal(d1), decay - RATE * discounted * _normal(d2)
    else:
        price = discounted * _normal(-d2) - spot * _normal(-d1)
        delta, theta = _normal(d1) - 1, decay + RATE * discounted * _normal(-d2)
    return Greeks(
        max(price, 0.0),
        delta,
        density / (spot * spread),
        theta / 365,
        spot * density * sqrt(years) / 100,
        volatility,
    )


def event(spot: float, strike: float, years: float, volatility: float, right: str) -> Greeks:
    """A contract that pays 1 when the number ends above ``strike`` (C) or not (P)."""
    spread = volatility * sqrt(max(years, _SHORTEST))
    place = log(spot / strike) / spread
    chance = _normal(place if right == "C" else -place)
    return Greeks(min(0.99, max(0.01, chance)), 0.0, 0.0, 0.0, 0.0, volatility)


def _normal(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))
