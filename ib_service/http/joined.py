"""Writing what belongs together in one piece: a head and its body one after the other would wake the peer twice."""

from __future__ import annotations

import asyncio

# Copying more than this takes longer than waking the peer.
_LARGE = 64 * 1024


class Joined:
    """What an answer is written to, in front of ``transport``.

    What was not flushed is written at the end of the loop's turn, so that a stream is held up by nothing.
    """

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if len(data) > _LARGE:
            self.flush()
            self._transport.write(data)
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            if not self._transport.is_closing():
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()
