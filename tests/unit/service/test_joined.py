"""Head and body of an answer in one piece."""

from __future__ import annotations

import asyncio

from ib_service.http.joined import Joined


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


async def test_what_is_written_before_a_flush_goes_out_at_once_and_in_order() -> None:
    transport = Transport()
    pieces = Joined(transport, asyncio.get_running_loop())
    pieces.write(b"head ")
    pieces.write(b"body")
    assert transport.written == []
    pieces.flush()
    assert transport.written == [b"head body"]
    await asyncio.sleep(0)
    assert transport.written == [b"head body"]


async def test_what_is_not_flushed_goes_out_by_itself() -> None:
    transport = Transport()
    Joined(transport, asyncio.get_running_loop()).write(b"head")
    await asyncio.sleep(0)
    assert transport.written == [b"head"]


async def test_a_large_body_is_not_copied_and_comes_after_its_head() -> None:
    transport = Transport()
    pieces, large = Joined(transport, asyncio.get_running_loop()), b"a" * 100_000
    pieces.write(b"head")
    pieces.write(large)
    assert transport.written[0] == b"head"
    assert transport.written[1] is large


async def test_closing_writes_the_rest_and_a_closed_connection_takes_nothing() -> None:
    transport = Transport()
    pieces = Joined(transport, asyncio.get_running_loop())
    pieces.write(b"rest")
    pieces.close()
    assert transport.written == [b"rest"]
    assert pieces.is_closing()
    pieces.write(b"more")
    await asyncio.sleep(0)
    assert transport.written == [b"rest"]
