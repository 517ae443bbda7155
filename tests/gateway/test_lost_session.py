"""Nights at IBKR's real program: the brokerage session is lost, and the sign-in stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from random import Random

import pytest

from gateway.browser import signed_in
from gateway.rig import Rig, assembled

TICKLE = "/v1/api/tickle"
LOGOUT = "/v1/api/logout"
TICKLE_SECONDS = 30
NIGHTS = 3


async def test_nightly_resets_cost_no_login(rig: Rig) -> None:
    await signed_in(rig)
    chance = Random(7)
    status = rig.status()
    for _ in range(NIGHTS):
        await asyncio.sleep(chance.uniform(0, 10))
        rig.broker.do("timing", reset=chance.uniform(0, 2), opening=chance.uniform(0.3, 3))
        rig.broker.do("nightly-reset")
        refused = await rig.call("get_price_snapshot", symbols=["AAPL"])
        assert refused["error"]["code"] == "session_reopening"
        status = await rig.reaches("authenticated")
    assert status["reauth"]["last_result"] == "opened"
    assert status["reauth"]["rung"] == "chain"
    assert status["gateway"]["tickles"] is False
    assert rig.broker.requests(LOGOUT) == []
    assert rig.broker.requests(TICKLE, of_the_gateway=True) == []
    rig.broker.do("timing", opening=0)


@pytest.fixture
def own_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The program as its owner's own configuration has it: it opens the session and tickles by itself."""
    with assembled(tmp_path_factory.mktemp("own"), opener="gateway") as rig:
        yield rig


async def test_where_the_program_tickles_the_keeper_looks_just_before(own_rig: Rig) -> None:
    rig = own_rig
    await signed_in(rig)
    await rig.broker.sees(TICKLE, of_the_gateway=True, seconds=TICKLE_SECONDS + 10)
    assert rig.status()["gateway"]["tickles"] is True
    expected = rig.status()["gateway"]["next_tickle_at"]
    rig.broker.do("timing", reset=0)
    # Right after a look of the keeper, which would otherwise come 15 s later.
    await asyncio.sleep(max(0.0, expected - time.time() - 15))
    rig.broker.do("nightly-reset")
    await rig.reaches("authenticated")
    await rig.broker.sees(TICKLE, of_the_gateway=True, seconds=TICKLE_SECONDS + 10)
    came = [row["at"] for row in rig.broker.requests(TICKLE, of_the_gateway=True)]
    assert min(abs(at - expected) for at in came) < 5
    assert rig.broker.requests(LOGOUT) == []
