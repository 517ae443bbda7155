"""Rules that hold whatever a gateway does: a state machine drives the pure decisions through arbitrary histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ib_operator.decision.decide import Attempt, Decision, History, attempted, decide, refused
from ib_operator.decision.observation import FRESH_S, Observation
from ib_operator.decision.policy import Policy, parse
from ib_operator.decision.spans import epoch
from ib_operator.decision.states import ROWS, Phase
from ibkr.session import AuthStatus, MaintenanceStatus, ReauthStatus, SessionState, Status

# A Tuesday at noon in New York.
NOON = epoch("2026-11-24T17:00:00Z") or 0.0
WINDOW = {"start": "13:00", "end": "14:00", "timeZone": "America/New_York"}


class Gateway(RuleBasedStateMachine):
    """Time goes on by looks; every decision to attempt is carried out, and its outcome chosen by hypothesis."""

    @initialize(
        compete=st.booleans(), most=st.sampled_from([None, 0, 2, 5]), enabled=st.sampled_from([True, True, False]),
        windows=st.booleans(),
    )  # fmt: skip
    def begin(self, compete: bool, most: int | None, enabled: bool, windows: bool) -> None:
        self.policy: Policy = parse(
            {
                "reauth": {"compete": compete, "maxAttempts": most, "enabled": enabled},
                "maintenanceWindows": [WINDOW] if windows else [],
                "notifications": [{"name": "home", "type": "webhook", "secretRef": {"name": "home"}}],
            }
        )
        self.now = 0.0
        self.history = History()
        self.requested: float | None = None
        self.good_at: float | None = None
        self.sent: list[tuple[float, Attempt]] = []
        self.attempts = 0

    @rule(
        state=st.sampled_from([*SessionState, SessionState.COMPETING, SessionState.REOPENING]),
        looks=st.integers(1, 40), age=st.sampled_from([0.0, 30.0, 200.0]),
        maintenance=st.sampled_from([False, False, False, True]), allowed=st.sampled_from([None, -10.0, 20.0]),
        outcome=st.sampled_from("srl"), connected=st.booleans(),
    )  # fmt: skip
    def look(
        self, state: SessionState, looks: int, age: float, maintenance: bool, allowed: float | None, outcome: str,
        connected: bool,
    ) -> None:  # fmt: skip
        for _ in range(looks):
            status = Status(
                state=state,
                observed_at=NOON,
                state_since=NOON,
                age_seconds=age,
                auth=AuthStatus(connected=connected, competing=state is SessionState.COMPETING),
                maintenance=MaintenanceStatus(active=maintenance),
                reauth=ReauthStatus(
                    attempts=self.attempts,
                    is_used_up=self.attempts >= 5,
                    next_allowed_at=None if allowed is None else NOON + self.now + allowed,
                ),
            )
            self.reconcile(self.observe(status), outcome)

    @rule(looks=st.integers(1, 12), pod=st.sampled_from(["missing", "pending", "running"]), age=st.floats(0, 1000))
    def lose_sight(self, looks: int, pod: Any, age: float) -> None:
        for _ in range(looks):
            self.reconcile(replace(self.observe(None), pod=pod, pod_age_s=age), "s")

    @rule()
    def ask(self) -> None:
        self.requested = NOON + self.now

    @rule()
    def pause(self) -> None:
        self.policy = replace(self.policy, paused=not self.policy.paused)

    @rule()
    def lose_the_word(self) -> None:
        self.policy = replace(self.policy, is_known=not self.policy.is_known)

    @rule(seconds=st.sampled_from([60.0, 700.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def observe(self, status: Status | None) -> Observation:
        return Observation(wall=NOON + self.now, status=status, requested_at=self.requested)

    def reconcile(self, observation: Observation, outcome: str) -> None:
        before = self.history
        decision = decide(observation, self.policy, before, self.now)
        self.history = decision.history
        self.check(observation, before, decision)
        if decision.attempt is not None:
            tried = attempted(self.history, decision.attempt, observation, self.now)
            if outcome == "r":
                self.history = refused(tried, self.history, self.now, 25)
            else:
                self.history = tried
                self.note(decision.attempt)
        assert decision.next_poll_s > 0
        self.now += decision.next_poll_s

    def note(self, attempt: Attempt) -> None:
        last = [at for at, kind in self.sent if kind is not Attempt.REQUESTED]
        if attempt is not Attempt.REQUESTED:
            assert self.policy.max_attempts is None or self.attempts < self.policy.max_attempts
            assert not last or self.now - last[-1] >= 25
            self.attempts += 1
        if attempt is Attempt.COMPETE:
            assert not last or self.now - last[-1] >= 600
        if attempt is Attempt.REQUESTED:
            served = [at for at, kind in self.sent if kind is attempt]
            assert not served or self.requested is None or NOON + served[-1] <= self.requested
        self.sent.append((self.now, attempt))

    def check(self, observation: Observation, before: History, decision: Decision) -> None:
        status = observation.status
        assert ROWS[decision.reason].phase is decision.phase
        good = (SessionState.AUTHENTICATED, SessionState.PORTFOLIO_ONLY)
        is_open = status is not None and status.state in good and status.age_seconds <= FRESH_S
        if is_open:
            self.good_at = self.now
            assert decision.gate == "True", "one poll is enough to see an open session"
        if decision.gate == "True":
            assert self.good_at is not None
            assert self.now - self.good_at <= FRESH_S
        if not is_open and before.unconfirmed is not None and decision.gate == "True":
            assert self.history.unconfirmed is not before.unconfirmed, "two polls that agree close the gate"
        if decision.attempt is not None:
            assert status is not None
            assert status.age_seconds <= FRESH_S
            assert not self.policy.paused
            assert self.policy.is_known
            allowed_at = status.reauth.next_allowed_at
            assert allowed_at is None or allowed_at <= observation.wall
            assert decision.gate == "False"
            if status.state is SessionState.COMPETING:
                assert self.policy.compete
            else:
                assert status.state is SessionState.REOPENING
            if not self.policy.reauth_enabled:
                assert decision.attempt is Attempt.REQUESTED
        if self.policy.paused:
            assert decision.phase is Phase.PAUSED
            assert decision.notification is None
        if decision.refusal is not None:
            assert decision.attempt is not Attempt.REQUESTED
            assert self.requested is not None
            assert before.handled != self.requested
        if decision.maintenance_until is not None or not self.policy.is_known:
            assert decision.notification is None


def test_no_history_breaks_a_rule() -> None:
    run_state_machine_as_test(
        Gateway,
        settings=settings(
            max_examples=200, stateful_step_count=40, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
