"""The kill switch: a file whose being there stops all trading, over restarts, until the owner takes it away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from ibkr.errors import InternalError

log = structlog.get_logger("ib_keepalive.trading")

_NAME = "stopped"
_LARGEST = 16 * 1024
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Stopped:
    """``at`` in epoch seconds, None where the file does not tell."""

    at: float | None
    by: str
    reason: str


class KillSwitch:
    """The file ``stopped`` in ``directory``; without one a stop lasts until the process ends."""

    def __init__(self, directory: Path | None, wall: Callable[[], float] = time.time) -> None:
        self._path = None if directory is None else directory / _NAME
        self._wall = wall
        # What could not be written stops all the same.
        self._unwritten: Stopped | None = None

    def state(self) -> Stopped | None:
        """Who stopped trading, and why; None while it is not stopped."""
        if self._path is None:
            return self._unwritten
        try:
            with self._path.open("rb") as file:
                content = file.read(_LARGEST)
        except FileNotFoundError:
            return self._unwritten
        except OSError as error:
            return Stopped(None, "nobody known", f"the file that stops trading cannot be read: {error.strerror}")
        return _read(content)

    def stop(self, by: str, reason: str = "") -> Stopped:
        """Stop at once; who stopped first stays named. InternalError when it would not survive a restart."""
        already = self.state()
        if already is not None and already is not self._unwritten:
            return already
        stopped = already or Stopped(round(self._wall(), 3), by[:_LONGEST], reason[:_LONGEST])
        self._unwritten = stopped
        if self._path is not None:
            try:
                _write(self._path, json.dumps(asdict(stopped)).encode())
            except OSError as error:
                log.error("trading is stopped, but not over a restart", reason=error.strerror)
                raise InternalError(
                    f"Trading is stopped, but that could not be written down: {error.strerror}.",
                    action="Keep the keepalive from restarting, or set mode off in the policy.",
                ) from error
            self._unwritten = None
        return stopped

    def start(self) -> None:
        """Take the stop away. InternalError when that fails: it is stopped still."""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
                _sync(self._path.parent)
            except OSError as error:
                raise InternalError(
                    f"Trading is stopped still: {error.strerror}.", action="Remove the file by hand."
                ) from error
        self._unwritten = None


def _read(content: bytes) -> Stopped:
    try:
        told = json.loads(content)
        return Stopped(float(told["at"]), str(told["by"])[:_LONGEST], str(told["reason"])[:_LONGEST])
    except (ValueError, KeyError, TypeError, RecursionError):
        # Somebody made it by hand, or it was cut short: that it is there is enough.
        return Stopped(None, "nobody known", "the file that stops trading is there")


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make what was renamed or removed in ``directory`` outlast a loss of power."""
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
