"""Pictures of prices."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ib_mcp.market.chart import Candle, compare, draw, round_steps


def size_of(picture: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(picture)) as image:
        return image.size


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [
        (352.1, 381.7, [355.0, 360.0, 365.0, 370.0, 375.0, 380.0]),
        (0.912, 1.087, [0.95, 1.0, 1.05]),
        (-12.0, 31.0, [-10.0, 0.0, 10.0, 20.0, 30.0]),
        (99_000.0, 101_000.0, [99_500.0, 100_000.0, 100_500.0]),
    ],
)
def test_grid_lines_are_at_round_prices(low: float, high: float, steps: list[float]) -> None:
    assert round_steps(low, high, 6) == steps


def test_a_missing_price_is_no_zero() -> None:
    whole = Candle("a", 10, 11, 9, 10, 5)
    gap = Candle("b", None, None, None, None, None)
    assert draw("t", [whole, gap, whole]) != draw("t", [whole, Candle("b", 0, 0, 0, 0, 0), whole])
    assert size_of(draw("t", [gap])) == size_of(draw("t", [])) == (960, 540)


def test_instruments_of_different_prices_are_compared_by_their_change() -> None:
    rising = compare("t", ["a", "b"], {"A": [1, 1.1], "B": [1000, 1100]})
    assert size_of(rising) == (960, 540)
    assert rising != compare("t", ["a", "b"], {"A": [1, 1.1], "B": [1000, 900]})
    assert size_of(compare("t", ["a"], {"A": [None]})) == (960, 540)
