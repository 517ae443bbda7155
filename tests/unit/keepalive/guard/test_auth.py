"""Who is let in, and for how long a caller waits."""

from __future__ import annotations

import base64

import pytest

from ib_keepalive.guard.auth import Token, refuse_browsers
from ib_keepalive.pacing.deadline import DEFAULT_TURN_S, read_deadline
from ibkr.errors import InvalidRequest, OperationForbidden, TokenRequired

TOKEN = Token("correct horse")


def authorization(value: str) -> dict[bytes, bytes]:
    return {b"authorization": value.encode()}


def basic(text: str) -> dict[bytes, bytes]:
    return authorization("Basic " + base64.b64encode(text.encode()).decode())


@pytest.mark.parametrize(
    "headers",
    [
        authorization("Bearer correct horse"),
        authorization("bearer correct horse"),
        basic("anybody:correct horse"),
        basic(":correct horse"),
    ],
)
def test_the_token_lets_in(headers: dict[bytes, bytes]):
    TOKEN.check(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        authorization(""),
        authorization("Bearer"),
        authorization("Bearer "),
        authorization("Bearer correct hors"),
        authorization("Bearer correct horsee"),
        authorization("Bearer CORRECT HORSE"),
        authorization("correct horse"),
        authorization("Digest correct horse"),
        authorization("Basic correct horse"),
        authorization("Basic !!!"),
        basic("correct horse"),
        basic("correct horse:"),
        authorization("Bearer \xff"),
    ],
)
def test_anything_else_does_not(headers: dict[bytes, bytes]):
    with pytest.raises(TokenRequired):
        TOKEN.check(headers)


def test_the_token_is_not_kept():
    assert "horse" not in repr(vars(TOKEN))


@pytest.mark.parametrize(
    "headers", [{b"origin": b"https://evil.example"}, {b"origin": b"null"}, {b"sec-fetch-site": b"none"}]
)
def test_web_pages_are_refused(headers: dict[bytes, bytes]):
    with pytest.raises(OperationForbidden):
        refuse_browsers(headers)


def test_a_program_that_looks_a_little_like_a_browser_is_let_in():
    refuse_browsers({b"sec-fetch-mode": b"cors", b"accept-language": b"*", b"user-agent": b"node"})


def test_a_caller_without_a_word_waits_as_usual():
    deadline = read_deadline(None, 100.0, 15.0)
    assert (deadline.turn_by, deadline.answer_by) == (100 + DEFAULT_TURN_S, 100 + DEFAULT_TURN_S + 15)


@pytest.mark.parametrize(("header", "turn", "answer"), [(b"1000", 0.8, 1), (b"10000", 9, 10), (b"0", 0, 0),
                                                        (b"999999999", 119, 120)])  # fmt: skip
def test_a_deadline_leaves_time_for_the_answer(header: bytes, turn: float, answer: float):
    deadline = read_deadline(header, 100.0, 15.0)
    assert (deadline.turn_by, deadline.answer_by) == pytest.approx((100 + turn, 100 + answer))


@pytest.mark.parametrize("header", [b"", b"-1", b"soon", b"1.5", b"9" * 10, b"\xb2"])
def test_a_deadline_that_is_no_number_is_refused(header: bytes):
    with pytest.raises(InvalidRequest):
        read_deadline(header, 0.0, 15.0)
