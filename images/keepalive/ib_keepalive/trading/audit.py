"""The audit: a JSON line for everything that was decided about an order, on disk and on stdout.

What cannot be written down on disk is not done. The line on stdout is without account numbers, as all logs are.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from ib_service.logs import redact
from ibkr.errors import OperationForbidden

log = structlog.get_logger("ib_keepalive.trading")

NAME = "audit.jsonl"
# Older ones are audit.1.jsonl and so on: what agents make others refuse must not fill the disk.
_LARGEST = 16 * 1024 * 1024
_KEPT = 8


class Audit:
    """The file ``audit.jsonl`` in ``directory``."""

    def __init__(
        self, directory: Path | None, wall: Callable[[], float] = time.time, largest: int = _LARGEST, kept: int = _KEPT
    ) -> None:
        self._path = None if directory is None else directory / NAME
        self._wall = wall
        self._largest = largest
        self._kept = kept

    def problem(self) -> str | None:
        """Why nothing can be written down, or None when it can."""
        if self._path is None:
            return "No directory is set for the ledger and the audit (IB_KEEPALIVE_TRADING_DIR)."
        try:
            os.close(self._open())
        except OSError as error:
            return f"The audit cannot be written: {error.strerror}."
        return None

    def write(self, event: str, *, synced: bool = True, **fields: Any) -> None:
        """Add a line: ``event``, the time (epoch seconds) as ``at``, and ``fields`` (JSON).

        ``synced``: on the disk for certain when this returns. OperationForbidden when it cannot be written: then what
        it is about must not be done.
        """
        line = {"at": round(self._wall(), 3), "event": event, **fields}
        if self._path is None:
            raise OperationForbidden(self.problem() or "", action="Tell the owner.")
        try:
            self._append(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n", synced=synced)
        except OSError as error:
            log.error("the audit cannot be written", reason=error.strerror)
            raise OperationForbidden(
                f"The audit cannot be written ({error.strerror}), and without it nothing is traded.",
                action="Tell the owner: the disk of the gateway's pod may be full.",
            ) from error
        self._show(line)

    def _append(self, line: bytes, *, synced: bool) -> None:
        assert self._path is not None
        if self._path.exists() and self._path.stat().st_size + len(line) > self._largest:
            self._rotate()
        number = self._open()
        end = os.fstat(number).st_size
        try:
            if os.write(number, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if synced:
                os.fdatasync(number)
        except OSError:
            # Half a line would spoil the next one.
            os.ftruncate(number, end)
            raise
        finally:
            os.close(number)

    def _open(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _rotate(self) -> None:
        assert self._path is not None
        files = [self._path, *(self._path.with_name(f"audit.{n}.jsonl") for n in range(1, self._kept + 1))]
        for older, newer in zip(reversed(files), reversed(files[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)

    @staticmethod
    def _show(line: dict[str, Any]) -> None:
        shown = redact(None, "info", {"logger": "ib_keepalive.audit", **line})
        try:
            sys.stdout.write(json.dumps(shown, separators=(",", ":"), default=str) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            log.warning("the audit cannot be shown on stdout")
