"""Price snapshots: what each caller wants from the shared rows, asked again until the values are there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.guard.snapshots.batches import OPERATION, SnapshotBatches
from ib_keepalive.guard.snapshots.rows import Rows, Wish, read_wish
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import PreflightMissing
from ib_keepalive.upstream.session_memory import SessionMemory
from ibkr.catalogue import Catalogue
from ibkr.errors import PacingLimited, SessionReopening, UpstreamTimeout


@dataclass(frozen=True, slots=True)
class Prices:
    """``read_at``: when the oldest part came from IBKR, in seconds of the loop's clock."""

    content: bytes
    read_at: float
    source: str


class SnapshotReader:
    """Answers ``get_price_snapshot`` for all callers."""

    def __init__(
        self,
        catalogue: Catalogue,
        client: PacedClient,
        pacer: Pacer,
        memory: SessionMemory,
        reads: Reader,
        probe_soon: Callable[[], None],
    ) -> None:
        self._endpoint = catalogue[OPERATION]
        self._memory = memory
        self._reads = reads
        self._rows = Rows()
        self._batches = SnapshotBatches(catalogue, client, pacer, memory, self._rows, probe_soon)

    @property
    def under_way(self) -> int:
        """Requests under way or being gathered."""
        return len(self._batches)

    async def close(self) -> None:
        await self._batches.close()

    def change_session(self) -> None:
        """Another brokerage session: IBKR has forgotten what was subscribed."""
        self._rows.clear()
        self._batches.change_session()

    async def read(self, request: ApiRequest, caller: str, deadline: Deadline) -> Prices:
        """The rows of this caller; fields that IBKR does not deliver within a few seconds are absent."""
        wish = read_wish(request)
        since, generation = asyncio.get_running_loop().time(), self._memory.generation
        stale = [conid for conid in wish.conids if not self._rows.is_fresh(conid, wish.fields, since)]
        sharers = 0
        if stale:
            await self._reads.prepare(self._endpoint, caller, deadline)
            try:
                sharers = await self._batches.fetch(tuple(stale), wish.fields, caller, deadline)
            except PreflightMissing:
                await self._reads.prepare_again(caller, deadline)
                sharers = await self._batches.fetch(tuple(stale), wish.fields, caller, deadline)
        # Also when somebody else has just read them: values may still be on their way. What comes too late is absent.
        with contextlib.suppress(PacingLimited, UpstreamTimeout):
            sharers = max(sharers, await self._warm_up(wish, caller, deadline))
        if self._memory.generation != generation or not self._rows.has(wish.conids):
            raise SessionReopening("IBKR's session changed while the prices were read.", retry_after_s=1)
        content = json.dumps(self._rows.answer(wish), separators=(",", ":")).encode()
        source = "cache" if not sharers else "upstream" if sharers == 1 else "batch"
        return Prices(content, self._rows.read_at(wish), source)

    async def _warm_up(self, wish: Wish, caller: str, deadline: Deadline) -> int:
        """Ask again until every field came, or will not come; returns the most callers that shared a request."""
        clock = asyncio.get_running_loop().time
        sharers, has_searched = 0, False
        while polls := self._polls(wish, clock()):
            due = min(polls.values())
            if due >= deadline.turn_by:
                break
            blank = self._rows.blank(polls)
            if blank and not has_searched:
                # Derivatives have no prices before their underlying was searched for in this session.
                has_searched = True
                numbers = (conid.partition("@")[0] for conid in blank)
                await self._reads.seed(numbers, caller, deadline, only_derivatives=True)
            # At least a millisecond: a clock of coarse steps would never reach what lies within one.
            await asyncio.sleep(max(0.001, due - clock()))
            # Others may have asked for some of them meanwhile.
            now = clock()
            stale = tuple(conid for conid, at in self._polls(wish, now).items() if at <= now)
            if stale:
                sharers = max(sharers, await self._batches.fetch(stale, wish.fields, caller, deadline))
        return sharers

    def _polls(self, wish: Wish, now: float) -> dict[str, float]:
        """When to look again, by instrument with fields on their way."""
        polls = ((conid, self._rows.poll_at(conid, wish.fields, now)) for conid in wish.conids)
        return {conid: at for conid, at in polls if at is not None}
