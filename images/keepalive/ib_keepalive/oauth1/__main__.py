"""``python -m ib_keepalive.oauth1 DIRECTORY``: whether IBKR takes a consumer's keys, by one token and one call."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from pathlib import Path

import aiohttp
import httpx

from ib_keepalive.oauth1.credentials import Credentials, WrongFiles, read_credentials
from ib_keepalive.oauth1.live_tokens import LiveTokens
from ib_keepalive.oauth1.transport import SignedTransport
from ib_service.http.client import open_sockets


def main() -> int:
    """0 when IBKR takes the keys, 1 when it does not or is out of reach, 2 when a file is wrong."""
    parser = argparse.ArgumentParser(prog="ib-mcp oauth check", description="Whether IBKR takes the OAuth keys.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--url", default="https://api.ibkr.com")
    given = parser.parse_args()
    try:
        credentials = read_credentials(given.directory)
    except WrongFiles as problem:
        return _say(2, str(problem))
    try:
        return asyncio.run(_check(credentials, given.url))
    except (httpx.HTTPError, OSError) as problem:
        return _say(1, f"{given.url} cannot be reached: {type(problem).__name__}.")


async def _check(credentials: Credentials, url: str) -> int:
    sockets = open_sockets(lambda: aiohttp.TCPConnector(ssl=ssl.create_default_context()))
    tokens = LiveTokens(sockets, credentials, url)
    transport = SignedTransport(sockets, tokens)
    async with httpx.AsyncClient(transport=transport, base_url=url, timeout=20, trust_env=False) as client:
        answer = await client.post("/v1/api/tickle", json={})
    if tokens.trouble is not None:
        return _say(1, f"{tokens.trouble}.")
    if answer.status_code != 200:
        return _say(1, f"IBKR gave a live session token and answered {answer.status_code} to the first call.")
    return _say(0, "IBKR takes the keys: it gave a live session token and answered a signed call.")


def _say(code: int, text: str) -> int:
    (sys.stderr if code else sys.stdout).write(f"{text}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
