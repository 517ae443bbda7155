"""Sign-ins by number, and what is learnt of each: live or paper, since when, and which region serves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.observation import ProbeResult
from ibkr.session import Mode

# sso/validate may be asked once a minute, whoever asks; what failed is asked again as seldom, then more seldom.
RETRY_S = 60.0
LONGEST_RETRY_S = 900.0
# A sign-in elsewhere than at the login port may show in the accounts only.
AGAIN_S = 3600.0

_LATEST_MS = 10**13
_LOGIN_TYPES: dict[int, Mode] = {1: "live", 2: "paper"}


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """``signed_in_at`` in epoch seconds; ``sso_left_s`` only while IBKR's count falls in spite of tickles.

    ``accounts``, ``portfolio_accounts``, ``user_id`` and ``session_key`` (a digest) tell one sign-in from the next;
    they stay in memory.
    """

    mode: Mode = "unknown"
    region: str | None = None
    signed_in_at: float | None = None
    sso_left_s: float | None = None
    validated: bool = False
    accounts_read: bool = False
    tries: int = 0
    accounts: frozenset[str] = frozenset()
    portfolio_accounts: frozenset[str] = frozenset()
    user_id: int | None = None
    session_key: str | None = None

    @property
    def is_wanting(self) -> bool:
        """Whether something was not learnt yet."""
        return not (self.validated and self.accounts_read)

    @property
    def retry_s(self) -> float:
        """Seconds until what failed is asked again."""
        return float(min(RETRY_S * 2 ** max(0, self.tries - 5), LONGEST_RETRY_S))


class SignIns:
    """Numbers sign-ins. A number never comes back: without a journal they begin at the second of the calendar.

    ``known_at``: the loop second at which the present one was noticed.
    """

    def __init__(self, journal: SessionJournal) -> None:
        self._journal = journal
        # One that starts cannot know whether somebody signed in since the keeper before it.
        self.known_at: float | None = None

    @property
    def number(self) -> int:
        return self._journal.entries.number

    @property
    def at(self) -> float | None:
        return self._journal.entries.signed_in_at

    def note(self, wall: float, now: float) -> None:
        """Another sign-in was noticed at epoch second ``wall``, loop second ``now``."""
        self.known_at = now
        entries = self._journal.entries
        entries.number = entries.number + 1 if entries.number else max(1, int(wall))
        entries.signed_in_at = wall
        self._journal.write()


def is_another(before: SignInFacts, after: SignInFacts) -> bool:
    """Whether ``after`` is of another sign-in: another user, other accounts, another time of it."""
    return any(
        known and told and known != told
        for known, told in (
            (before.accounts, after.accounts),
            (before.portfolio_accounts, after.portfolio_accounts),
            (before.user_id, after.user_id),
            (before.signed_in_at, after.signed_in_at),
        )
    )


def from_validation(facts: SignInFacts, body: Any) -> SignInFacts:
    """``facts`` with an answer of sso/validate."""
    if not isinstance(body, dict):
        return facts
    login_type = body.get("LOGIN_TYPE", body.get("loginType"))
    mode = _LOGIN_TYPES.get(login_type, "unknown") if isinstance(login_type, int) else "unknown"
    user_id = body.get("USER_ID")
    signed_in = body.get("AUTH_TIME")
    region = body.get("region")
    return replace(
        facts,
        mode=mode if facts.mode == "unknown" else facts.mode,
        region=region if isinstance(region, str) else None,
        signed_in_at=signed_in / 1000 if isinstance(signed_in, int) and 0 < signed_in < _LATEST_MS else None,
        validated=True,
        user_id=user_id if isinstance(user_id, int) else facts.user_id,
    )


def from_accounts(facts: SignInFacts, body: Any) -> SignInFacts:
    """``facts`` with an answer of iserver/accounts, whose ``isPaper`` has the last word."""
    if not isinstance(body, dict):
        return facts
    listed = body.get("accounts")
    accounts = frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()
    is_paper = body.get("isPaper")
    # While the account data load, the answer is empty.
    facts = replace(facts, accounts=accounts or facts.accounts, accounts_read=bool(body))
    return replace(facts, mode="paper" if is_paper else "live") if isinstance(is_paper, bool) else facts


def from_portfolio(facts: SignInFacts, body: Any) -> SignInFacts:
    """``facts`` with an answer of portfolio/accounts."""
    rows = body if isinstance(body, list) else []
    ids = frozenset(str(row["accountId"]) for row in rows if isinstance(row, dict) and row.get("accountId"))
    return replace(facts, portfolio_accounts=ids or facts.portfolio_accounts)


LISTS_OF_ACCOUNTS = {"list_brokerage_accounts": from_accounts, "list_portfolio_accounts": from_portfolio}
"""How the operations are read that tell whose sign-in it is."""


def from_tickle(facts: SignInFacts, result: ProbeResult, before: tuple[float, float] | None, now: float) -> SignInFacts:
    """``facts`` with what a tickle told; ``before`` is the last one's count of seconds left with its loop second.

    Another session key may be that of another sign-in, so everything is asked again.
    """
    left_s, sso_left_s = result.sso_expires_s, None
    if left_s is not None and before is not None:
        fell, passed = before[0] - left_s, now - before[1]
        sso_left_s = left_s if passed > 0 and fell >= passed / 2 else None
    if None not in (facts.session_key, result.session_key) and facts.session_key != result.session_key:
        facts = replace(facts, accounts_read=False, validated=False)
    return replace(
        facts,
        sso_left_s=sso_left_s,
        user_id=facts.user_id if result.user_id is None else result.user_id,
        session_key=result.session_key or facts.session_key,
    )
