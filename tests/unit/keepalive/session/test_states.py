"""How the keeper concludes the session's state."""

from __future__ import annotations

from typing import Any

import pytest

from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.states import START_GRACE_S, Verdict, decide
from ibkr.session import AuthStatus, SessionState

State = SessionState


def flags(**given: Any) -> ProbeResult:
    return ProbeResult(Outcome.FLAGS, AuthStatus(**({"connected": True, "authenticated": True} | given)))


def verdict(state: State = State.AUTHENTICATED, **given: Any) -> Verdict:
    return Verdict(state, since=0, concluded_at=0, **given)


def after(
    before: Verdict,
    *seen: ProbeResult,
    now: float = 100,
    in_maintenance: bool = False,
    is_portfolio_only: bool = False,
) -> Verdict:
    for each in seen:
        before = decide(
            each,
            before,
            now=now,
            started=0,
            in_maintenance=in_maintenance,
            is_portfolio_only=is_portfolio_only,
        )
    return before


def saw(outcome: Outcome) -> ProbeResult:
    return ProbeResult(outcome, detail="why")


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (flags(), State.AUTHENTICATED),
        (flags(established=True), State.AUTHENTICATED),
        (flags(established=False), State.REOPENING),
        (flags(authenticated=False), State.REOPENING),
        (flags(authenticated=False, connected=False), State.REOPENING),
        (flags(connected=False), State.REOPENING),
        (flags(authenticated=False, competing=True), State.COMPETING),
        (flags(competing=True), State.COMPETING),
        (saw(Outcome.NO_BRIDGE), State.REOPENING),
        (saw(Outcome.SIGNED_OUT), State.LOGIN_REQUIRED),
        (saw(Outcome.MAINTENANCE), State.MAINTENANCE),
        (saw(Outcome.REFUSED), State.UNREACHABLE),
        (saw(Outcome.SILENT), State.UNREACHABLE),
    ],
)
@pytest.mark.parametrize("before", list(State))
def test_plain_observation_decides_at_once(seen: ProbeResult, state: State, before: State) -> None:
    assert after(verdict(before), seen).state is state


@pytest.mark.parametrize("before", [State.AUTHENTICATED, State.LOGIN_REQUIRED, State.COMPETING, State.REOPENING])
def test_too_many_requests_never_change_the_state(before: State) -> None:
    assert after(verdict(before), *[saw(Outcome.BUSY)] * 10).state is before


@pytest.mark.parametrize("before", [State.HUNG, State.UNREACHABLE])
def test_any_answer_ends_a_silence_without_claiming_more(before: State) -> None:
    assert after(verdict(before), saw(Outcome.BUSY)).state is State.STARTING


def test_one_lost_answer_is_forgiven_and_two_are_a_hang() -> None:
    once = after(verdict(), saw(Outcome.TIMEOUT))
    assert once.state is State.AUTHENTICATED
    assert after(once, flags(), saw(Outcome.TIMEOUT)).state is State.AUTHENTICATED
    assert after(once, saw(Outcome.TIMEOUT)).state is State.HUNG


def test_hang_is_the_gateway_answering_and_ibkr_not() -> None:
    assert after(verdict(), saw(Outcome.TIMEOUT), saw(Outcome.TIMEOUT)).reachable is True
    assert after(verdict(), saw(Outcome.SILENT)).reachable is False


def test_three_broken_answers_are_an_outage_but_the_gateway_is_reachable() -> None:
    twice = after(verdict(), saw(Outcome.BROKEN), saw(Outcome.BROKEN))
    assert twice.state is State.AUTHENTICATED
    thrice = after(twice, saw(Outcome.BROKEN))
    assert (thrice.state, thrice.reachable) == (State.UNREACHABLE, True)
    assert after(thrice, saw(Outcome.BROKEN)).state is State.UNREACHABLE


def test_three_times_unavailable_is_maintenance_at_any_hour_and_stays_so() -> None:
    twice = after(verdict(), *[saw(Outcome.UNAVAILABLE)] * 2)
    assert twice.state is State.AUTHENTICATED
    thrice = after(twice, saw(Outcome.UNAVAILABLE))
    assert thrice.state is State.MAINTENANCE
    assert after(verdict(State.MAINTENANCE), saw(Outcome.UNAVAILABLE)).state is State.MAINTENANCE


@pytest.mark.parametrize(
    "seen",
    [
        [saw(Outcome.BROKEN)],
        [saw(Outcome.UNAVAILABLE)],
        [saw(Outcome.TIMEOUT), saw(Outcome.TIMEOUT)],
        [flags(connected=False, authenticated=False)],
    ],
)
def test_trouble_in_the_maintenance_hours_is_maintenance(seen: list[ProbeResult]) -> None:
    assert after(verdict(), *seen, in_maintenance=True).state is State.MAINTENANCE


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (flags(), State.AUTHENTICATED),
        (saw(Outcome.SIGNED_OUT), State.LOGIN_REQUIRED),
        (saw(Outcome.REFUSED), State.UNREACHABLE),
    ],
)
def test_plain_facts_count_in_the_maintenance_hours_too(seen: ProbeResult, state: State) -> None:
    assert after(verdict(), seen, in_maintenance=True).state is state


def test_gateway_that_does_not_listen_yet_is_starting_for_a_while() -> None:
    starting = verdict(State.STARTING)
    assert after(starting, saw(Outcome.REFUSED), now=START_GRACE_S - 1).state is State.STARTING
    assert after(starting, saw(Outcome.REFUSED), now=START_GRACE_S).state is State.UNREACHABLE


def test_state_keeps_its_age_while_it_lasts() -> None:
    first = after(verdict(State.STARTING), flags(), now=10)
    second = after(first, flags(), now=25)
    assert (second.since, second.concluded_at) == (10, 25)
    assert after(second, saw(Outcome.SIGNED_OUT), now=40).since == 40


def test_inconclusive_answers_leave_the_time_of_the_last_conclusion() -> None:
    first = after(verdict(State.STARTING), flags(), now=10)
    assert after(first, saw(Outcome.BUSY), saw(Outcome.TIMEOUT), saw(Outcome.BROKEN), now=70).concluded_at == 10


def test_every_state_can_be_reached() -> None:
    reached = {State.STARTING}
    seen = [
        flags(),
        flags(authenticated=False),
        flags(competing=True),
        *(saw(kind) for kind in Outcome if kind is not Outcome.FLAGS),
    ]
    for first in seen:
        for second in seen:
            reached.add(after(verdict(State.STARTING), first, second).state)
    reached.add(after(verdict(State.STARTING), flags(authenticated=False), is_portfolio_only=True).state)
    assert reached == set(State)


@pytest.mark.parametrize("seen", [flags(authenticated=False), flags(competing=True), flags(established=False)])
def test_where_the_session_is_left_to_others_its_absence_is_no_trouble(seen: ProbeResult) -> None:
    first = after(verdict(State.LOGIN_REQUIRED), seen, now=10, is_portfolio_only=True)
    assert first.state is State.PORTFOLIO_ONLY
    second = after(first, seen, now=40, is_portfolio_only=True)
    assert (second.state, second.since, second.concluded_at) == (State.PORTFOLIO_ONLY, 10, 40)
    assert after(second, saw(Outcome.SIGNED_OUT), is_portfolio_only=True).state is State.LOGIN_REQUIRED
    assert after(second, flags(), is_portfolio_only=True).state is State.AUTHENTICATED
