"""A folder with a file for each named token, read again when it changes: no restart gives or revokes a token."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from ib_mcp.auth.tokens import Token, parse

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 1.0

_Signature = tuple[tuple[str, int, int, int], ...]


class TokenFolder:
    """Finds tokens by digest. ``clock``: seconds that never go back.

    A folder that is not there holds none. A file that cannot be read as tokens is left out, and the log names it.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._look_at = float("-inf")
        self._signature: _Signature | None = None
        self._tokens: dict[bytes, Token] = {}

    def find(self, digest: bytes) -> Token | None:
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._look()
        return self._tokens.get(digest)

    def all(self) -> list[Token]:
        """Those that are in the folder now, also the ones that are over."""
        self._look()
        return list(self._tokens.values())

    def revoke(self, name: str) -> bool:
        """Whether every token of this name is gone; not where the folder cannot be changed, or a file holds others."""
        gone = False
        for file, *_ in self._signature or ():
            names = [token.grant.name for token in read(self._folder / file).values()]
            if name not in names:
                continue
            if set(names) != {name}:
                return False
            try:
                (self._folder / file).unlink()
            except OSError:
                return False
            gone = True
        self._look()
        return gone

    def _look(self) -> None:
        try:
            signature = _signature(self._folder)
        except OSError as error:
            # Agents keep what they have; a folder that is gone is another matter.
            log.error("the folder of tokens cannot be read", reason=error.strerror)
            return
        if signature != self._signature:
            self._signature = signature
            self._tokens = {
                token.digest: token for name, *_ in signature for token in read(self._folder / name).values()
            }
            log.info("tokens were read", names=sorted(token.grant.name for token in self._tokens.values()))


def read(path: Path) -> dict[bytes, Token]:
    """The tokens of one file, none when it cannot be read; the log says why."""
    try:
        return parse(path.read_text("utf-8"), path.name)
    except (OSError, ValueError) as error:
        log.error("a file of tokens cannot be used", file=path.name, reason=str(error))
        return {}


def _signature(folder: Path) -> _Signature:
    """Changes whenever a file does, also where a Secret's files are links to others."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file():
                    seen = os.stat(entry.path)
                    found.append((entry.name, seen.st_ino, seen.st_mtime_ns, seen.st_size))
    except FileNotFoundError:
        return ()
    return tuple(sorted(found))
