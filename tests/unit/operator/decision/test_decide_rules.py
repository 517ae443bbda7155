"""What is decided over a story of polls: attempts, the gate, requests, maintenance, age."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from ib_operator.decision import rollout
from ib_operator.decision.decide import SOON_S, Attempt, Decision, History, attempted, decide, may_still, refused
from ib_operator.decision.observation import FRESH_S, Observation
from ib_operator.decision.policy import Channel, Policy, parse
from ib_operator.decision.spans import epoch
from ib_operator.decision.states import Phase, Reason
from ibkr.session import AuthStatus, GatewayStatus, ReauthStatus, SessionState, Status

# A Tuesday at noon in New York.
NOON = epoch("2026-11-24T17:00:00Z") or 0.0
WINDOW = {"maintenanceWindows": [{"start": "12:00", "end": "13:00", "timeZone": "America/New_York"}]}


def test_every_reason_and_every_kind_of_attempt_is_reachable() -> None:
    every = [state for state in SessionState for _ in range(60)]
    seen = [decision for _, decision in _play(every, Policy())]
    for spec in ({"reauth": {"compete": True}}, WINDOW, {"paused": True}, {"reauth": {"enabled": False}}):
        seen += [decision for _, decision in _play(every, parse(spec))]
    seen += [decision for _, decision in _play([SessionState.REOPENING] * 300, Policy())]
    blind = Observation(wall=NOON, status=None, pod="running", pod_age_s=1000)
    for poll in (
        blind,
        replace(blind, pod="missing"),
        replace(blind, status=_status(SessionState.REOPENING), requested_at=NOON),
        replace(blind, status=_status(SessionState.AUTHENTICATED, age_seconds=300.0)),
    ):
        seen.append(decide(poll, Policy(), History(), 0))
    assert {decision.reason for decision in seen} == set(Reason)
    assert {decision.attempt for decision in seen} == {*Attempt, None}
    assert {decision.phase for decision in seen} == set(Phase)


def _status(state: SessionState, **given: Any) -> Status:
    return Status(state=state, observed_at=NOON, state_since=NOON, **given)


def _play(states: list[SessionState], policy: Policy, **given: Any) -> list[tuple[float, Decision]]:
    """Decisions over ``states``; the keeper counts attempts to five. ``given``: more of each status."""
    now, history, seen = 0.0, History(), []
    tries: list[float] = []
    for state in states:
        budget = ReauthStatus(
            attempts=len(tries), is_used_up=len(tries) >= 5, last_at=NOON + tries[-1] if tries else None,
            next_allowed_at=NOON + tries[-1] + 30 * 2 ** len(tries) if tries else None,
        )  # fmt: skip
        observation = Observation(wall=NOON + now, status=_status(state, **{"reauth": budget} | given))
        decision = decide(observation, policy, history, now)
        history = decision.history
        seen.append((now, decision))
        if decision.attempt is not None:
            tries.append(now)
            history = attempted(history, decision.attempt, observation, now)
        now += decision.next_poll_s
    return seen


def _tries(seen: list[tuple[float, Decision]]) -> list[float]:
    return [at for at, decision in seen if decision.attempt is not None]


def test_a_lost_session_is_asked_for_as_soon_as_two_polls_agree_and_then_when_the_keeper_allows() -> None:
    seen = _play([SessionState.AUTHENTICATED] + [SessionState.REOPENING] * 300, Policy())
    tries = _tries(seen)
    lost = next(at for at, decision in seen if decision.reason is Reason.SESSION_LOST)
    assert tries[0] == lost
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(wait >= 30 * 2**number for number, wait in enumerate(waits, 1))


@pytest.mark.parametrize("given", [{"next_allowed_at": None}, {"next_allowed_at": NOON - 1}])
def test_where_the_keeper_says_nothing_the_session_is_asked_for_every_25_seconds_at_most(given: Any) -> None:
    tries = _tries(_play([SessionState.REOPENING] * 50, Policy(), reauth=ReauthStatus(**given)))
    assert len(tries) > 5
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(tries))


def test_the_owner_is_told_when_the_keepers_quick_attempts_had_their_time() -> None:
    policy = Policy(channels=(Channel("home", "webhook", "home"),))
    for used_up, last_at, reason in [
        (False, NOON - 100, Reason.SESSION_LOST),
        (True, NOON - 59, Reason.SESSION_LOST),
        (True, NOON - 60, Reason.REAUTH_EXHAUSTED),
        (True, None, Reason.REAUTH_EXHAUSTED),
    ]:
        status = _status(SessionState.REOPENING, reauth=ReauthStatus(attempts=5, is_used_up=used_up, last_at=last_at))
        decision = decide(Observation(wall=NOON, status=status), policy, History(), 0)
        assert decision.reason is reason
        assert (decision.notification is not None) is (reason is Reason.REAUTH_EXHAUSTED)


@pytest.mark.parametrize(("granted", "made", "tries"), [(2, 1, True), (2, 2, False), (0, 0, False), (None, 40, True)])
def test_the_owners_number_of_attempts_ends_them(granted: int | None, made: int, tries: bool) -> None:
    policy = parse({"reauth": {"maxAttempts": granted}})
    status = _status(SessionState.REOPENING, reauth=ReauthStatus(attempts=made, is_used_up=made >= 5))
    decision = decide(Observation(wall=NOON, status=status), policy, History(), 0)
    assert (decision.attempt is Attempt.LOST) is tries
    assert (decision.reason is Reason.REAUTH_EXHAUSTED) is (not tries or made >= 5)


@pytest.mark.parametrize(
    ("asked", "granted"), [(50, 50), (1, 1), (0, 0), (-1, 0), ("many", None), (True, None), (None, None)]
)
def test_an_odd_number_of_attempts_counts_as_none(asked: object, granted: int | None) -> None:
    assert parse({"reauth": {"maxAttempts": asked}}).max_attempts == granted


def test_a_refusal_is_heeded_for_as_long_as_it_says() -> None:
    observation = Observation(wall=NOON, status=_status(SessionState.REOPENING))
    history = decide(observation, Policy(), History(), 0).history
    refusal = refused(attempted(history, Attempt.LOST, observation, 0), history, 0, 20)
    for second, attempt in ((19, None), (20, Attempt.LOST)):
        later = replace(observation, wall=NOON + second)
        assert decide(later, Policy(), refusal, second).attempt is attempt
    at_once = refused(history, history, 0, 0)
    assert at_once.not_before == SOON_S
    assert refusal.attempted_at is None


def test_an_open_session_ends_what_a_refusal_asked_for() -> None:
    history = History(not_before=1000.0)
    opened = decide(Observation(wall=NOON, status=_status(SessionState.AUTHENTICATED)), Policy(), history, 0).history
    assert opened.not_before is None


def test_a_person_who_has_to_sign_in_is_looked_after_every_five_seconds_for_ten_minutes() -> None:
    seen = _play([SessionState.LOGIN_REQUIRED] * 300, Policy())
    assert {decision.next_poll_s for at, decision in seen if at < 600} == {SOON_S}
    assert {decision.next_poll_s for at, decision in seen if at >= 600} == {15}


def test_a_lost_session_is_looked_after_for_a_minute_after_its_loss_and_after_each_attempt() -> None:
    seen = _play([SessionState.REOPENING] * 100, Policy(), reauth=ReauthStatus(next_allowed_at=NOON + 300))
    assert {decision.next_poll_s for at, decision in seen if at < 60} == {SOON_S}
    assert {decision.next_poll_s for at, decision in seen if 60 <= at < 300} == {15}
    assert decide(
        Observation(wall=NOON, status=_status(SessionState.MAINTENANCE)), Policy(), History(attempted_at=-30.0), 0
    ).next_poll_s == SOON_S  # fmt: skip


def test_a_single_contrary_poll_keeps_the_gate_and_is_checked_soon() -> None:
    states = [SessionState.AUTHENTICATED, SessionState.REOPENING, SessionState.AUTHENTICATED, SessionState.REOPENING]
    seen = [decision for _, decision in _play([*states, SessionState.REOPENING], Policy())]
    assert [decision.gate for decision in seen] == ["True", "True", "True", "True", "False"]
    assert [decision.attempt for decision in seen] == [None, None, None, None, Attempt.LOST]
    assert seen[1].next_poll_s == SOON_S
    assert [decision.is_transition for decision in seen] == [True, False, False, False, True]


def test_two_contrary_polls_that_disagree_keep_the_gate() -> None:
    states = [SessionState.AUTHENTICATED, SessionState.REOPENING, SessionState.COMPETING, SessionState.COMPETING]
    seen = [decision for _, decision in _play(states, Policy())]
    assert [decision.gate for decision in seen] == ["True", "True", "True", "False"]
    assert seen[-1].reason is Reason.SESSION_COMPETING


def test_one_contrary_poll_closes_a_gate_that_was_confirmed_long_ago() -> None:
    opened = decide(Observation(wall=NOON, status=_status(SessionState.AUTHENTICATED)), Policy(), History(), 0).history
    lost = _status(SessionState.REOPENING)
    for later, gate in ((FRESH_S, "True"), (FRESH_S + 1, "False")):
        assert decide(Observation(wall=NOON + later, status=lost), Policy(), opened, later).gate == gate


def test_a_user_who_only_reads_the_portfolio_is_ready_and_nothing_is_opened() -> None:
    seen = [decision for _, decision in _play([SessionState.PORTFOLIO_ONLY] * 20, Policy())]
    assert {decision.gate for decision in seen} == {"True"}
    assert {decision.attempt for decision in seen} == {None}
    assert seen[-1].phase is Phase.PORTFOLIO_ONLY


def test_nothing_is_taken_from_another_program_where_opening_is_off() -> None:
    policy = Policy(compete=True, reauth_enabled=False)
    assert not _tries(_play([SessionState.COMPETING] * 100, policy, auth=AuthStatus(connected=True, competing=True)))


def test_a_session_that_was_seen_too_long_ago_is_not_opened() -> None:
    for age, attempt in ((FRESH_S, Attempt.LOST), (FRESH_S + 1, None)):
        status = _status(SessionState.REOPENING, age_seconds=age)
        assert decide(Observation(wall=NOON, status=status), Policy(), History(), 0).attempt is attempt


def test_before_the_owners_word_is_known_nothing_is_opened_and_nobody_is_told() -> None:
    unknown = Policy(is_known=False, channels=(Channel("home", "webhook", "home"),))
    for state in (SessionState.REOPENING, SessionState.LOGIN_REQUIRED):
        observation = Observation(wall=NOON, status=_status(state), requested_at=NOON - 1)
        decision = decide(observation, unknown, History(), 0)
        assert (decision.attempt, decision.notification, decision.refusal) == (None, None, None)


@pytest.mark.parametrize("attempt", Attempt)
def test_an_attempt_is_dropped_when_the_owners_word_changed_meanwhile(attempt: Attempt) -> None:
    assert may_still(attempt, Policy(compete=True))
    assert not may_still(attempt, Policy(compete=True, paused=True))
    assert not may_still(attempt, Policy(compete=True, is_known=False))
    assert may_still(attempt, Policy(compete=True, reauth_enabled=False)) is (attempt is Attempt.REQUESTED)
    assert may_still(attempt, Policy()) is (attempt is not Attempt.COMPETE)


def test_a_request_is_served_once_while_it_stands_even_with_a_used_up_budget() -> None:
    status = _status(SessionState.REOPENING, reauth=ReauthStatus(attempts=5, is_used_up=True))
    observation = Observation(wall=NOON, status=status, requested_at=NOON - 1)
    policy = Policy(max_attempts=5, reauth_enabled=False)
    decision = decide(observation, policy, History(), 0)
    assert (decision.attempt, decision.refusal) == (Attempt.REQUESTED, None)
    served = attempted(decision.history, Attempt.REQUESTED, observation, 0)
    again = decide(replace(observation, wall=NOON + 60), policy, served, 60)
    assert (again.attempt, again.refusal) == (None, None)
    early = decide(replace(observation, wall=NOON - 60), policy, History(), -60)
    assert (early.attempt, early.refusal) == (None, None)


@pytest.mark.parametrize(
    ("state", "policy", "why"),
    [
        (SessionState.LOGIN_REQUIRED, Policy(), "sign in first"),
        (SessionState.COMPETING, Policy(), "log out there"),
        (SessionState.AUTHENTICATED, Policy(), "open already"),
        (SessionState.PORTFOLIO_ONLY, Policy(), "left to other programs"),
        (SessionState.REOPENING, Policy(paused=True), "spec.paused"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_once_with_the_reason(
    state: SessionState, policy: Policy, why: str
) -> None:
    observation = Observation(wall=NOON, status=_status(state), requested_at=NOON)
    decision = decide(observation, policy, History(), 0)
    assert decision.attempt is None
    assert decision.refusal is not None
    assert why in decision.refusal
    assert decide(observation, policy, decision.history, 5).refusal is None


def test_a_request_waits_for_the_gateway_for_ten_minutes_and_is_refused_then() -> None:
    observation = Observation(wall=NOON, status=_status(SessionState.UNREACHABLE), requested_at=NOON)
    for second, is_refused in ((0, False), (599, False), (600, True)):
        decision = decide(replace(observation, wall=NOON + second), Policy(), History(), second)
        assert (decision.refusal is not None) is is_refused


def test_taking_the_session_from_another_program_is_tried_ten_minutes_apart() -> None:
    states = [SessionState.COMPETING] * 500
    tries = _tries(_play(states, Policy(compete=True), auth=AuthStatus(connected=True, competing=True)))
    assert len(tries) > 3
    assert all(later - earlier >= 600 for earlier, later in itertools.pairwise(tries))
    spent = _play(states, Policy(compete=True, max_attempts=2), auth=AuthStatus(connected=True, competing=True))
    assert len(_tries(spent)) == 2


def test_a_window_of_the_owners_is_tried_gently_and_nobody_is_told() -> None:
    channel = {"name": "home", "type": "webhook", "secretRef": {"name": "home"}}
    windows = parse({**WINDOW, "notifications": [channel]})
    seen = _play([SessionState.REOPENING] * 300, windows, reauth=ReauthStatus())
    inside = [(at, decision) for at, decision in seen if at < 3600]
    assert {decision.reason for _, decision in inside} == {Reason.MAINTENANCE_WINDOW}
    assert 5 <= len(_tries(inside)) <= 6
    assert not [decision for _, decision in inside if decision.notification]
    assert all(decision.is_idle for _, decision in inside)


@pytest.mark.parametrize(("state", "pod", "idle"), [
    (SessionState.LOGIN_REQUIRED, "running", True), (SessionState.REOPENING, "running", False),
    (SessionState.AUTHENTICATED, "running", False), (None, "pending", True), (None, "running", False),
])  # fmt: skip
def test_an_outdated_pod_may_go_when_no_session_would_end_by_it(
    state: SessionState | None, pod: Any, idle: bool
) -> None:
    observation = Observation(wall=NOON, status=_status(state) if state else None, pod=pod, pod_age_s=1000)
    decision = decide(observation, Policy(), History(), 0)
    assert rollout.may_replace(Policy(rollout="WhenIdle"), decision) is idle
    assert rollout.may_replace(Policy(rollout="Immediate"), decision)
    assert not rollout.may_replace(Policy(), decision)
    assert not rollout.may_replace(Policy(rollout="Immediate", paused=True), decision)


@pytest.mark.parametrize(("state", "by", "goes"), [
    (SessionState.LOGIN_REQUIRED, NOON, True), (SessionState.LOGIN_REQUIRED, NOON + 1, False),
    (SessionState.LOGIN_REQUIRED, None, False), (SessionState.AUTHENTICATED, NOON, False),
    (SessionState.REOPENING, NOON, False),
])  # fmt: skip
def test_an_aged_gateway_program_is_replaced_when_nobody_is_signed_in(
    state: SessionState, by: float | None, goes: bool
) -> None:
    status = _status(state, gateway=GatewayStatus(replace_by=by))
    decision = decide(Observation(wall=NOON, status=status), Policy(), History(), 0)
    assert rollout.must_replace(Policy(), decision) is goes
    assert not rollout.must_replace(Policy(paused=True), decision)
    assert not rollout.must_replace(Policy(is_known=False), decision)


@pytest.mark.parametrize(("rested", "attempt"), [(599, None), (600, Attempt.LOST)])
def test_in_a_window_of_the_owners_an_attempt_is_due_ten_minutes_after_the_last(
    rested: float, attempt: Attempt | None
) -> None:
    history = History(attempted_at=-float(rested))
    observation = Observation(wall=NOON, status=_status(SessionState.REOPENING))
    assert decide(observation, parse(WINDOW), history, 0).attempt is attempt


@pytest.mark.parametrize(("asked", "policy"), [("WhenIdle", "WhenIdle"), ("Sometimes", "Never"), (None, "Never")])
def test_an_odd_rollout_policy_replaces_nothing(asked: object, policy: str) -> None:
    assert parse({"rollout": {"policy": asked}}).rollout == policy


@pytest.mark.parametrize(
    ("age", "reason"),
    [(119, Reason.GATEWAY_STARTING), (120, Reason.SIDECAR_UNREACHABLE), (None, Reason.SIDECAR_UNREACHABLE)],
)
def test_a_pod_is_starting_for_two_minutes(age: float | None, reason: Reason) -> None:
    observation = Observation(wall=NOON, status=None, pod="running", pod_age_s=age)
    assert decide(observation, Policy(), History(), 0).reason is reason
