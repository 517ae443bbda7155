"""Questions of several callers, merged."""

from __future__ import annotations

import asyncio

import pytest

from ib_mcp.guard.batching import Batch
from ibkr.errors import PacingLimited, UpstreamError

pytestmark = pytest.mark.looptime


async def test_callers_at_the_same_time_share_one_question() -> None:
    asked: list[list[str]] = []

    async def lengths(words: list[str]) -> dict[str, int]:
        asked.append(words)
        return {word: len(word) for word in words}

    batch = Batch(lengths, 10)
    found = await asyncio.gather(batch.get(["a", "bb"]), batch.get(["bb", "ccc"]))
    assert found == [{"a": 1, "bb": 2}, {"bb": 2, "ccc": 3}]
    assert asked == [["a", "bb", "ccc"]]


async def test_what_comes_while_questions_are_slow_goes_together() -> None:
    asked: list[list[int]] = []

    async def slow(keys: list[int]) -> dict[int, int]:
        asked.append(keys)
        await asyncio.sleep(1)
        return {key: key for key in keys}

    batch = Batch(slow, 50)

    async def get(key: int) -> dict[int, int]:
        await asyncio.sleep(key * 0.05)
        return await batch.get([key])

    assert await asyncio.gather(*map(get, range(10))) == [{key: key} for key in range(10)]
    assert asked == [[0], [1], [2, 3, 4, 5, 6, 7, 8, 9]]


async def test_no_question_holds_more_than_it_may() -> None:
    asked: list[int] = []

    async def count(keys: list[int]) -> dict[int, int]:
        asked.append(len(keys))
        return {key: key for key in keys}

    assert len(await Batch(count, 3).get(range(8))) == 8
    assert sorted(asked) == [2, 3, 3]


async def test_unknown_keys_are_missing() -> None:
    async def nothing(keys: list[str]) -> dict[str, str]:
        return {}

    assert await Batch(nothing, 3).get(["a"]) == {}
    assert await Batch(nothing, 3).get([]) == {}


async def test_a_key_that_ibkr_refuses_fails_for_who_asked_it_only() -> None:
    async def picky(keys: list[str]) -> dict[str, str]:
        if "bad" in keys:
            raise UpstreamError("no")
        return {key: key for key in keys}

    batch = Batch(picky, 10)
    good, bad = await asyncio.gather(batch.get(["a", "b", "c"]), batch.get(["bad"]), return_exceptions=True)
    assert good == {"a": "a", "b": "b", "c": "c"}
    assert isinstance(bad, UpstreamError)


async def test_a_refusal_to_all_is_not_asked_for_again() -> None:
    asked = 0

    async def limited(keys: list[str]) -> dict[str, str]:
        nonlocal asked
        asked += 1
        raise PacingLimited("later", retry_after_s=5)

    with pytest.raises(PacingLimited):
        await Batch(limited, 10).get(["a", "b"])
    assert asked == 1


async def test_a_caller_that_gives_up_costs_the_others_nothing() -> None:
    async def slow(keys: list[str]) -> dict[str, str]:
        await asyncio.sleep(5)
        return {key: key for key in keys}

    batch = Batch(slow, 10)
    leaver = asyncio.create_task(batch.get(["a"]))
    stayer = asyncio.create_task(batch.get(["a"]))
    await asyncio.sleep(1)
    leaver.cancel()
    assert await stayer == {"a": "a"}
    assert leaver.cancelled()


@pytest.mark.parametrize(("status", "most"), [(503, 1), (504, 1), (500, 17), (400, 17)])
async def test_an_outage_costs_a_bounded_number_of_questions(status: int, most: int) -> None:
    asked = 0

    async def down(keys: list[int]) -> dict[int, int]:
        nonlocal asked
        asked += 1
        raise UpstreamError("IBKR is down", status=status)

    with pytest.raises(UpstreamError):
        await Batch(down, 200).get(range(200))
    assert asked <= most


async def test_two_keys_of_two_hundred_that_ibkr_refuses_cost_the_others_nothing() -> None:
    async def picky(keys: list[int]) -> dict[int, int]:
        if {17, 181} & set(keys):
            raise UpstreamError("no", status=500)
        return {key: key for key in keys}

    batch = Batch(picky, 200)
    good = [key for key in range(200) if key // 25 not in (0, 7)]
    asking = [asyncio.create_task(batch.get([key])) for key in range(200)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(found[key] == {key: key} for key in good)
    assert isinstance(found[17], UpstreamError)
    assert isinstance(found[181], UpstreamError)
