"""Some of the nights that ``python -m tests.bench.nights`` plays by the thousand, and each that needs a person."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest

from bench.nights import TOLD_WITHIN_S, Night, night_of, play

pytestmark = pytest.mark.looptime(noop_cycles=2)
PLAIN = Night(phase_s=20, reset_s=5, opening_s=1, reopen_after_s=0, asks_every_s=None)


@pytest.mark.parametrize("seed", range(1, 13))
async def test_a_night_costs_no_login(seed: int) -> None:
    night = night_of(Random(f"night {seed}"))
    assert not night.needs_person
    result = await play(night, seed)
    assert result.mended_s is not None, result
    assert result.logouts == 0


@pytest.mark.parametrize(
    "night",
    [
        replace(PLAIN, stays=True, competes_s=60),
        replace(PLAIN, ends_s=40),
        replace(PLAIN, refusal="no_rights", refuses_all=True, refused_for_s=math.inf),
    ],
)
async def test_a_night_that_needs_a_person_is_told_within_a_minute_with_its_cause(night: Night) -> None:
    result = await play(night, 1)
    assert result.told_s is not None, result
    assert result.told_s <= TOLD_WITHIN_S


@pytest.mark.parametrize("reopen_after_s", [0, 30])
async def test_a_plain_reset_is_mended_with_nobody_else_there(reopen_after_s: float) -> None:
    result = await play(replace(PLAIN, reset_s=0, reopen_after_s=reopen_after_s), 1)
    assert result.mended_s is not None
    assert result.mended_s < reopen_after_s + 20
