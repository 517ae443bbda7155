"""`ib-mcp orders log`: what the audit says of orders, newest last."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from ib_mcp.cli import state
from ib_mcp.cli.console import say
from ib_mcp.cli.trading.words import line

_AGO = re.compile(r"([0-9]{1,6})(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_ROTATED = re.compile(r"audit\.([0-9]+)\.jsonl")


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when the file cannot be read; 2 when it is not clear which."""
    since = None if given.since is None else _moment(given.since)
    if since is None and given.since is not None:
        say(f"--since {given.since}: neither 15m, 12h, 7d, 2w nor a date such as 2026-11-28.")
        return 2
    files = _files(given.file)
    if isinstance(files, str):
        say(files)
        return 2
    unreadable = 0
    symbols: dict[str, Any] = {}
    try:
        for file in files:
            with sys.stdin if file is None else file.open(encoding="utf-8", errors="replace") as opened:
                unreadable += _show(opened, given, since, symbols)
    except OSError as error:
        say(f"The audit cannot be read: {error}")
        return 1
    if unreadable:
        say(f"{unreadable} lines cannot be read and were left out.")
    return 0


def _show(lines: TextIO, given: argparse.Namespace, since: float | None, symbols: dict[str, Any]) -> int:
    """Write what is wanted of ``lines``; how many could not be read. ``symbols`` are gathered on the way."""
    unreadable = 0
    for text in lines:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            unreadable += bool(text.strip())
            continue
        told = event.get("symbols")
        symbols |= told if isinstance(told, dict) else {}
        if _is_wanted(event, given, since):
            sys.stdout.write(text if given.json else line(event, symbols) + "\n")
    return unreadable


def _is_wanted(event: dict[str, Any], given: argparse.Namespace, since: float | None) -> bool:
    at = event.get("at")
    if since is not None and (not isinstance(at, (int, float)) or at < since):
        return False
    wanted = {"event": given.event, "account": given.account, "caller": given.caller, "outcome": given.outcome}
    return all(value is None or event.get(name) == value for name, value in wanted.items())


def _files(given: Path | None) -> list[Path | None] | str:
    """Oldest first, None for standard input; a sentence when there is none."""
    if given is not None and str(given) == "-":
        return [None]
    if given is not None:
        return [*_with_older(given)] if given.exists() else f"There is no file {given}."
    found = sorted(state.audits(), key=lambda path: path.stat().st_mtime)
    if not found:
        return "No audit is kept here: give --file FILE, or - for standard input."
    return [*_with_older(found[-1])]


def _with_older(newest: Path) -> Iterator[Path]:
    """The parts that were put aside when they grew large, then ``newest``."""
    if newest.name == "audit.jsonl":
        aside = {_ROTATED.fullmatch(path.name): path for path in newest.parent.iterdir()}
        older = [(int(found[1]), path) for found, path in aside.items() if found is not None]
        yield from (path for _, path in sorted(older, reverse=True))
    yield newest


def _moment(text: str) -> float | None:
    """Epoch seconds of e.g. ``12h`` (ago) or ``2026-11-28``, in UTC."""
    if ago := _AGO.fullmatch(text):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
