"""The two users of the simulated broker. Their passwords are no secret."""

from __future__ import annotations

from dataclasses import dataclass

from ib_simulator.world.accounts import USER_NAMES, Mode


@dataclass(frozen=True, slots=True)
class User:
    """``mode`` is how the user presents itself: paper, or live."""

    name: str
    password: str
    user_id: int
    mode: Mode

    @property
    def login_type(self) -> int:
        """``LOGIN_TYPE`` of sso/validate: 1 live, 2 paper."""
        return 2 if self.mode == "paper" else 1


USERS: dict[Mode, User] = {
    "paper": User(USER_NAMES["paper"], "paper", 910_000_002, "paper"),
    "live": User(USER_NAMES["live"], "live", 910_000_001, "live"),
}
