"""What `ib-mcp up` keeps in the user's state folder: its tokens, its logs and a note of each stack that runs.

The tokens stay the same from one start to the next, so that what was pasted into an agent goes on working.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ib_mcp.cli.stack import Stack


def folder() -> Path:
    """``$XDG_STATE_HOME/ib-mcp``, by default ``~/.local/state/ib-mcp``."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "ib-mcp"


def record(gateway_url: str) -> Path:
    """Where the keepalive of a gateway remembers which of IBKR's slow limits are used up."""
    return folder() / f"requests-{re.sub(r'[^a-zA-Z0-9]+', '-', gateway_url)}.json"


def trading(gateway_url: str | None, port: int) -> Path:
    """The folder of a stack that trades: policy, ledger, stop and audit. Each simulated account has one of its own."""
    name = f"simulator-{port}" if gateway_url is None else re.sub(r"[^a-zA-Z0-9]+", "-", gateway_url)
    return folder() / "trading" / name


def audits() -> list[Path]:
    """The audits of all stacks that traded."""
    return list((folder() / "trading").glob("*/audit.jsonl"))


def tokens() -> Path:
    """Where the named tokens of agents are kept."""
    return folder() / "tokens"


def token_file(name: str) -> Path:
    """Where the token kept under ``name`` is."""
    return folder() / f"{name}-token"


def token(name: str) -> str:
    """The token kept under ``name`` (``mcp``, ``guard`` or ``approver``), made on first use. OSError when it cannot."""
    path = token_file(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.fchmod(file.fileno(), 0o600)
        kept = file.read().strip()
        if not kept:
            kept = secrets.token_urlsafe(32)
            file.seek(0)
            file.write(kept + "\n")
        return kept


def write_private(path: Path, text: str) -> None:
    """Put ``text`` at ``path`` in one step, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


@contextmanager
def running_note(stack: Stack) -> Iterator[None]:
    """Note that ``stack`` runs, for `ib-mcp stdio` and `ib-mcp doctor`; a lock tells a live note from a stale one."""
    path = _notes() / f"{stack.port}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate()
        file.write(stack.to_json())
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running() -> list[Stack]:
    """Every stack that `ib-mcp up` runs at the moment for this user, by port."""
    found = []
    for path in _notes().glob("*.json"):
        try:
            with path.open(encoding="utf-8") as file:
                if _is_locked(file.fileno()):
                    found.append(Stack(**json.load(file)))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda stack: stack.port)


def _notes() -> Path:
    return folder() / "running"


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
