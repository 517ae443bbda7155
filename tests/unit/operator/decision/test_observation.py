"""What one poll means by itself."""

from __future__ import annotations

import pytest

from ib_operator.decision.observation import FRESH_S, Observation, reason_of
from ib_operator.decision.policy import Policy, parse
from ib_operator.decision.spans import epoch
from ib_operator.decision.states import Reason
from ibkr.session import MaintenanceStatus, SessionState, Status

# A Tuesday at noon in New York.
NOON = epoch("2026-11-24T17:00:00Z") or 0.0
WINDOW = parse({"maintenanceWindows": [{"start": "11:00", "end": "13:00", "timeZone": "America/New_York"}]})


def _poll(state: SessionState, *, age: float = 0.0, is_down: bool = False) -> Observation:
    maintenance = MaintenanceStatus(active=is_down)
    status = Status(state=state, observed_at=NOON, state_since=NOON, age_seconds=age, maintenance=maintenance)
    return Observation(wall=NOON, status=status)


@pytest.mark.parametrize("state", ["authenticated", "competing", "reopening", "login_required"])
def test_what_was_seen_minutes_ago_says_nothing_of_the_session_now(state: str) -> None:
    fresh, stale = (_poll(SessionState(state), age=age) for age in (FRESH_S, FRESH_S + 1))
    assert reason_of(fresh, Policy()) is not Reason.STATUS_STALE
    assert reason_of(stale, Policy()) is Reason.STATUS_STALE


@pytest.mark.parametrize("state", ["starting", "maintenance", "unreachable", "hung"])
def test_what_itself_says_that_nothing_is_seen_does_not_age(state: str) -> None:
    assert reason_of(_poll(SessionState(state), age=1000), Policy()) is not Reason.STATUS_STALE


@pytest.mark.parametrize("state", ["reopening", "unreachable", "hung"])
def test_maintenance_explains_a_session_or_a_path_that_is_lost(state: str) -> None:
    assert reason_of(_poll(SessionState(state)), WINDOW) is Reason.MAINTENANCE_WINDOW
    assert reason_of(_poll(SessionState(state), is_down=True), Policy()) is Reason.BROKER_MAINTENANCE
    assert reason_of(_poll(SessionState(state), is_down=True), WINDOW) is Reason.BROKER_MAINTENANCE


@pytest.mark.parametrize(("state", "reason"), [
    ("login_required", Reason.LOGIN_REQUIRED), ("competing", Reason.SESSION_COMPETING),
    ("authenticated", Reason.SESSION_OPEN), ("starting", Reason.GATEWAY_STARTING),
])  # fmt: skip
def test_maintenance_explains_nothing_else(state: str, reason: Reason) -> None:
    assert reason_of(_poll(SessionState(state), is_down=True), WINDOW) is reason


@pytest.mark.parametrize(("pod", "age", "reason"), [
    ("missing", None, Reason.POD_MISSING), ("pending", 1000.0, Reason.GATEWAY_STARTING),
    ("running", 60.0, Reason.GATEWAY_STARTING), ("running", 130.0, Reason.SIDECAR_UNREACHABLE),
])  # fmt: skip
def test_a_pod_that_says_nothing_is_excused_while_it_is_young(pod: str, age: float | None, reason: Reason) -> None:
    silent = Observation(wall=NOON, status=None, pod=pod, pod_age_s=age)  # type: ignore[arg-type]
    assert reason_of(silent, Policy()) is reason
