"""The states in plain words, for people: on pages and in docs/sessions.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ibkr.session import SessionState

Tone = Literal["good", "wait", "act", "bad"]


@dataclass(frozen=True, slots=True)
class Words:
    """``title`` says what is, ``advice`` what to do; ``offers_sign_in`` where signing in would help.

    ``offers_take_over``: where a person may take the brokerage session from another program.
    """

    title: str
    advice: str
    tone: Tone
    offers_sign_in: bool = False
    offers_take_over: bool = False


WORDS: dict[SessionState, Words] = {
    SessionState.STARTING: Words("Looking", "Wait a few seconds: the gateway is being asked.", "wait"),
    SessionState.LOGIN_REQUIRED: Words(
        "Sign-in needed",
        "Sign in with your IBKR user name, password and second factor. A sign-in lasts until about midnight.",
        "act",
        offers_sign_in=True,
    ),
    SessionState.REOPENING: Words(
        "Signed in, session opening",
        "Wait: the brokerage session opens by itself or is opened again. If this lasts for minutes, sign in again.",
        "wait",
        offers_sign_in=True,
    ),
    SessionState.COMPETING: Words(
        "In use elsewhere",
        "Log out of TWS, IBKR Mobile or the other program, or take the session over, which ends it there.",
        "act",
        offers_take_over=True,
    ),
    SessionState.AUTHENTICATED: Words("Connected", "Nothing to do. You can close this page.", "good"),
    SessionState.MAINTENANCE: Words(
        "IBKR is under maintenance", "Wait until IBKR is back; a sign-in may be needed then.", "wait"
    ),
    SessionState.UNREACHABLE: Words(
        "Gateway or IBKR out of reach",
        "Check that the gateway program runs and has a network; run 'ib-mcp doctor' to find the broken link.",
        "bad",
    ),
    SessionState.HUNG: Words(
        "No answers from IBKR",
        "Check the gateway's network. Do not restart the gateway: a restart costs the sign-in.",
        "bad",
    ),
    SessionState.PORTFOLIO_ONLY: Words(
        "Signed in, portfolio only",
        "Nothing to do: the brokerage session is left to your other programs. You can close this page.",
        "good",
    ),
}
