"""`ib-mcp grants list | revoke`: which agents came in by OAuth, and their end."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from ib_mcp.cli.console import say
from ib_mcp.cli.table import table
from ib_mcp.oauth.store import Consent, Store, StoreFailed, in_database, in_file


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when they cannot be read; 2 when there is no such grant or file."""
    path = Path(given.store or os.environ.get("IB_MCP_OAUTH_STORE") or "")
    url = None if given.store else os.environ.get("IB_MCP_OAUTH_DATABASE")
    if not url and not path.is_file():
        say(f"There is no file of grants at {path}: give --store FILE, as IB_MCP_OAUTH_STORE names it.")
        return 2
    try:
        return asyncio.run(_run(in_database(url, time.time) if url else in_file(path, time.time), given))
    except StoreFailed as problem:
        say(str(problem))
        return 1


async def _run(store: Store, given: argparse.Namespace) -> int:
    try:
        return await _do(store, given)
    finally:
        await store.close()


async def _do(store: Store, given: argparse.Namespace) -> int:
    grants = await store.grants()
    if given.action == "list":
        sys.stdout.write(table(("NAME", "SCOPES", "ACCOUNTS", "SINCE", "LAST RENEWED"), map(_row, grants)))
        return 0
    found = [grant.id for grant, _, _ in grants if grant.name == given.name]
    for each in found:
        await store.revoke(each)
    if not found:
        say(f"There is no grant {given.name[:40]!r}: see 'ib-mcp grants list'.")
        return 2
    say(f"{given.name} is out; its next call is refused.")
    return 0


def _row(row: tuple[Consent, float, float]) -> tuple[str, ...]:
    grant, since, used = row
    scopes = ",".join(scope.removeprefix("ibkr:") for scope in grant.scopes)
    return grant.name, scopes, ",".join(grant.accounts or ()) or "all", _time(since), _time(used)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"
