"""Lines for the person at the terminal; standard output is kept for what a program may read."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    sys.stderr.write(f"ib-mcp: {text}\n")
    sys.stderr.flush()
