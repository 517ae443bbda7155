"""What the keeper knows of IBKR's program: its age, and whether it tickles by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_keepalive.session.gateway import DAY_S, TIMERS_FIRE_S, GatewayProcess
from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.observation import Outcome, ProbeResult
from ibkr.session import Opener, SessionState

ANSWERS, REFUSES = ProbeResult(Outcome.FLAGS), ProbeResult(Outcome.REFUSED)
NOON = 1_795_539_600.0


def process(opener: Opener = "keeper", path: Path | None = None) -> GatewayProcess:
    return GatewayProcess(SessionJournal(path), opener, None, None)


def test_a_program_is_to_be_replaced_twenty_days_after_it_was_first_seen() -> None:
    gateway = process()
    assert gateway.replace_by() is None
    gateway.note(ANSWERS, 10, NOON)
    gateway.note(ANSWERS, 10 + DAY_S, NOON + DAY_S)
    assert gateway.replace_by() == NOON + 20 * DAY_S


def test_its_age_is_kept_over_a_restart_of_the_keepalive_and_begins_anew_with_its_own(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    process(path=path).note(ANSWERS, 10, NOON)
    restarted = process(path=path)
    restarted.note(ANSWERS, 10, NOON + 5 * DAY_S)
    assert restarted.replace_by() == NOON + 20 * DAY_S
    restarted.note(REFUSES, 20, NOON + 6 * DAY_S)
    restarted.note(ANSWERS, 30, NOON + 6 * DAY_S)
    assert restarted.replace_by() == NOON + 26 * DAY_S
    assert restarted.started == 30


def test_timers_of_old_sign_ins_make_it_unknown_whether_it_tickles() -> None:
    gateway = process()
    gateway.note(ANSWERS, 0, NOON)
    assert gateway.tickles(NOON + TIMERS_FIRE_S - 1) is False
    assert gateway.tickles(NOON + TIMERS_FIRE_S) is None


@pytest.mark.parametrize(
    ("opener", "before", "lost_s", "is_caught"),
    [
        ("keeper", SessionState.REOPENING, 12, True),
        ("keeper", SessionState.REOPENING, 90, False),
        ("keeper", SessionState.AUTHENTICATED, 12, False),
        ("gateway", SessionState.REOPENING, 12, False),
    ],
)
def test_a_logout_of_its_own_is_noticed(opener: Opener, before: SessionState, lost_s: float, is_caught: bool) -> None:
    gateway = process(opener)
    gateway.note(ANSWERS, 0, NOON)
    assert gateway.note_signed_out(before, lost_s, 100) is is_caught
    assert gateway.tickles(NOON) is (is_caught or opener == "gateway")
    assert gateway.next_tickle(101) == (130 if is_caught else None)


def test_where_it_opens_the_session_its_tickles_are_known_from_then_on() -> None:
    gateway = process("gateway")
    assert gateway.next_tickle(5) is None
    gateway.note_opened(7)
    assert [gateway.next_tickle(now) for now in (7, 36, 37, 400)] == [37, 37, 67, 427]
    assert gateway.replace_by() is None
