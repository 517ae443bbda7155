"""Merging what several tool calls ask at the same time into few questions to IBKR."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ib_mcp.guard.gateway_choice import collected, named, note
from ibkr.errors import UpstreamError

K = TypeVar("K")
V = TypeVar("V")

# A value, the error that came in its place, or None for an unknown key; and the gateways that answered.
_Outcome = tuple[V | Exception | None, set[str]]
_Asked = dict[K, asyncio.Future[_Outcome[V]]]

# So long the first key waits for others; agents that start together come within this time.
_GATHERING_S = 0.01
# What comes while so many questions are under way goes together into the next one.
_AT_ONCE = 2
# With these IBKR may refuse a question for one of its keys; others are trouble of its own, which no halving cures.
_BLAMES = frozenset({400, 404, 500, 502})
# So many more questions may find out which key it is: two bad ones of two hundred, and hardly more in an outage.
_MOST_SPLITS = 8


@dataclass(slots=True)
class _Splits:
    """How often the questions of one batch may still be halved."""

    left: int


class Batch(Generic[K, V]):
    """``ask`` is given at most ``most`` keys and answers with those that it knows; its errors go to all who asked.

    Calls that name different gateways are not merged, and each call hears which gateways answered.
    """

    def __init__(self, ask: Callable[[list[K]], Awaitable[dict[K, V]]], most: int) -> None:
        self._ask = ask
        self._most = most
        self._open: defaultdict[str | None, _Asked[K, V]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def get(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of ``keys``; unknown ones are missing. Giving up costs the others nothing."""
        waiting = {key: self._join(key) for key in keys}
        if not waiting:
            return {}
        await asyncio.wait(waiting.values())
        found: dict[K, V] = {}
        for key, future in waiting.items():
            value, gateways = future.result()
            note(gateways)
            if isinstance(value, Exception):
                raise value
            if value is not None:
                found[key] = value
        return found

    def _join(self, key: K) -> asyncio.Future[_Outcome[V]]:
        gateway = named.get()
        asked = self._open[gateway]
        if not asked:
            task = asyncio.create_task(self._answer(gateway))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return asked.setdefault(key, asyncio.get_running_loop().create_future())

    async def _answer(self, gateway: str | None) -> None:
        await asyncio.sleep(_GATHERING_S)
        async with self._turns:
            asked = self._open.pop(gateway)
            names = list(asked)
            parts = [names[start : start + self._most] for start in range(0, len(names), self._most)]
            splits = _Splits(_MOST_SPLITS)
            await asyncio.gather(*(self._answer_part(part, asked, splits) for part in parts))

    async def _answer_part(self, keys: list[K], asked: _Asked[K, V], splits: _Splits) -> None:
        found: dict[K, V] = {}
        failure: Exception | None = None
        try:
            with collected() as gateways:
                found = await self._ask(keys)
        except UpstreamError as error:
            # One caller's key may be what IBKR refuses; it is no reason to refuse the others.
            if len(keys) > 1 and error.status in _BLAMES and splits.left:
                splits.left -= 1
                half = len(keys) // 2
                await asyncio.gather(*(self._answer_part(part, asked, splits) for part in (keys[:half], keys[half:])))
                return
            failure = error
        except Exception as error:
            failure = error
        for key in keys:
            # A value and not an exception of the future: nobody may be left to look at it.
            asked[key].set_result((failure or found.get(key), gateways))
