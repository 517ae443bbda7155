"""Asks the simulator's answers as one brokerage session does, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ib_simulator.answers import ANSWERS
from ib_simulator.call import Answer, Call, Memory, Refusal
from ib_simulator.world import World
from ib_simulator.world.accounts import UserKey
from ibkr.catalogue import load

PAPER, LIVE, SAVINGS = "DU7420001", "U7420002", "U7420003"
AAPL, IBM, SPY, EUR_USD, ES_INDEX = 265598, 8314, 756733, 12087792, 11004968


def utc(text: str) -> float:
    """Epoch seconds of e.g. ``2026-11-20 15:30:07``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


FRIDAY = utc("2026-11-20 15:30:07")
"""A trading day, an hour after New York opened."""


class Asker:
    """``asker("endpoint_id", conid=..., path={...}, body=...)`` answers the body; ``status`` is kept."""

    def __init__(
        self,
        user: UserKey = "paper",
        *,
        seed: int = 7,
        now: float = FRIDAY,
        world: World | None = None,
        ready: bool = True,
    ) -> None:
        self.world = world or World(seed, user)
        self.memory = Memory()
        self.now = now
        self.status = 0
        self.media = ""
        if ready:
            self("list_brokerage_accounts")
            self("list_portfolio_accounts")

    def __call__(
        self, endpoint_id: str, *, path: dict[str, str] | None = None, body: Any = None, **query: object
    ) -> Any:
        texts = {name: str(value) for name, value in query.items()}
        call = Call(load()[endpoint_id], path or {}, texts, body, self.now, self.memory)
        try:
            answer = ANSWERS[endpoint_id](self.world, call)
        except Refusal as refusal:
            answer = refusal.answer
        self.memory.seen[endpoint_id] += 1
        assert isinstance(answer, Answer)
        self.status, self.media = answer.status, answer.media
        return answer.body

    def twice(self, endpoint_id: str, **arguments: Any) -> Any:
        """The second answer: the first one of a session is empty for some operations."""
        self(endpoint_id, **arguments)
        return self(endpoint_id, **arguments)

    def snapshot(self, *conids: int, fields: str) -> list[dict[str, Any]]:
        """Rows after every field had the time to arrive."""
        asked = {"conids": ",".join(map(str, conids)), "fields": fields}
        self("get_price_snapshot", **asked)
        self.now += 3
        rows: list[dict[str, Any]] = self("get_price_snapshot", **asked)
        return rows
