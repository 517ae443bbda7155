"""Option values: parity, limits and greeks that are derivatives of the price."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_simulator.world.options import RATE, event, greeks, smile, value

SPOTS = st.floats(5, 5000)
MONEYNESS = st.floats(0.6, 1.6)
YEARS = st.floats(0.01, 3)
VOLATILITIES = st.floats(0.05, 1.2)


@given(SPOTS, MONEYNESS, YEARS, VOLATILITIES)
def test_calls_and_puts_keep_their_parity(spot: float, moneyness: float, years: float, volatility: float) -> None:
    strike = spot * moneyness
    call, put = (value(spot, strike, years, volatility, right) for right in "CP")
    assert call - put == pytest.approx(spot - strike * exp(-RATE * years), abs=spot * 1e-6)


@given(SPOTS, MONEYNESS, YEARS, VOLATILITIES)
def test_an_option_is_worth_no_more_than_what_it_is_on(
    spot: float, moneyness: float, years: float, volatility: float
) -> None:
    strike = spot * moneyness
    assert 0 <= value(spot, strike, years, volatility, "C") <= spot
    assert 0 <= value(spot, strike, years, volatility, "P") <= strike


@given(SPOTS, MONEYNESS, st.floats(0.1, 3), st.floats(0.1, 1.2), st.sampled_from("CP"))
def test_greeks_are_the_slopes_of_the_price(
    spot: float, moneyness: float, years: float, volatility: float, right: str
) -> None:
    strike = spot * moneyness
    found = greeks(spot, strike, years, volatility, right)
    step = spot * 1e-4
    up, down = (value(spot + side, strike, years, volatility, right) for side in (step, -step))
    assert found.delta == pytest.approx((up - down) / (2 * step), abs=1e-4)
    assert found.gamma == pytest.approx((up - 2 * found.price + down) / step**2, rel=0.05, abs=1e-4 / spot)
    rich, poor = (value(spot, strike, years, volatility + side, right) for side in (1e-4, -1e-4))
    assert found.vega == pytest.approx((rich - poor) / 2e-4 / 100, rel=1e-3, abs=spot * 1e-6)
    day = 1 / 365
    later, sooner = (
        value(spot, strike, years + side * day / 100, right=right, volatility=volatility) for side in (-1, 1)
    )
    assert found.theta == pytest.approx((later - sooner) * 50, rel=1e-3, abs=spot * 1e-6)


def test_an_expired_option_is_worth_its_inner_value() -> None:
    assert greeks(110, 100, 0, 0.3, "C")[:2] == (10, 1.0)
    assert greeks(110, 100, -1, 0.3, "P")[:2] == (0.0, 0.0)


@given(SPOTS, MONEYNESS, YEARS)
def test_the_smile_is_never_absurd(spot: float, moneyness: float, years: float) -> None:
    assert 0.05 <= smile(0.3, spot, spot * moneyness, years) <= 3.5


def test_yes_and_no_of_an_event_share_a_dollar() -> None:
    yes, no = (event(4.45, 4.5, 0.3, 0.12, right).price for right in "CP")
    assert yes + no == pytest.approx(1)
    assert event(4.45, 9.0, 0.3, 0.12, "C").price == 0.01
