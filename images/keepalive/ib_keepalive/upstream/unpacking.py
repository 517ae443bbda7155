"""An answer read whole, and unpacked while it is read, never beyond its bound."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from ib_keepalive.upstream.response import LARGEST_ANSWER, FinalAnswer

_EITHER_HEADER, _NO_HEADER = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS


async def read_whole(parts: AsyncIterable[bytes], encoding: str) -> bytes:
    """The body of ``parts``, unpacked where ``encoding`` (Content-Encoding) is gzip or deflate, though not asked for.

    FinalAnswer when it is larger than ``LARGEST_ANSWER`` bytes, packed otherwise, or not what it says.
    """
    most = LARGEST_ANSWER
    name = encoding.strip().lower()
    if name in ("", "identity"):
        unpack: _Unpacker | None = None
    elif name in ("gzip", "x-gzip", "deflate"):
        unpack = _Unpacker(most)
    else:
        raise FinalAnswer(f"IBKR's answer is packed in a way that is not read here ({name[:20]}).")
    read, size = [], 0
    async for part in parts:
        plain = part if unpack is None else unpack(part)
        size += len(plain)
        if size > most:
            raise FinalAnswer(f"IBKR's answer is larger than {most >> 20} MiB.")
        read.append(plain)
    if unpack is not None and not unpack.is_complete:
        raise FinalAnswer("IBKR's packed answer is cut short.")
    return b"".join(read)


class _Unpacker:
    """zlib, whose output of one step is bounded; deflate comes with and without a header."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stream = zlib.decompressobj(_EITHER_HEADER)
        self._has_begun = False

    def __call__(self, part: bytes) -> bytes:
        try:
            plain = self._stream.decompress(part, self._most + 1)
        except zlib.error:
            if self._has_begun:
                raise FinalAnswer("IBKR's packed answer cannot be unpacked.") from None
            self._stream = zlib.decompressobj(_NO_HEADER)
            try:
                plain = self._stream.decompress(part, self._most + 1)
            except zlib.error:
                raise FinalAnswer("IBKR's packed answer cannot be unpacked.") from None
        self._has_begun = True
        return plain

    @property
    def is_complete(self) -> bool:
        return self._stream.eof
