"""The owner's passphrase: kept as a slow hash, tried a few times a minute by all together."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable

SHORTEST = 12
_TRIES = 5
_WITHIN_S = 60.0


class TooManyTries(Exception):
    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class Passphrase:
    """``clock``: seconds that never go back."""

    def __init__(self, passphrase: str, clock: Callable[[], float]) -> None:
        self._salt = secrets.token_bytes(16)
        self._hash = self._slow(passphrase)
        self._clock = clock
        self._wrong: deque[float] = deque()
        self._one_by_one = asyncio.Lock()

    async def is_right(self, given: str) -> bool:
        """TooManyTries when others, or the same, were wrong too often of late."""
        now = self._clock()
        while self._wrong and now - self._wrong[0] >= _WITHIN_S:
            self._wrong.popleft()
        if len(self._wrong) >= _TRIES:
            raise TooManyTries(_WITHIN_S - (now - self._wrong[0]))
        # Counted before it is known, or many at once would all be tried.
        self._wrong.append(now)
        # One at a time: each takes 16 MiB.
        async with self._one_by_one:
            is_right = hmac.compare_digest(await asyncio.to_thread(self._slow, given[:1024]), self._hash)
        if is_right:
            self._wrong.remove(now)
        return is_right

    def _slow(self, passphrase: str) -> bytes:
        return hashlib.scrypt(passphrase.encode(), salt=self._salt, n=2**14, r=8, p=1)
