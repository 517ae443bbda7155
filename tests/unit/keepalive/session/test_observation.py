"""What the keeper reads from the gateway's answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ib_keepalive.session.observation import Outcome, parse_response
from ibkr.session import AuthStatus

JSON = {"content-type": "application/json"}
OPEN = {"authenticated": True, "competing": False, "connected": True}

HTML = {"content-type": "text/html"}


def read(body: Any, status: int = 200) -> Any:
    return parse_response(status, JSON, json.dumps(body).encode())[0]


@pytest.mark.parametrize(
    ("status", "headers", "content", "outcome"),
    [
        pytest.param(401, {}, b"", Outcome.SIGNED_OUT, id="401 with an empty body"),
        pytest.param(302, {"location": "https://x/sso/Login"}, b"", Outcome.SIGNED_OUT, id="redirect to the login"),
        pytest.param(200, JSON, b'{"error":"no session"}', Outcome.SIGNED_OUT, id="no session as JSON"),
        pytest.param(200, {"content-type": "text/html"}, b"<html>login", Outcome.SIGNED_OUT, id="a web page"),
        pytest.param(200, {}, b"\n <!doctype html>", Outcome.SIGNED_OUT, id="a web page without its type"),
        pytest.param(429, {}, b'{"error":"too many requests"}', Outcome.BUSY, id="429"),
        pytest.param(
            400, JSON, b'{"error":"Bad Request: no bridge","statusCode":400}', Outcome.NO_BRIDGE, id="400 no bridge"
        ),
        pytest.param(400, JSON, b'{"error":"Init session first"}', Outcome.NO_BRIDGE, id="400 init first"),
        pytest.param(200, JSON, b'{"error":"no bridge"}', Outcome.NO_BRIDGE, id="200 no bridge"),
        pytest.param(503, JSON, b'{"error":"Scheduled maintenance"}', Outcome.MAINTENANCE, id="503 maintenance"),
        pytest.param(503, JSON, b'{"error":"Service Unavailable"}', Outcome.UNAVAILABLE, id="503 without a word of it"),
        pytest.param(500, JSON, b'{"error":"oops"}', Outcome.BROKEN, id="500"),
        pytest.param(404, {}, b"Access Denied", Outcome.BROKEN, id="the gateway's address rule"),
        pytest.param(200, JSON, b"", Outcome.BROKEN, id="empty"),
        pytest.param(200, JSON, b'{"authenticated":tr', Outcome.BROKEN, id="cut short"),
        pytest.param(200, JSON, b"\xff\xfe", Outcome.BROKEN, id="not text"),
        pytest.param(200, JSON, b"[" * 200_000, Outcome.BROKEN, id="nested too deep"),
        pytest.param(200, JSON, b"[1]", Outcome.BROKEN, id="not an object"),
        pytest.param(200, JSON, b'{"error":"strange"}', Outcome.BROKEN, id="some other error"),
        pytest.param(200, JSON, b'{"error":"not authenticated"}', Outcome.BROKEN, id="not authenticated"),
        pytest.param(200, JSON, b'{"error":"No session data for chart"}', Outcome.BROKEN, id="a word of sessions"),
        pytest.param(200, JSON, b'{"error":"No session."}', Outcome.SIGNED_OUT, id="no session in other letters"),
        pytest.param(200, HTML, b"<h1>System maintenance</h1>", Outcome.MAINTENANCE, id="200 and a maintenance page"),
        pytest.param(
            200,
            HTML,
            b'maintenance on Saturday<form action="/sso">',
            Outcome.SIGNED_OUT,
            id="sign-in page with a notice",
        ),
        pytest.param(403, JSON, b"{}", Outcome.NO_RIGHTS, id="403"),
        pytest.param(500, JSON, b'{"error":"no trading permission"}', Outcome.NO_RIGHTS, id="500 for lack of rights"),
        pytest.param(200, JSON, b'{"error":"User is not entitled"}', Outcome.NO_RIGHTS, id="200 for lack of rights"),
        pytest.param(200, JSON, b'{"session":"x"}', Outcome.ALIVE, id="a tickle without flags"),
    ],
)
def test_answer_shows(status: int, headers: dict[str, str], content: bytes, outcome: Outcome) -> None:
    assert parse_response(status, headers, content)[0].outcome is outcome


def test_busy_answer_tells_how_long_to_wait() -> None:
    assert parse_response(429, {"retry-after": "600"}, b"")[0].retry_after_s == 600


def test_flags_are_read_from_auth_status_and_from_inside_a_tickle() -> None:
    expected = AuthStatus(connected=True, authenticated=True, competing=False)
    assert read(OPEN).flags == expected
    assert read({"session": "s", "hmds": {"error": "no bridge"}, "iserver": {"authStatus": OPEN}}).flags == expected


def test_short_form_of_a_signed_out_status_is_not_connected() -> None:
    assert read({"authenticated": False, "MAC": "x"}).flags == AuthStatus()


def test_established_is_kept_apart_from_absent() -> None:
    assert read(OPEN).flags.established is None
    assert read(OPEN | {"established": False}).flags.established is False


def test_refusal_to_open_without_compete_means_somebody_else_is_there() -> None:
    body = {
        "authenticated": False,
        "competing": False,
        "connected": True,
        "fail": "Force compete capability must be used together with compete flag",
    }
    assert read(body).flags.competing is True


def test_time_left_of_the_sign_in_comes_with_a_tickle() -> None:
    assert read({"ssoExpires": 460_000, "iserver": {"authStatus": OPEN}}).sso_expires_s == 460
    assert read({"ssoExpires": "soon", "iserver": {"authStatus": OPEN}}).sso_expires_s is None
    assert read({"ssoExpires": 10**400, "iserver": {"authStatus": OPEN}}).sso_expires_s is None


def test_words_of_the_broker_are_short_and_without_accounts() -> None:
    message = read(OPEN | {"message": "account  DU1234567\n" + "x" * 500}).flags.message
    assert "DU1234567" not in message
    assert len(message) <= 200
    assert "\n" not in message
