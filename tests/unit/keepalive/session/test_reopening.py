"""When the brokerage session may be opened, by request and by the keeper itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.session import reopening
from ib_keepalive.session.policy import Policy
from ib_keepalive.session.reopening import GAP_S, LOADING_S, Budget
from ib_keepalive.session.states import Verdict
from ibkr.errors import PacingLimited
from ibkr.session import AuthStatus, SessionState

LOST = AuthStatus(connected=True)
LOADING = AuthStatus(connected=True, authenticated=True, established=False)
DAY = 86_400.0
SETTINGS, FRESH = Policy(reopen=True), Budget()


def verdict(state: SessionState = SessionState.REOPENING, flags: AuthStatus = LOST, since: float = 0) -> Verdict:
    return Verdict(state, since=since, concluded_at=since, flags=flags)


def refuse(
    seen: Verdict,
    *,
    policy: Policy = SETTINGS,
    budget: Budget = FRESH,
    now: float = 1000,
    earliest: float = 0,
    compete: bool = False,
    is_person: bool = False,
) -> Any:
    return reopening.refuse(
        seen,
        policy,
        budget,
        now=now,
        earliest=earliest,
        compete=compete,
        login="open the page",
        is_person=is_person,
    )


def try_at(seen: Verdict, *, policy: Policy = SETTINGS, budget: Budget = FRESH, earliest: float = 0) -> float | None:
    return reopening.try_at(budget, seen, policy, earliest, after_s=30)


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
        (SessionState.PORTFOLIO_ONLY, "operation_forbidden"),
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


def tries_of_a_spell(lasting: float, **policy: Any) -> list[float]:
    """Loop seconds of the keeper's own tries while the session stays lost."""
    lost, budget, tries = verdict(), Budget(), []
    given = Policy(**({"reopen": True} | policy))
    while (at := try_at(lost, policy=given, budget=budget)) is not None and at < lasting:
        tries.append(at)
        budget = reopening.spend(budget, at)
    return tries


def test_own_tries_go_on_in_a_long_outage_farther_and_farther_apart() -> None:
    tries = tries_of_a_spell(DAY)
    waits = [after - before for before, after in pairwise(tries)]
    assert tries[0] == 30
    assert waits[:5] == [30, 60, 120, 240, 900]
    assert set(waits[5:]) == {900}


@pytest.mark.parametrize("most", [0, 1, 3, 7])
def test_the_owners_number_of_attempts_binds_the_keeper_and_those_who_ask(most: int) -> None:
    assert len(tries_of_a_spell(DAY, max_attempts=most)) == most
    budget, policy = Budget(attempts=most), Policy(reopen=True, max_attempts=most)
    assert refuse(verdict(), budget=budget, policy=policy).code == "session_reopening"
    assert refuse(verdict(), budget=budget, policy=policy, is_person=True) is None


@pytest.mark.parametrize("is_person", [False, True])
def test_a_paused_gateway_is_opened_by_nobody(is_person: bool) -> None:
    policy = Policy(paused=True, reopen=True, set_at=1)
    assert refuse(verdict(), policy=policy, is_person=is_person).code == "operation_forbidden"
    assert try_at(verdict(), policy=policy) is None


def test_an_owner_who_forbids_it_is_heeded_by_all_but_persons() -> None:
    policy = Policy(reopen=False, set_at=1)
    assert refuse(verdict(), policy=policy).code == "operation_forbidden"
    assert refuse(verdict(), policy=policy, is_person=True) is None
    assert try_at(verdict(), policy=policy) is None


def test_settings_only_say_what_the_keeper_does_by_itself() -> None:
    assert refuse(verdict(), policy=Policy()) is None
    assert try_at(verdict(), policy=Policy()) is None


def test_those_who_ask_spend_the_same_budget_and_a_person_does_not_wait_for_it() -> None:
    spent = reopening.spend(Budget(), 1000)
    error = refuse(verdict(), budget=spent, now=1026)
    assert isinstance(error, PacingLimited)
    assert error.retry_after_s == 4
    assert refuse(verdict(), budget=spent, now=1026, is_person=True) is None
    assert try_at(verdict(since=990), budget=spent) == 1030


@pytest.mark.parametrize(("attempts", "most", "is_used_up"), [
    (4, None, False), (5, None, True), (2, 3, False), (3, 3, True), (5, 7, True), (0, 0, True),
])  # fmt: skip
def test_a_person_is_told_when_the_quick_attempts_are_made(attempts: int, most: int | None, is_used_up: bool) -> None:
    assert Budget(attempts=attempts).is_used_up(Policy(max_attempts=most)) is is_used_up


def test_short_spell_of_health_does_not_renew_the_tries() -> None:
    spent = Budget(attempts=5, next_at=0)
    budget = reopening.follow(spent, SessionState.AUTHENTICATED, 0)
    budget = reopening.follow(budget, SessionState.AUTHENTICATED, 599)
    assert budget.attempts == 5
    budget = reopening.follow(budget, SessionState.REOPENING, 600)
    budget = reopening.follow(budget, SessionState.AUTHENTICATED, 700)
    assert reopening.follow(budget, SessionState.AUTHENTICATED, 1299).attempts == 5


def test_ten_minutes_of_health_renew_the_tries() -> None:
    budget = reopening.follow(Budget(attempts=5), SessionState.AUTHENTICATED, 0)
    assert reopening.follow(budget, SessionState.AUTHENTICATED, 600).attempts == 0


@pytest.mark.parametrize("state", [state for state in SessionState if state is not SessionState.REOPENING])
def test_keeper_tries_in_no_other_state(state: SessionState) -> None:
    assert try_at(verdict(state)) is None


def test_keeper_leaves_a_loss_to_others_and_longer_while_ibkr_is_loading() -> None:
    assert try_at(verdict(since=100)) == 130
    assert try_at(verdict(flags=AuthStatus(), since=100)) == 220
    assert try_at(verdict(flags=LOADING, since=100)) == 160
    assert try_at(verdict(since=100), earliest=200) == 200


def test_keeper_that_is_alone_opens_at_once_but_waits_for_ibkr_to_be_connected() -> None:
    alone = {"policy": SETTINGS, "earliest": 0, "after_s": 0}
    assert reopening.try_at(FRESH, verdict(since=100), **alone) == 100  # type: ignore[arg-type]
    assert reopening.try_at(FRESH, verdict(flags=AuthStatus(), since=100), **alone) == 220  # type: ignore[arg-type]
