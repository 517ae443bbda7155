"""`ib-mcp grants list | revoke`: which agents came in by OAuth, and their end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from ib_mcp.cli.console import say
from ib_mcp.cli.table import table
from ib_mcp.oauth.store import Consent, Store, StoreFailed


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when the file cannot be used; 2 when there is no such grant or file."""
    path = given.store or os.environ.get("IB_MCP_OAUTH_STORE")
    if not path or not Path(path).is_file():
        say(f"There is no file of grants at {path or '--store'}: give --store FILE, as IB_MCP_OAUTH_STORE names it.")
        return 2
    try:
        store = Store(Path(path), time.time)
        if given.action == "list":
            sys.stdout.write(table(("NAME", "SCOPES", "ACCOUNTS", "SINCE", "LAST RENEWED"), map(_row, store.grants())))
            return 0
        found = [grant.id for grant, _, _ in store.grants() if grant.name == given.name]
        for each in found:
            store.revoke(each)
    except StoreFailed as problem:
        say(str(problem))
        return 1
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
