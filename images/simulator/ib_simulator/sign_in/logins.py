"""The browser login at IBKR: user and password, then a second step on a pretend phone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from ib_simulator.session.users import USERS, User

SecondStep = Literal["auto", "wait", "none"]
AUTO_APPROVAL_S = 2.0
_KEPT = 100


@dataclass
class Attempt:
    """A login whose password was right; ``approved`` is None while the phone has not answered."""

    user: User
    began_at: float
    approved: bool | None = None


class Logins:
    """Attempts by their id. ``second_step``: the phone approves by itself, waits for a test, or is not asked."""

    def __init__(self, seed: int, second_step: SecondStep = "auto") -> None:
        self.second_step: SecondStep = second_step
        self._random = Random(f"login {seed}")
        self._attempts: dict[str, Attempt] = {}

    def begin(self, name: str, password: str, now: float) -> str | None:
        """The id of a new attempt, or None when user or password is wrong."""
        user = next((user for user in USERS.values() if user.name == name and user.password == password), None)
        if user is None:
            return None
        while len(self._attempts) >= _KEPT:
            self._attempts.pop(next(iter(self._attempts)))
        attempt_id = self.token()
        self._attempts[attempt_id] = Attempt(user, now)
        if self.second_step == "none":
            self._attempts[attempt_id].approved = True
        return attempt_id

    def outcome(self, attempt_id: str, now: float) -> User | Literal["waiting", "refused"]:
        """Where an attempt stands; an approved one is used up by this."""
        attempt = self._attempts.get(attempt_id)
        if attempt is None:
            return "refused"
        if attempt.approved is None and self.second_step == "auto" and now >= attempt.began_at + AUTO_APPROVAL_S:
            attempt.approved = True
        if attempt.approved is None:
            return "waiting"
        del self._attempts[attempt_id]
        return attempt.user if attempt.approved else "refused"

    def decide(self, approved: bool) -> int:
        """Answer on the phone for every waiting attempt; how many there were."""
        waiting = [attempt for attempt in self._attempts.values() if attempt.approved is None]
        for attempt in waiting:
            attempt.approved = approved
        return len(waiting)

    def shift(self, seconds: float) -> None:
        """The clock was set by that much."""
        for attempt in self._attempts.values():
            attempt.began_at += seconds

    @property
    def waiting(self) -> int:
        return sum(attempt.approved is None for attempt in self._attempts.values())

    def token(self) -> str:
        """A new opaque value for ids and cookies."""
        return f"{self._random.getrandbits(128):032x}"


def cookies(token: str, user: User) -> dict[str, str]:
    """What a login sets; the gateway keeps these by name."""
    return {"XYZAB": token, "XYZAB_AM.LOGIN": token[::-1], "USERID": str(user.user_id)}
