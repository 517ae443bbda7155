"""Runs parts as child processes, starts one again when it dies, and ends all of them together."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_STEADY_S = 60.0


@dataclass(frozen=True)
class Part:
    """One child: ``name`` for people and its log, ``module`` for ``python -m``, ``settings`` for its environment."""

    name: str
    module: str
    settings: Mapping[str, str]
    arguments: tuple[str, ...] = ()


def delay_after(ran_s: float, previous_s: float | None) -> float:
    """Seconds to wait before the next start: doubling, and from the beginning after a steady minute."""
    if previous_s is None or ran_s >= _STEADY_S:
        return _FIRST_DELAY_S
    return min(previous_s * 2, _LONGEST_DELAY_S)


def environment(settings: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """``inherited`` with ``settings`` on top; an inherited ``X_FILE`` would win over a given ``X`` and is left out."""
    kept = {name: value for name, value in inherited.items() if name.removesuffix("_FILE") not in settings}
    return {**kept, **settings}


class Supervisor:
    """``with Supervisor(...)`` starts the parts; leaving it ends them, by force after ``grace_s``.

    ``ended(name, code, delay_s)`` is called from a thread of the part when it died; it is started again after
    ``delay_s``. Until ``steady()`` that is None, the part stays dead and its exit code is in ``failed``: a part that
    cannot start will not do so at a second try. What a part says goes to ``NAME.log`` in the folder ``logs``, or to
    standard error when that is None.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        logs: Path | None,
        ended: Callable[[str, int, float | None], None],
        grace_s: float = 5.0,
    ) -> None:
        self._parts = parts
        self._logs = logs
        self._ended = ended
        self._grace_s = grace_s
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._steady = threading.Event()
        self._threads = [threading.Thread(target=self._keep, args=(part,), daemon=True) for part in parts]
        self.failed: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._pipe = os.pipe()
        if self._logs:
            for log in self._logs.glob("*.log"):
                log.replace(_old(log))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with self._lock:
            children = list(self._children.values())
        for child in children:
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._grace_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        for child in children:
            if child.poll() is None:
                child.kill()
        for thread in self._threads:
            thread.join()
        for descriptor in self._pipe:
            os.close(descriptor)

    def steady(self) -> None:
        """From now on a part that dies is started again."""
        self._steady.set()

    def cut_logs(self, longest: int = 10_000_000) -> None:
        """Put logs of more than ``longest`` bytes aside, so that they do not grow for ever."""
        for part in self._parts if self._logs else ():
            log = self._log(part)
            if log.exists() and log.stat().st_size > longest:
                # The part goes on writing into the same file, at its end.
                shutil.copyfile(log, _old(log))
                os.truncate(log, 0)

    def _start(self, part: Part) -> subprocess.Popen[bytes] | None:
        with self._lock, self._output(part) as output:
            if self._stopping.is_set():
                return None
            # A session of its own: Ctrl-C reaches the supervisor only, which then ends the parts.
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "ib_mcp.cli.child", part.module, *part.arguments],
                env=environment(part.settings, os.environ),
                stdin=self._pipe[0],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            self._children[part.name] = child
            return child

    def _output(self, part: Part) -> AbstractContextManager[IO[str]]:
        if self._logs is None:
            return nullcontext(sys.stderr)
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open(self._log(part), "a", opener=lambda path, flags: os.open(path, flags, 0o600))

    def _log(self, part: Part) -> Path:
        assert self._logs is not None
        return self._logs / f"{part.name}.log"

    def _keep(self, part: Part) -> None:
        delay: float | None = None
        while child := self._start(part):
            started = time.monotonic()
            code = child.wait()
            if self._stopping.is_set():
                return
            if not self._steady.is_set():
                self.failed[part.name] = code
                self._ended(part.name, code, None)
                return
            delay = delay_after(time.monotonic() - started, delay)
            self._ended(part.name, code, delay)
            if self._stopping.wait(delay):
                return


def _old(log: Path) -> Path:
    return log.with_suffix(".log.old")
