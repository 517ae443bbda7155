"""`ib-mcp` as a person runs it: a real process with a state folder of its own and no setting from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PATIENCE_S = 60


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IB_", "FASTMCP_"))}
    # The simulators of the tests are up on Saturday evenings too.
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "IB_KEEPALIVE_MAINTENANCE_HOURS": "false"}


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """``ib-mcp ARGUMENTS`` to its end, with ``settings`` in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "ib_mcp", *arguments],
        env={**environment(folder), **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )


def until(holds: Callable[[], Any]) -> None:
    """Wait for something that another process does and tells nobody."""
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < end, holds
        time.sleep(0.05)
