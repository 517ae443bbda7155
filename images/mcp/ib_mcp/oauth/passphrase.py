"""The owner's passphrase: kept as a slow hash, tried a few times a minute by all together."""

from __future__ import annotations

import asyncio
import re

from ib_mcp.oauth.store import Store

SHORTEST = 12
_HASH = re.compile(r"\$argon2id\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_LONGEST = 1024
_TRIES = 5
_WITHIN_S = 60.0
# RFC 9106 takes 64 MiB or more, as much as half of this server. This is the smallest of OWASP's, all as strong.
_MEMORY_KIB, _ROUNDS, _LANES = 7 * 1024, 5, 1


class TooManyTries(Exception):
    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class Passphrase:
    """``passphrase``: itself or its hash. ``store`` counts the wrong tries, of all replicas."""

    def __init__(self, passphrase: str, store: Store) -> None:
        self._store = store
        self._hash = passphrase if is_hash(passphrase) else hash_of(passphrase)
        self._one_by_one = asyncio.Lock()

    async def is_right(self, given: str) -> bool:
        """TooManyTries when others, or the same, were wrong too often of late."""
        # Counted before it is known, or many at once would all be tried.
        name, wait_s = await self._store.begin_try(_TRIES, _WITHIN_S)
        if wait_s is not None:
            raise TooManyTries(wait_s)
        # One at a time: each takes 7 MiB.
        async with self._one_by_one:
            is_right = await asyncio.to_thread(_matches, self._hash, given[:_LONGEST])
        if is_right:
            await self._store.forget_try(name)
        return is_right


def is_hash(text: str) -> bool:
    """Whether it is what :func:`hash_of` makes."""
    return _HASH.fullmatch(text) is not None


def hash_of(passphrase: str) -> str:
    """The text that stands for ``passphrase`` wherever one is asked for."""
    from argon2 import PasswordHasher  # only where it is used: it takes memory

    return PasswordHasher(_ROUNDS, _MEMORY_KIB, _LANES).hash(passphrase[:_LONGEST])


def _matches(hashed: str, given: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return PasswordHasher().verify(hashed, given)
    except (Argon2Error, InvalidHashError):
        return False
