"""Standard input that ends when the process is asked to stop.

A read that waits for input cannot be interrupted, but it returns at the end of file. So the server reads a pipe into
which the real input is copied, and being asked to stop is to it what the agent's going is.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading

_CHUNK = 65536


def end_input_on_request() -> None:
    """From now on SIGTERM and Ctrl-C end standard input, instead of the process."""
    asked, ask = os.pipe()
    shown, fill = os.pipe()
    given = os.dup(0)
    os.dup2(shown, 0)
    os.close(shown)
    threading.Thread(target=_copy, args=(given, asked, fill), name="standard input", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(ask, b"\n"))


def _copy(given: int, asked: int, fill: int) -> None:
    """Until one of ``given`` and the reader ends, or something is written into ``asked``."""
    with contextlib.suppress(OSError), open(fill, "wb", buffering=0) as out:
        while asked not in (ready := select.select([given, asked], [], [])[0]) and ready:
            if not (data := os.read(given, _CHUNK)):
                return
            while data:
                data = data[out.write(data) or 0 :]
