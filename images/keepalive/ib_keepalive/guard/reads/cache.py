"""Answers kept for as long as the catalogue calls them fresh, bounded by bytes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from ibkr.operation import Operation

_MOST_BYTES = 24 * 1024 * 1024
_LARGEST = _MOST_BYTES // 3
# What an entry costs besides its content.
_ENTRY_BYTES = 512


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """``stored``: seconds of the loop's clock."""

    endpoint: Operation
    content: bytes
    status: int
    stored: float

    def body(self) -> Any:
        """The decoded JSON, None when there is none."""
        return json.loads(self.content) if self.content else None


class Cache:
    """The least recently used answers go first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[Hashable, CachedResponse] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, now: float) -> CachedResponse | None:
        """The answer, if it is still fresh."""
        cached = self._entries.get(key)
        if cached is None:
            return None
        if now - cached.stored >= cached.endpoint.fresh_s:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return cached

    def put(self, key: Hashable, cached: CachedResponse) -> None:
        if cached.endpoint.fresh_s <= 0 or len(cached.content) > min(_LARGEST, self._most_bytes):
            return
        self._drop(key)
        self._entries[key] = cached
        self.size += _ENTRY_BYTES + len(cached.content)
        while self.size > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def forget(self, unwanted: Callable[[Operation], bool]) -> None:
        """Drop the answers of every operation that is ``unwanted``."""
        for key in [key for key, cached in self._entries.items() if unwanted(cached.endpoint)]:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        cached = self._entries.pop(key, None)
        if cached is not None:
            self.size -= _ENTRY_BYTES + len(cached.content)
