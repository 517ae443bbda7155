"""The /status contract and what each state means for a caller."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr.errors import LoginRequired, SessionCompeting
from ibkr.session import (
    AuthStatus,
    GatewayStatus,
    LoginStatus,
    MaintenanceStatus,
    PolicyStatus,
    ReauthStatus,
    SessionState,
    SignInStatus,
    Status,
    TickleStatus,
    refusal,
)

seconds = st.floats(0, 4e9)
maybe_seconds = st.none() | seconds
statuses = st.builds(
    Status,
    state=st.sampled_from(SessionState),
    observed_at=seconds,
    state_since=seconds,
    age_seconds=seconds,
    mode=st.sampled_from(["live", "paper", "unknown"]),
    gateway=st.builds(GatewayStatus, st.booleans(), maybe_seconds, maybe_seconds, st.none() | st.text()),
    auth=st.builds(AuthStatus, st.booleans(), st.booleans(), st.booleans(), st.none() | st.booleans(), st.text()),
    tickle=st.builds(TickleStatus, maybe_seconds, st.integers(0), maybe_seconds),
    reauth=st.builds(ReauthStatus, maybe_seconds, st.none() | st.text(), maybe_seconds),
    login=st.builds(LoginStatus, maybe_seconds, st.none() | st.text()),
    maintenance=st.builds(MaintenanceStatus, st.booleans(), maybe_seconds),
    sign_in=st.builds(SignInStatus, st.integers(0), maybe_seconds),
    policy=st.builds(PolicyStatus, st.booleans(), st.booleans(), st.none() | st.integers(0), maybe_seconds),
)
PLAIN = Status(state=SessionState.AUTHENTICATED, observed_at=10.0, state_since=5.0)


@given(statuses)
def test_a_status_survives_json(status: Status) -> None:
    assert Status.from_json(json.loads(json.dumps(status.to_json()))) == status


@given(statuses, st.dictionaries(st.text(min_size=1).map("new_{}".format), st.integers(), max_size=3))
def test_fields_of_a_newer_writer_are_ignored_everywhere(status: Status, more: dict[str, int]) -> None:
    body = status.to_json()
    for section in [body, *(value for value in body.values() if isinstance(value, dict))]:
        section.update(more)
    assert Status.from_json(body) == status


def test_fields_of_an_older_writer_keep_their_defaults() -> None:
    body = {"schema": 1, "state": "authenticated", "observed_at": 10, "state_since": 5, "gateway": {"reachable": True}}
    assert Status.from_json(body) == replace(PLAIN, gateway=GatewayStatus(reachable=True))


def test_a_mode_that_is_not_known_is_unknown() -> None:
    assert Status.from_json({**PLAIN.to_json(), "mode": "demo"}).mode == "unknown"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "not a JSON object"),
        (None, "not a JSON object"),
        ({}, "schema None"),
        ({**PLAIN.to_json(), "schema": 2}, "schema 2"),
        ({**PLAIN.to_json(), "state": "asleep"}, "asleep"),
        ({**PLAIN.to_json(), "observed_at": None}, "cannot be read"),
        ({"schema": 1}, "state"),
    ],
)
def test_what_is_not_version_one_is_a_value_error(body: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Status.from_json(body)


def test_the_body_has_exactly_the_fields_of_the_contract() -> None:
    body = PLAIN.to_json()
    assert {name: sorted(value) if isinstance(value, dict) else None for name, value in body.items()} == {
        "schema": None,
        "observed_at": None,
        "age_seconds": None,
        "state": None,
        "state_since": None,
        "mode": None,
        "gateway": [
            "build",
            "instance",
            "latency_ms",
            "next_tickle_at",
            "reachable",
            "replace_by",
            "started_at",
            "tickles",
        ],
        "auth": ["authenticated", "competing", "connected", "established", "message"],
        "tickle": ["failures", "last_ok_at", "next_due"],
        "reauth": [
            "attempts",
            "is_used_up",
            "last_at",
            "last_result",
            "next_allowed_at",
            "next_attempt_at",
            "opener",
            "rung",
        ],
        "login": ["deadline", "url_hint"],
        "maintenance": ["active", "until"],
        "sign_in": ["at", "number"],
        "policy": ["max_attempts", "paused", "reopen", "set_at"],
        "pacing": ["penalty_until"],
        "traffic": ["answers", "sent", "waiting"],
        "trading": [
            "approval_asked_at",
            "approval_url",
            "effective_mode",
            "mode",
            "pending_approvals",
            "problem",
            "stopped",
            "unknown",
        ],
    }


def test_every_state_but_the_open_one_refuses_with_its_own_error() -> None:
    codes = {state: error.code for state in SessionState if (error := refusal(state))}
    assert codes == {
        SessionState.STARTING: "session_reopening",
        SessionState.LOGIN_REQUIRED: "login_required",
        SessionState.REOPENING: "session_reopening",
        SessionState.COMPETING: "session_competing",
        SessionState.PORTFOLIO_ONLY: "operation_forbidden",
        SessionState.MAINTENANCE: "maintenance",
        SessionState.UNREACHABLE: "upstream_unreachable",
        SessionState.HUNG: "upstream_timeout",
    }
    assert refusal(SessionState.AUTHENTICATED) is None


def test_only_a_missing_login_tells_where_to_sign_in() -> None:
    missing = refusal(SessionState.LOGIN_REQUIRED, login="https://localhost:5443")
    competing = refusal(SessionState.COMPETING, login="https://localhost:5443")
    assert isinstance(missing, LoginRequired)
    assert missing.login == "https://localhost:5443"
    assert isinstance(competing, SessionCompeting)
    assert competing.login is None


def test_a_known_wait_replaces_the_usual_one() -> None:
    usual = refusal(SessionState.REOPENING)
    known = refusal(SessionState.REOPENING, retry_after_s=17)
    assert usual is not None
    assert known is not None
    assert (usual.retry_after_s, known.retry_after_s) == (5, 17)
