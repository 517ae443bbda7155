"""One order request at a time, cancellations first, and nobody waits for one who left."""

from __future__ import annotations

import asyncio

from ib_keepalive.trading.turns import OrderTurns


async def test_cancellations_come_before_those_who_waited_longer() -> None:
    turns, done = OrderTurns(), list[str]()

    async def take(name: str, *, first: bool = False) -> None:
        async with turns.turn(first=first):
            done.append(name)
            await asyncio.sleep(0)

    async with turns.turn():
        tasks = [asyncio.create_task(take(name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(take("cancel", first=True)))
        await asyncio.sleep(0)
        assert turns.hurry.is_set()
        assert turns.waiting == 3
    await asyncio.gather(*tasks)

    assert done == ["cancel", "a", "b"]
    assert not turns.hurry.is_set()


async def test_who_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    turns = OrderTurns()

    async def take() -> None:
        async with turns.turn():
            pass

    async with turns.turn():
        leaving, staying = asyncio.create_task(take()), asyncio.create_task(take())
        await asyncio.sleep(0)
    # The turn is given to the first, which is cancelled before it runs.
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.wait_for(staying, 1)
    async with turns.turn():
        assert turns.waiting == 0


async def test_who_leaves_while_it_waits_holds_nobody_up() -> None:
    turns = OrderTurns()

    async def take(*, first: bool) -> None:
        async with turns.turn(first=first):
            pass

    async with turns.turn():
        leaving = asyncio.create_task(take(first=True))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert not turns.hurry.is_set()
        assert turns.waiting == 0
