"""What a simulator answered, when and to whose session: what the guard's answers are held against."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ib_simulator.app import Simulator

_KEPT_S = 2000.0
# The guard rounds ages down to a millisecond; a request's own way takes no virtual time.
_ROUNDING_S = 0.002


@dataclass(frozen=True, slots=True)
class Record:
    """One answer of the simulator at loop second ``at``; ``sign_ins`` of the simulator so far."""

    at: float
    sign_ins: int
    status: int
    content: bytes


class Recorded:
    """The simulator's ASGI app, which notes every answer before it goes out."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.sign_ins = 0
        self._by_path: defaultdict[str, deque[Record]] = defaultdict(deque)
        self._prices: defaultdict[str, deque[tuple[Record, dict[str, Any]]]] = defaultdict(deque)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, content = 0, b""

        async def note(message: Any) -> None:
            nonlocal status, content
            status = message.get("status", status)
            content += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._note(scope, Record(asyncio.get_running_loop().time(), self.sign_ins, status, content))
            await send(message)

        await self.simulator.app(scope, receive, note)

    def told(self, path: str, *, since: float, sign_in: int) -> Iterator[bytes]:
        """What was answered to this sign-in after ``since``."""
        for record in self._by_path[_in_order(path)]:
            if record.sign_ins == sign_in and record.at >= since - _ROUNDING_S:
                yield record.content

    def priced(self, conid: str, *, since: float, sign_in: int) -> Iterator[dict[str, Any]]:
        """The rows of an instrument answered to this sign-in after ``since``."""
        for record, row in self._prices[conid]:
            if record.sign_ins == sign_in and record.at >= since - _ROUNDING_S:
                yield row

    def _note(self, scope: Any, record: Record) -> None:
        path = scope["raw_path"].decode().removeprefix("/v1/api")
        query = scope.get("query_string", b"").decode()
        if record.status != 200:
            return
        if path.endswith("/marketdata/snapshot"):
            for row in json.loads(record.content):
                _keep(self._prices[str(row["conidEx"])], (record, row), record.at)
        else:
            _keep(self._by_path[_in_order(f"{path}?{query}")], record, record.at)


def _in_order(path: str) -> str:
    """The same question is the same whatever the order of its parameters."""
    path, _, query = path.partition("?")
    return "?".join((path, "&".join(sorted(query.split("&")))))


def _keep(kept: deque[Any], entry: Any, now: float) -> None:
    kept.append(entry)
    while kept and (kept[0][0] if isinstance(kept[0], tuple) else kept[0]).at < now - _KEPT_S:
        kept.popleft()
