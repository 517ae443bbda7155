"""When the brokerage session may be opened, by request and by the keeper itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.session import reopening
from ib_keepalive.session.reopening import GAP_S, LOADING_S, Budget
from ib_keepalive.session.states import Verdict
from ibkr.errors import PacingLimited
from ibkr.session import AuthStatus, SessionState

LOST = AuthStatus(connected=True)
LOADING = AuthStatus(connected=True, authenticated=True, established=False)
DAY = 86_400.0


def verdict(state: SessionState = SessionState.REOPENING, flags: AuthStatus = LOST, since: float = 0) -> Verdict:
    return Verdict(state, since=since, concluded_at=since, flags=flags)


def refuse(seen: Verdict, *, now: float = 1000, earliest: float = 0, compete: bool = False) -> Any:
    return reopening.refuse(seen, now=now, earliest=earliest, compete=compete, login="open the page")


def test_lost_session_may_be_opened() -> None:
    assert refuse(verdict()) is None


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (SessionState.STARTING, "session_reopening"),
        (SessionState.LOGIN_REQUIRED, "login_required"),
        (SessionState.COMPETING, "session_competing"),
        (SessionState.MAINTENANCE, "maintenance"),
        (SessionState.UNREACHABLE, "upstream_unreachable"),
        (SessionState.HUNG, "upstream_timeout"),
    ],
)
def test_other_states_refuse_with_their_own_error(state: SessionState, code: str) -> None:
    assert refuse(verdict(state)).code == code


def test_sign_in_hint_comes_with_the_refusal() -> None:
    assert refuse(verdict(SessionState.LOGIN_REQUIRED)).login == "open the page"


def test_competing_session_is_taken_over_only_by_policy() -> None:
    assert refuse(verdict(SessionState.COMPETING), compete=True) is None


def test_too_early_is_told_with_the_true_wait() -> None:
    error = refuse(verdict(), now=10, earliest=GAP_S)
    assert isinstance(error, PacingLimited)
    assert error.retry_after_s == GAP_S - 10


def test_loading_session_is_left_alone_for_a_minute() -> None:
    assert refuse(verdict(flags=LOADING), now=LOADING_S - 1).code == "session_reopening"
    assert refuse(verdict(flags=LOADING), now=LOADING_S) is None


@given(
    state=st.sampled_from(SessionState),
    now=st.floats(0, 1e6),
    earliest=st.floats(0, 1e6),
    flags=st.builds(AuthStatus, connected=st.booleans(), authenticated=st.booleans()),
)
def test_nothing_is_permitted_early_or_while_competing(
    state: SessionState, now: float, earliest: float, flags: AuthStatus
) -> None:
    permitted = refuse(verdict(state, flags), now=now, earliest=earliest) is None
    is_due = state is SessionState.REOPENING and now >= earliest
    assert not permitted or is_due or state is SessionState.AUTHENTICATED


def tries_of_a_spell(lasting: float) -> list[float]:
    """Loop seconds of the keeper's own tries while the session stays lost."""
    lost, budget, tries = verdict(), Budget(), []
    while (at := reopening.try_at(budget, lost, earliest=0)) is not None and at < lasting:
        tries.append(at)
        budget = reopening.spend(budget, at)
    return tries


def test_own_tries_back_off_and_end_after_five() -> None:
    tries = tries_of_a_spell(DAY)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits == [30, 60, 120, 240]


def test_short_spell_of_health_does_not_renew_the_tries() -> None:
    spent = Budget(tries=5, next_at=0)
    budget = reopening.follow(spent, SessionState.AUTHENTICATED, 0)
    budget = reopening.follow(budget, SessionState.AUTHENTICATED, 599)
    assert budget.tries == 5
    budget = reopening.follow(budget, SessionState.REOPENING, 600)
    budget = reopening.follow(budget, SessionState.AUTHENTICATED, 700)
    assert reopening.follow(budget, SessionState.AUTHENTICATED, 1299).tries == 5


def test_ten_minutes_of_health_renew_the_tries() -> None:
    budget = reopening.follow(Budget(tries=5), SessionState.AUTHENTICATED, 0)
    assert reopening.follow(budget, SessionState.AUTHENTICATED, 600).tries == 0


@pytest.mark.parametrize("state", [state for state in SessionState if state is not SessionState.REOPENING])
def test_keeper_tries_in_no_other_state(state: SessionState) -> None:
    assert reopening.try_at(Budget(), verdict(state), earliest=0) is None


def test_keeper_waits_for_a_second_look_longer_when_ibkr_is_not_connected() -> None:
    assert reopening.try_at(Budget(), verdict(since=100), earliest=0) == 103
    assert reopening.try_at(Budget(), verdict(flags=AuthStatus(), since=100), earliest=0) == 130
    assert reopening.try_at(Budget(), verdict(flags=LOADING, since=100), earliest=0) == 160
    assert reopening.try_at(Budget(), verdict(since=100), earliest=200) == 200
