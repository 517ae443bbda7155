"""The users of the simulated broker. Their passwords are no secret."""

from __future__ import annotations

from dataclasses import dataclass

from ib_simulator.world.accounts import USER_NAMES, Mode, UserKey


@dataclass(frozen=True, slots=True)
class User:
    key: UserKey
    name: str
    password: str
    user_id: int

    @property
    def mode(self) -> Mode:
        """How the user presents itself."""
        return "paper" if self.key == "paper" else "live"

    @property
    def login_type(self) -> int:
        """``LOGIN_TYPE`` of sso/validate: 1 live, 2 paper."""
        return 2 if self.mode == "paper" else 1


USERS: dict[UserKey, User] = {
    "paper": User("paper", USER_NAMES["paper"], "paper", 910_000_002),
    "live": User("live", USER_NAMES["live"], "live", 910_000_001),
    "odd": User("odd", USER_NAMES["odd"], "odd", 910_000_003),
}
