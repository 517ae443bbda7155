"""What is decided over a story of looks: attempts, waits, the gate, requests, maintenance."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from ib_operator.decision import budget
from ib_operator.decision.budget import Attempt
from ib_operator.decision.decide import SOON_S, Decision, History, attempted, decide, refused
from ib_operator.decision.observation import Observation
from ib_operator.decision.policy import Channel, Policy, parse
from ib_operator.decision.spans import epoch
from ib_operator.decision.states import Phase, Reason
from ibkr.session import AuthStatus, ReauthStatus, SessionState, Status

# A Tuesday at noon in New York.
NOON = epoch("2026-11-24T17:00:00Z") or 0.0


def test_every_reason_and_every_kind_of_attempt_is_reachable() -> None:
    window = {"maintenanceWindows": [{"start": "12:00", "end": "13:00", "timeZone": "America/New_York"}]}
    every = [state for state in SessionState for _ in range(30)]
    seen = [decision for _, decision in _play(every, Policy())]
    for spec in ({"reauth": {"compete": True}}, window, {"paused": True}, {"reauth": {"enabled": False}}):
        seen += [decision for _, decision in _play(every, parse(spec))]
    seen += [decision for _, decision in _play([SessionState.REOPENING] * 300, Policy())]
    blind = Observation(wall=NOON, status=None, pod="running", pod_age_s=1000)
    for look in (
        blind,
        replace(blind, pod="missing"),
        replace(blind, status=_status(SessionState.REOPENING), requested_at=NOON),
        replace(blind, status=_status(SessionState.AUTHENTICATED, age_seconds=300.0)),
    ):
        seen.append(decide(look, Policy(), History(), 0))
    assert {decision.reason for decision in seen} == set(Reason)
    assert {decision.attempt for decision in seen} == {*Attempt, None}
    assert {decision.phase for decision in seen} == set(Phase)


def _status(state: SessionState, **given: Any) -> Status:
    return Status(state=state, observed_at=NOON, state_since=NOON, **given)


def _play(states: list[SessionState], policy: Policy, **given: Any) -> list[tuple[float, Decision]]:
    """Decisions over ``states``, attempts carried out and accepted. ``given``: more of each status."""
    now, history, seen = 0.0, History(), []
    for state in states:
        observation = Observation(wall=NOON + now, status=_status(state, **given))
        decision = decide(observation, policy, history, now)
        history = decision.history
        seen.append((now, decision))
        if decision.attempt is not None:
            history = attempted(history, decision.attempt, policy, observation, now)
        now += decision.next_poll_s
    return seen


def test_a_lost_session_is_tried_five_times_at_growing_distances_and_then_given_up() -> None:
    notified = Policy(channels=(Channel("home", "webhook", "home"),))
    seen = _play([SessionState.AUTHENTICATED] + [SessionState.REOPENING] * 300, notified)
    tries = [at for at, decision in seen if decision.attempt is not None]
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert len(tries) == 5
    assert all(later > earlier * 1.5 for earlier, later in itertools.pairwise(waits))
    assert seen[-1][1].reason is Reason.REAUTH_EXHAUSTED
    assert (
        next(decision.notification.reason for _, decision in seen if decision.notification) is Reason.REAUTH_EXHAUSTED
    )


@pytest.mark.parametrize(("connected", "waits"), [(True, 0), (False, 30)])
def test_the_first_attempt_waits_only_where_the_gateway_would_not_end_the_sign_in(connected: bool, waits: int) -> None:
    states = [SessionState.AUTHENTICATED] + [SessionState.REOPENING] * 300
    seen = _play(states, Policy(), auth=AuthStatus(connected=connected))
    lost = next(at for at, decision in seen if decision.reason is Reason.SESSION_LOST)
    tries = [at for at, decision in seen if decision.attempt is not None]
    assert len(tries) == 5
    assert waits <= tries[0] - lost <= waits + SOON_S
    assert tries[1] - tries[0] >= 60


def test_a_session_without_connection_is_opened_as_soon_as_it_has_one() -> None:
    without, connected = AuthStatus(connected=False), AuthStatus(connected=True)
    history, now = History(), 0.0
    for auth in (without, without, connected):
        observation = Observation(wall=NOON + now, status=_status(SessionState.REOPENING, auth=auth))
        decision = decide(observation, Policy(), history, now)
        assert (decision.attempt is Attempt.LOST) is auth.connected
        history, now = decision.history, now + 5
    refusal = refused(attempted(history, Attempt.LOST, Policy(), observation, 10), history, 10, 20)
    assert decide(observation, Policy(), refusal, 15).attempt is None


def test_an_episode_ends_with_ten_minutes_of_an_open_session_and_not_before() -> None:
    short = [SessionState.AUTHENTICATED] * 20
    long = [SessionState.AUTHENTICATED] * 60
    lost = [SessionState.REOPENING] * 150
    tries = [decision for _, decision in _play(lost + short + lost, Policy()) if decision.attempt is not None]
    assert len(tries) == 5
    tries = [decision for _, decision in _play(lost + long + lost, Policy()) if decision.attempt is not None]
    assert len(tries) == 10


def test_a_person_who_has_to_sign_in_is_looked_after_every_five_seconds_for_ten_minutes() -> None:
    seen = _play([SessionState.LOGIN_REQUIRED] * 300, Policy())
    assert {decision.next_poll_s for at, decision in seen if at < 600} == {SOON_S}
    assert {decision.next_poll_s for at, decision in seen if at >= 600} == {15}


def test_a_single_contrary_look_keeps_the_gate_and_is_checked_soon() -> None:
    states = [SessionState.AUTHENTICATED, SessionState.REOPENING, SessionState.AUTHENTICATED, SessionState.REOPENING]
    seen = [decision for _, decision in _play([*states, SessionState.REOPENING], Policy())]
    assert [decision.gate for decision in seen] == ["True", "True", "True", "True", "False"]
    assert seen[1].next_poll_s == SOON_S
    assert [decision.is_transition for decision in seen] == [True, False, False, False, True]


def test_two_contrary_looks_that_disagree_keep_the_gate() -> None:
    states = [SessionState.AUTHENTICATED, SessionState.REOPENING, SessionState.COMPETING, SessionState.COMPETING]
    seen = [decision for _, decision in _play(states, Policy())]
    assert [decision.gate for decision in seen] == ["True", "True", "True", "False"]
    assert seen[-1].reason is Reason.SESSION_COMPETING


def test_nothing_is_taken_from_another_program_where_opening_is_off() -> None:
    policy = Policy(compete=True, reauth_enabled=False)
    seen = _play([SessionState.COMPETING] * 100, policy, auth=AuthStatus(connected=True, competing=True))
    assert not [decision for _, decision in seen if decision.attempt is not None]


def test_a_gateway_that_was_opened_a_moment_ago_is_left_alone() -> None:
    status = _status(SessionState.REOPENING, reauth=ReauthStatus(next_allowed_at=NOON + 20))
    history = History(budget=budget.Budget(next_at=-100.0))
    assert decide(Observation(wall=NOON, status=status), Policy(), history, 0).attempt is None
    assert decide(Observation(wall=NOON + 21, status=status), Policy(), history, 21).attempt is Attempt.LOST


@pytest.mark.parametrize("state", [SessionState.LOGIN_REQUIRED, SessionState.COMPETING, SessionState.MAINTENANCE])
def test_a_request_opens_nothing_where_nothing_may_be_opened(state: SessionState) -> None:
    observation = Observation(wall=NOON, status=_status(state), requested_at=NOON - 1)
    assert decide(observation, Policy(), History(), 0).attempt is None


def test_a_request_is_served_once_while_it_stands_even_with_an_empty_budget() -> None:
    spent = History(budget=budget.Budget(attempts=5, next_at=0.0))
    observation = Observation(wall=NOON, status=_status(SessionState.REOPENING), requested_at=NOON - 1)
    decision = decide(observation, Policy(), spent, 0)
    assert decision.attempt is Attempt.REQUESTED
    served = attempted(decision.history, Attempt.REQUESTED, Policy(), observation, 0)
    assert decide(replace(observation, wall=NOON + 60), Policy(), served, 60).attempt is None
    late = replace(observation, wall=NOON + 700)
    assert decide(late, Policy(), spent, 700).attempt is None
    early = replace(observation, wall=NOON - 60)
    assert decide(early, Policy(), spent, -60).attempt is None


def test_a_request_leaves_the_budget_and_its_waits_alone() -> None:
    waiting = budget.Budget(attempts=3, next_at=200.0)
    observation = Observation(wall=NOON, status=_status(SessionState.REOPENING), requested_at=NOON)
    history = decide(observation, Policy(), History(budget=waiting), 0).history
    served = attempted(history, Attempt.REQUESTED, Policy(), observation, 0)
    assert (served.budget.attempts, served.budget.next_at) == (3, 200.0)
    assert refused(served, history, 0, 20).budget.next_at == 200.0
    assert refused(served, history, 190, 20).budget.next_at == 210.0


@pytest.mark.parametrize(("jitter", "waits"), [
    (-1, [24, 48, 96, 192, 384, 480]), (0, [30, 60, 120, 240, 480, 600]), (1, [36, 72, 144, 288, 576, 600]),
])  # fmt: skip
def test_the_waits_double_are_a_fifth_longer_or_shorter_and_end_at_ten_minutes(jitter: float, waits: list[int]) -> None:
    assert [budget.wait_s(attempts, jitter) for attempts in range(6)] == waits


def test_taking_the_session_from_another_program_is_tried_five_times_ten_minutes_apart() -> None:
    states = [SessionState.COMPETING] * 500
    seen = _play(states, Policy(compete=True), auth=AuthStatus(connected=True, competing=True))
    tries = [at for at, decision in seen if decision.attempt is Attempt.COMPETE]
    assert len(tries) == 5
    assert all(later - earlier >= 600 for earlier, later in itertools.pairwise(tries))


@pytest.mark.parametrize(("asked", "granted"), [(50, 5), (5, 5), (1, 1), (0, 0), (-1, 0), ("many", 5)])
def test_no_spec_asks_for_more_than_five_attempts(asked: object, granted: int) -> None:
    policy = parse({"reauth": {"maxAttempts": asked}})
    tries = [decision for _, decision in _play([SessionState.REOPENING] * 300, policy) if decision.attempt]
    assert len(tries) == granted


def test_maintenance_is_tried_gently_and_nobody_is_told() -> None:
    windows = parse(
        {
            "maintenanceWindows": [{"start": "12:00", "end": "13:00", "timeZone": "America/New_York"}],
            "notifications": [{"name": "home", "type": "webhook", "secretRef": {"name": "home"}}],
        }
    )
    seen = _play([SessionState.REOPENING] * 200, windows)
    inside = [(at, decision) for at, decision in seen if at < 3600]
    tries = [at for at, decision in inside if decision.attempt is not None]
    assert {decision.reason for _, decision in inside} == {Reason.MAINTENANCE_WINDOW}
    assert 5 <= len(tries) <= 6
    assert not [decision for _, decision in inside if decision.notification]
    assert {decision.history.budget.attempts for _, decision in inside} == {0}
