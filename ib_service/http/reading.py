"""Reading an answer within a bound, which holds while it is read and while it is unpacked."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

# What zlib wants to know to take both the gzip and the zlib format, and the raw one that some call deflate.
_EITHER, _RAW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS


class TooLarge(Exception):
    """More came than is taken."""


class NotUnpacked(Exception):
    """It is packed in a way that is not known here, wrongly, or not to its end."""


async def read_whole(parts: AsyncIterable[bytes], most: int, encoding: str = "") -> bytes:
    """All bytes of ``parts``, unpacked by ``encoding`` (Content-Encoding). TooLarge beyond ``most``; NotUnpacked."""
    unpack = _unpacker(encoding)
    read = bytearray()
    async for part in parts:
        # One byte more than permitted shows that there are too many.
        read += part if unpack is None else unpack(part, most - len(read) + 1)
        if len(read) > most:
            read.clear()  # the error's traceback would keep it
            raise TooLarge
    if unpack is not None and not unpack.is_complete:
        raise NotUnpacked
    return bytes(read)


class _Unpacker:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_EITHER)
        self._has_begun = False

    def __call__(self, part: bytes, most: int) -> bytes:
        try:
            content = self._stream.decompress(part, most)
        except zlib.error:
            if self._has_begun:
                raise NotUnpacked from None
            self._stream = zlib.decompressobj(_RAW)
            try:
                content = self._stream.decompress(part, most)
            except zlib.error:
                raise NotUnpacked from None
        self._has_begun = True
        return content

    @property
    def is_complete(self) -> bool:
        """Whether the last byte of what was packed has come."""
        return self._stream.eof


def _unpacker(encoding: str) -> _Unpacker | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return _Unpacker()
    raise NotUnpacked
