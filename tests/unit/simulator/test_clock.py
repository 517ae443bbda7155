import asyncio

import pytest

from ib_simulator.clock import Clock

pytestmark = pytest.mark.looptime


async def test_it_starts_at_the_wall_clock_and_follows_the_loop():
    clock = Clock(lambda: 1000.0)
    assert clock.now() == 1000
    await asyncio.sleep(90)
    assert clock.now() == 1090


async def test_it_runs_faster_from_where_it_is():
    clock = Clock(lambda: 1000.0)
    await asyncio.sleep(10)
    clock.run(60)
    await asyncio.sleep(2)
    assert clock.now() == 1010 + 120
    assert clock.loop_delay(1010 + 180) == 1


async def test_it_can_be_moved_and_set():
    clock = Clock(lambda: 1000.0)
    clock.advance(500)
    await asyncio.sleep(1)
    assert clock.now() == 1501
    clock.set(20)
    await asyncio.sleep(1)
    assert clock.now() == 21
    assert clock.loop_delay(5) == 0


def test_without_a_loop_it_stands_still():
    assert Clock(lambda: 7.0).now() == 7
