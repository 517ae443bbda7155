"""Error codes, their envelope and their headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr.errors import BY_CODE, IbError, PacingLimited, SessionReopening, TokenRequired, UpstreamError, from_envelope

kinds = st.sampled_from(list(BY_CODE.values()))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_codes_are_a_closed_set_each_with_a_status_and_a_cure() -> None:
    assert set(BY_CODE.values()) == {kind for kind in IbError.__subclasses__() if kind.__module__ == "ibkr.errors"}
    for code, kind in BY_CODE.items():
        assert kind.code == code
        assert 400 <= kind.status <= 599
        assert kind.action.endswith(".")


def test_statuses_are_those_of_the_design() -> None:
    assert {code: kind.status for code, kind in BY_CODE.items()} == {
        "token_required": 401,
        "operation_forbidden": 403,
        "operation_unknown": 404,
        "invalid_request": 400,
        "login_required": 503,
        "session_competing": 503,
        "session_reopening": 503,
        "maintenance": 503,
        "pacing_limited": 429,
        "upstream_unreachable": 502,
        "upstream_timeout": 504,
        "outcome_unknown": 504,
        "upstream_error": 502,
        "internal_error": 500,
    }


@given(
    kinds,
    st.text(),
    st.none() | st.text(),
    st.none() | st.floats(0, 1e6),
    st.none() | st.text(),
    st.none() | st.integers(400, 599),
)
def test_an_error_survives_its_envelope(kind, message, action, wait, login, status) -> None:
    error = kind(message, action=action, retry_after_s=wait, login=login, status=status)
    read = from_envelope(error.status, json.loads(json.dumps(error.envelope())))
    assert type(read) is kind
    assert (read.message, read.action, read.login, read.status) == (message, error.action, login, error.status)
    assert str(read) == message
    assert read.envelope() == error.envelope()


@given(st.floats(0, 1e6))
def test_nobody_is_told_to_come_back_too_early(wait: float) -> None:
    error = PacingLimited("Too many calls.", retry_after_s=wait)
    assert wait <= error.envelope()["error"]["retry_after_s"] < wait + 0.2
    assert int(error.headers()["Retry-After"]) >= max(wait, 1)


def test_headers_say_how_to_authenticate_and_when_to_come_back() -> None:
    assert TokenRequired("No token.").headers() == {"WWW-Authenticate": "Bearer"}
    assert PacingLimited("Wait.", retry_after_s=2.1).headers() == {"Retry-After": "3"}
    assert PacingLimited("Wait.").headers() == {}


def test_absent_details_are_left_out_of_the_envelope() -> None:
    assert UpstreamError("IBKR: no.").envelope()["error"].keys() == {"code", "message", "action"}


def test_ibkrs_own_status_is_passed_through_and_the_class_keeps_its_own() -> None:
    assert UpstreamError("IBKR: no.", status=418).status == 418
    assert UpstreamError.status == 502


@given(anything)
def test_what_is_no_envelope_is_none_and_never_an_exception(body: Any) -> None:
    assert from_envelope(500, body) is None
    assert from_envelope(500, {"error": body}) is None


@given(st.fixed_dictionaries({"code": kinds.map(lambda kind: kind.code) | anything}, optional={}), anything)
def test_an_envelope_with_odd_details_still_gives_its_error(error: dict[str, Any], odd: Any) -> None:
    read = from_envelope(503, {"error": {**error, "message": odd, "action": odd, "retry_after_s": odd, "login": odd}})
    known = isinstance(error["code"], str) and error["code"] in BY_CODE
    assert (read is not None) == known
    if read is not None:
        json.dumps(read.envelope(), allow_nan=False)
        assert all(isinstance(value, str) for value in read.headers().values())


@pytest.mark.parametrize(
    "body", [{"error": "no session"}, {"error": {"code": "no_such_code"}}, {"error": None}, [], ""]
)
def test_ibkrs_own_error_bodies_are_no_envelopes(body: Any) -> None:
    assert from_envelope(200, body) is None


def test_another_cure_makes_another_error_and_keeps_the_rest() -> None:
    first = SessionReopening("It is not open.", retry_after_s=5, login="http://localhost", status=599)
    second = first.advising("Call reopen_session.")
    assert second.envelope()["error"] == first.envelope()["error"] | {"action": "Call reopen_session."}
    assert (type(second), second.status) == (SessionReopening, 599)
    assert first.action == SessionReopening.action
