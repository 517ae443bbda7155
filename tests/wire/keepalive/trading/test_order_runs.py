"""A few of the runs that ``python -m tests.soak orders`` makes by the thousand."""

from __future__ import annotations

import pytest

from support.order_runs import Runs, show

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("first", [0, 50])
async def test_no_order_is_doubled_or_lost_without_a_word(first: int) -> None:
    runs = Runs(seed=16)
    for number in range(first, first + 12):
        await runs.run(number)

    assert not runs.findings.wrong, show(runs.findings)
    assert runs.findings.orders >= 10
    assert runs.findings.resolved
