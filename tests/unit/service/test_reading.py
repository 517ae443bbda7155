"""Answers read within a bound, packed or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Callable

import pytest

from ib_service.http.addresses import is_loopback
from ib_service.http.headers import retry_after_s
from ib_service.http.reading import NotUnpacked, TooLarge, read_whole

MEBIBYTE = 1024 * 1024
TEXT = b'{"a": 1}' * 100


def raw(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


async def parts(content: bytes, size: int = 50) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [(bytes, ""), (bytes, "identity"), (gzip.compress, "gzip"), (zlib.compress, "Deflate"), (raw, "deflate")],
)
async def test_whatever_is_packed_in_a_known_way_is_unpacked(pack: Callable[[bytes], bytes], encoding: str) -> None:
    assert await read_whole(parts(pack(TEXT)), len(TEXT), encoding) == TEXT
    with pytest.raises(TooLarge):
        await read_whole(parts(pack(TEXT)), len(TEXT) - 1, encoding)


async def test_what_unpacks_to_much_more_is_given_up_at_the_bound() -> None:
    bomb = gzip.compress(bytes(200 * MEBIBYTE))
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        async for part in parts(bomb, 1000):
            read += 1
            yield part

    with pytest.raises(TooLarge):
        await read_whole(counted(), MEBIBYTE, "gzip")
    assert read < 5


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate"])
async def test_what_is_packed_otherwise_is_said(encoding: str) -> None:
    with pytest.raises(NotUnpacked):
        await read_whole(parts(b"\x00\xffnothing of the kind"), 100, encoding)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("5", 5.0), ("0", 0.0), ("²", None), ("٣", None), ("-1", None), ("1.5", None), ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("9" * 250, 86_400.0), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds_or_nothing(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text) == seconds


def test_loopback_is_only_what_this_machine_alone_can_reach() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.1", "localhost.example", "")))
