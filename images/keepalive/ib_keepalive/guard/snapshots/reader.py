"""Price snapshots: what each caller wants from the shared rows, asked again until the values are there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from ib_keepalive.guard.memory.rows import Wish, read_wish
from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.guard.snapshots.batches import OPERATION, SnapshotBatches
from ib_keepalive.guard.snapshots.line_turns import LineTurns
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Waiter
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import PreflightMissing
from ibkr.catalogue import Catalogue
from ibkr.errors import PacingLimited, SessionReopening, UpstreamTimeout


@dataclass(frozen=True, slots=True)
class Prices:
    """``fetched_at``: when the oldest part came from IBKR, in seconds of the loop's clock."""

    content: bytes
    fetched_at: float
    source: str


class SnapshotReader:
    """Answers ``get_price_snapshot`` for all callers."""

    def __init__(
        self,
        catalogue: Catalogue,
        client: PacedClient,
        pacer: Pacer,
        sessions: Sessions,
        reads: Reader,
        probe_soon: Callable[[], None],
    ) -> None:
        self._endpoint = catalogue[OPERATION]
        self._sessions = sessions
        self._reads = reads
        self._turns = LineTurns(catalogue, client, sessions)
        self._batches = SnapshotBatches(catalogue, client, pacer, sessions, probe_soon)

    @property
    def under_way(self) -> int:
        """Requests under way or being gathered."""
        return len(self._batches)

    async def close(self) -> None:
        await self._batches.close()

    async def read(self, request: ApiRequest, memory: SessionMemory, waiter: Waiter) -> Prices:
        """The rows of this caller; fields that IBKR does not deliver within a few seconds are absent."""
        clock = asyncio.get_running_loop().time
        rows, since = memory.rows, clock()
        wish = rows.with_known_fields(read_wish(request))
        sharers = 0
        if self._stale(memory, wish, since) or self._polls(memory, wish, since):
            await self._reads.prepare(self._endpoint, memory, waiter)
            async with self._turns.using(memory, wish.conids, waiter):
                stale = self._stale(memory, wish, since)
                if stale:
                    sharers = await self._fetch(stale, wish, memory, waiter)
                # Also when somebody else has just read them: values may still be on their way. What comes too late
                # is absent.
                with contextlib.suppress(PacingLimited, UpstreamTimeout):
                    sharers = max(sharers, await self._warm_up(wish, memory, waiter))
        self._sessions.check(memory)
        if not rows.has(wish.conids):
            raise SessionReopening("IBKR's session changed while the prices were read.", retry_after_s=1)
        content = json.dumps(rows.answer(wish), separators=(",", ":")).encode()
        source = "cache" if not sharers else "upstream" if sharers == 1 else "batch"
        return Prices(content, rows.fetched_at(wish), source)

    async def _fetch(self, conids: tuple[str, ...], wish: Wish, memory: SessionMemory, waiter: Waiter) -> int:
        asked_at = asyncio.get_running_loop().time()
        try:
            return await self._batches.fetch(conids, wish.fields, memory, waiter)
        except PreflightMissing:
            await self._reads.prepare_again(memory, waiter, asked_at)
            return await self._batches.fetch(conids, wish.fields, memory, waiter)

    async def _warm_up(self, wish: Wish, memory: SessionMemory, waiter: Waiter) -> int:
        """Ask again until every field came, or will not come; returns the most callers that shared a request."""
        clock = asyncio.get_running_loop().time
        sharers, has_searched = 0, False
        while polls := self._polls(memory, wish, clock()):
            due = min(polls.values())
            if due >= waiter.turn_by:
                break
            blank = memory.rows.blank(polls)
            if blank and not has_searched:
                # Derivatives have no prices before their underlying was searched for in this session.
                has_searched = True
                numbers = (conid.partition("@")[0] for conid in blank)
                await self._reads.seed(numbers, memory, waiter, only_derivatives=True)
            # At least a millisecond: a clock of coarse steps would never reach what lies within one.
            await asyncio.sleep(max(0.001, due - clock()))
            # Others may have asked for some of them meanwhile.
            now = clock()
            stale = tuple(conid for conid, at in self._polls(memory, wish, now).items() if at <= now)
            if stale:
                sharers = max(sharers, await self._fetch(stale, wish, memory, waiter))
        return sharers

    @staticmethod
    def _stale(memory: SessionMemory, wish: Wish, since: float) -> tuple[str, ...]:
        return tuple(conid for conid in wish.conids if not memory.rows.is_fresh(conid, wish.fields, since))

    @staticmethod
    def _polls(memory: SessionMemory, wish: Wish, now: float) -> dict[str, float]:
        """When to look again, by instrument with fields on their way."""
        polls = ((conid, memory.rows.poll_at(conid, wish.fields, now)) for conid in wish.conids)
        return {conid: at for conid, at in polls if at is not None}
