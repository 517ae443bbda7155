"""What the gateway's odd answers are told as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.upstream.response import PreflightMissing, Response, read_response
from ibkr.errors import IbError, LoginRequired, PacingLimited, SessionReopening, UpstreamError

PAGE = b'<html><form action="/sso/Dispatcher">Login</form></html>'


def response(status: int, body: Any = b"", media: str = "application/json") -> Response:
    return Response(status, media, body if isinstance(body, bytes) else json.dumps(body).encode())


def failure(status: int, body: Any = b"", media: str = "application/json") -> IbError:
    with pytest.raises(IbError) as raised:
        read_response(response(status, body, media))
    return raised.value


@pytest.mark.parametrize("body", [{}, [], {"a": 1}, [{"error": "x"}], "text", 5, None, {"error": None, "rate": 1}])
def test_json_of_a_good_answer_passes(body: Any):
    assert read_response(response(200, body)) == (body, json.dumps(body).encode())


def test_an_answer_without_content_passes():
    assert read_response(response(204)) == (None, b"")


@pytest.mark.parametrize(
    ("status", "body", "media"),
    [
        (401, b"", "text/plain"),
        (401, {"title": "Unauthorized", "status": 401}, "application/problem+json"),
        (302, b"", "text/html"),
        (307, b"", ""),
        (200, PAGE, "text/html; charset=utf-8"),
        (200, {"error": "no session"}, "application/json"),
        (200, {"error": "not authenticated", "statusCode": 401}, "application/json"),
        (200, {"error": "No session."}, "application/json"),
    ],
)
def test_a_missing_sign_in_is_recognised(status: int, body: Any, media: str):
    assert isinstance(failure(status, body, media), LoginRequired)


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize("words", ["Bad Request: no bridge", "Init session first", "not authenticated"])
def test_a_missing_brokerage_session_is_recognised(status: int, words: str):
    assert isinstance(failure(status, {"error": words, "statusCode": 400}), SessionReopening)


@pytest.mark.parametrize("words", ["there is no session of this algo today", "No session is defined for the contract"])
def test_a_text_that_speaks_of_sessions_is_no_missing_sign_in(words: str):
    assert failure(200, {"error": words}).code == "upstream_error"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_missing_call_of_accounts_is_recognised(status: int):
    assert isinstance(failure(status, {"error": "Please query /accounts first"}), PreflightMissing)


def test_a_page_of_maintenance_is_maintenance_whatever_its_status():
    page = b"<html><h1>Scheduled Maintenance</h1><a href='/sso/Login'>Login</a></html>"
    assert failure(200, page, "text/html").code == "maintenance"


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"a":NaN,"b":[Infinity,-Infinity,1]}', {"a": None, "b": [None, None, 1]}),
        (b'{"a":1e999,"b":-1e400,"c":1e5}', {"a": None, "b": None, "c": 100000.0}),
        (b'{"a":"caf\xe9"}', {"a": "caf\ufffd"}),
        (b'["\\ud800x","\\ud83d\\ude00","\\udc00"]', ["\ufffdx", "\U0001f600", "\ufffd"]),
        (b'["\\\\ud800"]', ["\\ud800"]),
    ],
)
def test_odd_json_becomes_json_that_every_reader_takes(content: bytes, body: Any):
    read, clean = read_response(Response(200, "application/json", content))
    assert read == body
    assert json.loads(clean.decode(), parse_constant=pytest.fail) == body


def test_nesting_that_no_reader_takes_is_an_error_of_ibkr():
    for levels in (65, 900, 100_000):
        assert failure(200, b"[" * levels + b"]" * levels).code == "upstream_error"


@pytest.mark.parametrize("body", [b"", b"slow down", {"error": "no session"}, PAGE])
def test_a_429_is_about_pacing_whatever_it_says(body: Any):
    assert isinstance(failure(429, body), PacingLimited)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", {"error": "no session"}, PAGE, b"not authenticated"])
def test_a_server_error_is_never_a_login_problem(status: int, body: Any):
    error = failure(status, body, "text/html" if body is PAGE else "application/json")
    assert isinstance(error, UpstreamError)
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, {"error": "Invalid account ID"}, "IBKR: Invalid account ID"),
        (404, b"no such thing", "IBKR: no such thing"),
        (400, {"message": "bad bar"}, "IBKR: bad bar"),
        (403, b"", "HTTP 403"),
        (423, {"status": "waiting for reply"}, "waiting for reply"),
        (503, PAGE, "HTTP 503"),
    ],
)
def test_ibkrs_own_words_and_status_are_passed_on(status: int, body: Any, said: str):
    error = failure(status, body)
    assert (error.code, error.status) == ("upstream_error", status)
    assert said in error.message


def test_an_error_with_status_200_and_nothing_else_is_an_error():
    error = failure(200, {"error": "Unknown alert", "statusCode": 200})
    assert (error.code, error.status, error.message) == ("upstream_error", 502, "IBKR: Unknown alert")


@pytest.mark.parametrize("body", [b"", b'{"orders": [{"a"', b"[" * 60_000, b"<p>busy</p>", b"\xff\xfe"])
def test_a_cut_or_broken_answer_is_an_error_of_ibkr(body: bytes):
    error = failure(200, body)
    assert (error.code, error.status) == ("upstream_error", 502)


def test_a_page_that_is_no_sign_in_page_is_an_error_of_ibkr():
    assert failure(200, b"<html>Under construction</html>", "text/html").code == "upstream_error"


@given(st.integers(200, 599), st.binary(max_size=60), st.sampled_from(["", "application/json", "text/html"]))
def test_every_answer_is_either_json_or_an_error_of_the_closed_set(status: int, content: bytes, media: str):
    error: IbError | None = None
    try:
        read_response(Response(status, media, content))
    except IbError as raised:
        error = raised
    if error is None:
        assert status < 300
    else:
        assert len(error.message) < 400
        assert error.status >= 300
