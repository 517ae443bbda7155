"""Where named tokens are kept: a folder on this machine, or a Secret of a cluster that kubectl reaches."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Protocol

from ib_mcp.cli import state


class NotKept(Exception):
    """The tokens cannot be read or changed; the message says why."""


class Keeper(Protocol):
    delay: str
    """From when on a change counts, in words."""

    def lines(self) -> dict[str, str]:
        """What is kept, by name."""

    def keep(self, name: str, line: str) -> None: ...

    def remove(self, name: str) -> None: ...


class Folder:
    """A file for each token."""

    delay = "at once"

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def default(cls) -> Folder:
        """That of IB_MCP_TOKENS_DIR, else the one that `ib-mcp up` serves."""
        return cls(Path(os.environ.get("IB_MCP_TOKENS_DIR") or state.tokens()))

    def lines(self) -> dict[str, str]:
        try:
            return {
                path.name: path.read_text("utf-8", "replace") for path in self._path.glob("[!.]*") if path.is_file()
            }
        except OSError as error:
            raise NotKept(f"Cannot read {self._path}: {error.strerror}.") from error

    def keep(self, name: str, line: str) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            state.write_private(self._path / name, line)
        except OSError as error:
            raise NotKept(f"Cannot write to {self._path}: {error.strerror}.") from error

    def remove(self, name: str) -> None:
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise NotKept(f"Cannot change {self._path}: {error.strerror}.") from error


class Secret:
    """A key for each token, so that two changes at once do not undo each other."""

    delay = "as soon as the cluster has handed the Secret to the pods, within two minutes"

    def __init__(self, name: str, namespace: str) -> None:
        self._name = name
        self._namespace = ["--namespace", namespace] if namespace else []

    @classmethod
    def named(cls, text: str) -> Secret:
        """``NAME`` or ``NAMESPACE/NAME``."""
        namespace, _, name = text.rpartition("/")
        return cls(name, namespace)

    def lines(self) -> dict[str, str]:
        found: dict[str, Any] = json.loads(self._kubectl("get", "secret", self._name, "--output", "json"))
        return {
            name: base64.b64decode(value).decode("utf-8", "replace")
            for name, value in (found.get("data") or {}).items()
        }

    def keep(self, name: str, line: str) -> None:
        self._patch({name: base64.b64encode(line.encode()).decode()})

    def remove(self, name: str) -> None:
        self._patch({name: None})

    def _patch(self, data: dict[str, str | None]) -> None:
        # Only a digest is in it: what a process list shows of it gives nobody a token.
        self._kubectl("patch", "secret", self._name, "--type", "merge", "--patch", json.dumps({"data": data}))

    def _kubectl(self, *words: str) -> str:
        try:
            done = subprocess.run(
                ["kubectl", *self._namespace, *words], capture_output=True, text=True, check=False, timeout=60
            )
        except FileNotFoundError:
            raise NotKept("kubectl is needed to reach the Secret, and is not installed.") from None
        except subprocess.TimeoutExpired:
            raise NotKept("kubectl did not answer within a minute.") from None
        if done.returncode:
            raise NotKept(f"kubectl {words[0]} failed: {done.stderr.strip()[:400]}")
        return done.stdout
