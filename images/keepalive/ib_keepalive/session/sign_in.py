"""What is sign_in once per sign-in: live or paper, since when, and which region serves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ibkr.session import Mode

# sso/validate may be asked once a minute, whoever asks; what failed is asked again as seldom.
RETRY_S = 60.0
_MOST_TRIES = 5

_LATEST_MS = 10**13
_LOGIN_TYPES: dict[int, Mode] = {1: "live", 2: "paper"}


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """``signed_in_at`` in epoch seconds; ``sso_left_s`` only while IBKR's count falls in spite of tickles."""

    mode: Mode = "unknown"
    region: str | None = None
    signed_in_at: float | None = None
    sso_left_s: float | None = None
    validated: bool = False
    accounts_read: bool = False
    tries: int = 0

    @property
    def is_wanting(self) -> bool:
        """Whether asking (again) is worth its requests."""
        return not (self.validated and self.accounts_read) and self.tries < _MOST_TRIES


def from_validation(facts: SignInFacts, body: Any) -> SignInFacts:
    """``facts`` with an answer of sso/validate."""
    if not isinstance(body, dict):
        return facts
    login_type = body.get("LOGIN_TYPE", body.get("loginType"))
    mode = _LOGIN_TYPES.get(login_type, "unknown") if isinstance(login_type, int) else "unknown"
    signed_in = body.get("AUTH_TIME")
    region = body.get("region")
    return replace(
        facts,
        mode=mode if facts.mode == "unknown" else facts.mode,
        region=region if isinstance(region, str) else None,
        signed_in_at=signed_in / 1000 if isinstance(signed_in, int) and 0 < signed_in < _LATEST_MS else None,
        validated=True,
    )


def from_accounts(facts: SignInFacts, body: Any) -> SignInFacts:
    """``facts`` with an answer of iserver/accounts, whose ``isPaper`` has the last word."""
    is_paper = body.get("isPaper") if isinstance(body, dict) else None
    if not isinstance(is_paper, bool):
        return replace(facts, accounts_read=isinstance(body, dict))
    return replace(facts, mode="paper" if is_paper else "live", accounts_read=True)


def from_tickle(
    facts: SignInFacts, left_s: float | None, before: tuple[float, float] | None, now: float
) -> SignInFacts:
    """``facts`` with a tickle's count of seconds left; ``before`` is the last one with its loop second."""
    if left_s is None or before is None:
        return replace(facts, sso_left_s=None)
    fell, passed = before[0] - left_s, now - before[1]
    return replace(facts, sso_left_s=left_s if passed > 0 and fell >= passed / 2 else None)
