"""Runs a module as a program that ends when its supervisor is gone, however that one ended.

``python -P -m ib_mcp.cli.child MODULE ARGUMENTS...`` with the read end of a pipe as standard input. Nobody writes
into the pipe; its end of file means that the supervisor, the only holder of the other end, exists no more.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
import threading
import time

_GRACE_S = 5.0


def _end_with_supervisor() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


def main() -> None:
    threading.Thread(target=_end_with_supervisor, name="leash", daemon=True).start()
    module, *arguments = sys.argv[1:]
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
