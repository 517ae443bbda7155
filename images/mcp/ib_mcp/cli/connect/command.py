"""`ib-mcp connect AGENT`: prints or writes what an agent has to know of the server."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from ib_mcp.cli import state
from ib_mcp.cli.connect.agents import FILES, NAME, STEPS, ConfigFile, Server, printed, toml
from ib_mcp.cli.connect.edit import CannotEdit, put_json, put_toml
from ib_mcp.cli.console import say


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when a file cannot be written; 2 for an address that cannot be meant."""
    server = _server(given)
    if problem := _wrong(given.agent, server):
        say(problem)
        return 2
    if given.agent in STEPS:
        sys.stdout.write(STEPS[given.agent].format(url=server.url, name=NAME) + "\n")
        return 0
    config = FILES[given.agent](server)
    if not given.write:
        sys.stdout.write(printed(config))
        say(f"This goes into {config.path} ('--write' puts it there). {config.also}".rstrip())
        return 0
    try:
        backup = write(config)
    except (OSError, CannotEdit, UnicodeDecodeError) as problem:
        say(f"{config.path} is left as it is: {getattr(problem, 'strerror', None) or problem}.")
        return 1
    say(f"Written to {config.path}" + (f"; as it was: {backup}." if backup else ".") + f" {config.also}".rstrip())
    return 0


def write(config: ConfigFile) -> Path | None:
    """Put the server into the agent's file; where the file is kept as it was, if there was one."""
    # A link that leads elsewhere stays one.
    path = Path(os.path.realpath(config.path))
    before = path.read_text("utf-8") if path.exists() else ""
    if config.kind == "toml":
        after = put_toml(before, config.within, NAME, toml(config))
    else:
        after = put_json(before, config.within, NAME, config.entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = None
    if before:
        backup = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}.backup")
        state.write_private(backup, before)
    state.write_private(path, after)
    return backup


def _server(given: argparse.Namespace) -> Server:
    """What was given, else the running `ib-mcp up`, else the next one with the default port."""
    if given.url is not None:
        return Server(given.url, given.token)
    stacks = state.running()
    url = stacks[0].mcp_url if stacks else "http://127.0.0.1:8800/mcp"
    return Server(url, given.token or state.token("mcp"))


def _wrong(agent: str, server: Server) -> str | None:
    parts = urlsplit(server.url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not parts.path.strip("/"):
        return f"{server.url}: not an address such as https://ibkr.example.net/mcp."
    if agent in STEPS and (parts.scheme != "https" or port not in (None, 443)):
        return (
            f"{agent} comes from the internet, to port 443 by https, and {server.url} is no such address: "
            "give --url https://HOST/mcp of your Ingress, tunnel or Funnel."
        )
    return None
