"""``ib-mcp up`` as a process, with a state folder of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import cli

START_SECONDS = 60
STOP_SECONDS = 15


@dataclass(frozen=True)
class Running:
    """Addresses as ``--write`` gives them."""

    mcp_url: str
    mcp_token: str
    guard_url: str
    guard_token: str
    control_url: str
    login_url: str
    simulator_control_url: str | None
    gateway_url: str
    trades: bool
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def logs(self) -> list[Path]:
        """What a person has seen so far, then a file per part."""
        return [self.folder / "up.log", *sorted((self.folder / "state").rglob("*.log"))]

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which other commands of ib-mcp find this stack."""
        return cli.environment(self.folder)


@contextmanager
def up(folder: Path, *options: str, **settings: str) -> Iterator[Running]:
    """``ib-mcp up --port 0`` from its first readiness to the end of the block; ``settings`` go into its environment."""
    note = folder / "up.json"
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ib_mcp", "up", "--port", "0", "--write", str(note), *options],
            env=cli.environment(folder) | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not note.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ib-mcp up did not start:\n{(folder / 'up.log').read_text('utf-8')}")
            time.sleep(0.05)
        yield Running(**json.loads(note.read_text("utf-8")), folder=folder, process=process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
