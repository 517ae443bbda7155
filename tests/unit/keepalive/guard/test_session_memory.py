"""Noticing that another session began, and what of the old one is carried on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from ib_keepalive.guard.memory.cache import CachedResponse
from ib_keepalive.guard.memory.session_memory import SessionChanged, SessionMemory, Sessions
from ibkr import catalogue
from ibkr.session import GatewayStatus, Glance, SessionState, SignInStatus, Status
from support.guard import status_of

pytestmark = pytest.mark.looptime
ROWS = catalogue.load()
OPEN = status_of(SessionState.AUTHENTICATED, since=5, mode="paper")


@dataclass
class Keeper:
    """Says ``status``; the calendar runs with the loop, ``ahead`` seconds before it."""

    status: Status = field(default_factory=lambda: OPEN)
    ahead: float = 1000.0

    def sessions(self) -> Sessions:
        return Sessions(lambda: Glance.at(self.status), lambda: asyncio.get_running_loop().time() + self.ahead)


@pytest.mark.parametrize(
    "other",
    [
        replace(OPEN, state_since=6),
        status_of(SessionState.COMPETING, since=5, mode="paper"),
        replace(OPEN, mode="live"),
        replace(OPEN, gateway=GatewayStatus(started_at=9)),
        replace(OPEN, sign_in=SignInStatus(number=1)),
    ],
)
async def test_another_session_has_a_memory_of_its_own(other: Status):
    keeper = Keeper()
    sessions = keeper.sessions()
    _, before = sessions.observe()
    keeper.status = other
    _, after = sessions.observe()
    assert after is not before
    assert after.generation > before.generation
    with pytest.raises(SessionChanged):
        sessions.check(before)
    sessions.check(after)


@pytest.mark.parametrize("drift", [0.0, 0.002, -0.002, 3.0, -3600.0, -86400.0])
async def test_the_same_session_told_by_another_clock_is_no_other_session(drift: float):
    keeper = Keeper(replace(OPEN, gateway=GatewayStatus(started_at=2)))
    sessions = keeper.sessions()
    _, before = sessions.observe()
    await asyncio.sleep(10)
    keeper.ahead += drift
    keeper.status = replace(OPEN, state_since=OPEN.state_since + drift, gateway=GatewayStatus(started_at=2 + drift))
    assert sessions.observe()[1] is before


async def test_after_a_sleep_of_the_machine_nothing_is_remembered():
    keeper = Keeper()
    sessions = keeper.sessions()
    _, before = sessions.observe()
    before.cache.put("rare", CachedResponse(ROWS["get_performance"], b"[1]", 200, 0.0))
    keeper.ahead += 8 * 3600
    keeper.status = replace(OPEN, state_since=OPEN.state_since + 8 * 3600)
    _, after = sessions.observe()
    assert after is not before
    assert after.cache.get("rare", 1.0) is None


async def test_learning_the_mode_is_no_other_session():
    keeper = Keeper(replace(OPEN, mode="unknown"))
    sessions = keeper.sessions()
    _, before = sessions.observe()
    keeper.status = replace(OPEN, observed_at=77, age_seconds=3)
    assert sessions.observe()[1] is before


@pytest.mark.parametrize(("number", "is_kept"), [(0, True), (1, False)])
async def test_only_the_same_sign_in_keeps_what_may_be_asked_for_every_quarter_of_an_hour(number: int, is_kept: bool):
    keeper = Keeper()
    sessions = keeper.sessions()
    _, before = sessions.observe()
    before.cache.put("rare", CachedResponse(ROWS["get_performance"], b"[1]", 200, 0.0))
    before.cache.put("usual", CachedResponse(ROWS["get_ledger"], b"[1]", 200, 0.0))
    keeper.status = replace(OPEN, state_since=6, sign_in=SignInStatus(number=number))
    _, after = sessions.observe()
    assert (after.cache.get("rare", 1.0) is not None) is is_kept
    assert after.cache.get("usual", 1.0) is None
    assert after.sign_in == number


def test_searches_are_remembered_by_conid():
    memory = SessionMemory()
    memory.note_search([{"conid": "265598"}, {"conid": 8314}, {"issuers": []}, None])
    assert memory.searched == {"265598", "8314"}


def test_an_instrument_that_was_refused_is_alone_for_a_minute_or_until_it_is_answered():
    memory = SessionMemory()
    memory.reject("1", 10.0)
    assert memory.rejected(["2", "1"], 69.0)
    assert not memory.rejected(["2"], 11.0)
    assert not memory.rejected(["1"], 71.0)
    memory.accept(["1"])
    assert not memory.rejected(["1"], 11.0)
