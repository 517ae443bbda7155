"""Reads of IBKR's answers for one caller, in one session, with the moment at which each came."""

from __future__ import annotations

import json
from typing import Any

from ib_keepalive.guard.memory.session_memory import SessionMemory
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.catalogue import Catalogue


class Asker:
    """``operations``: how each is asked; ``memory``: that of the session."""

    def __init__(self, operations: Catalogue, reads: Reader, memory: SessionMemory, caller: Caller) -> None:
        self._operations = operations
        self._reads = reads
        self._memory = memory
        self._caller = caller

    @property
    def generation(self) -> int:
        return self._memory.generation

    def forget(self, operation: str) -> None:
        """What is kept of an operation is too old for this."""
        self._memory.cache.forget(operation)

    async def ask(
        self,
        operation: str,
        query: dict[str, str] | None = None,
        *,
        account: str = "",
        body: dict[str, Any] | None = None,
        not_before: float | None = None,
    ) -> Any:
        """The decoded answer; one from before ``not_before`` (seconds of the loop) is asked for again."""
        answer, fetched_at, _ = await self.ask_with_time(operation, query, account=account, body=body)
        if not_before is not None and fetched_at < not_before:
            self.forget(operation)
            answer, _, _ = await self.ask_with_time(operation, query, account=account, body=body)
        return answer

    async def ask_with_time(
        self,
        operation: str,
        query: dict[str, str] | None = None,
        *,
        account: str = "",
        body: dict[str, Any] | None = None,
    ) -> tuple[Any, float, bool]:
        """The decoded answer, when it came (seconds of the loop), and whether it was asked for this caller alone."""
        row = self._operations[operation]
        content = None
        if row.method != "GET":
            content = json.dumps(body or {}, separators=(",", ":"), sort_keys=True).encode()
        path = row.path.replace("{accountId}", account)
        request = ApiRequest(row, path, tuple(sorted((query or {}).items())), content)
        read, source = await self._reads.read(request, self._memory, self._caller)
        return read.body(), read.fetched_at, source == "upstream"
