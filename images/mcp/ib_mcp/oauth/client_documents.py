"""Clients that are known by the address of a document about them (client id metadata documents).

Strangers choose what is fetched, so no address inside is ever called: only public names, only the addresses that a
check has passed, no redirects, little and soon.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from fastmcp.server.auth.ssrf import is_ip_allowed
from mcp.server.auth.provider import RegistrationError
from pydantic import ValidationError

from ib_mcp.oauth.clients import Client, register
from ib_service import strict_json
from ib_service.http.reading import TooLarge, read_whole

Fetch = Callable[[str], Awaitable[bytes]]
"""The document at a URL; ClientUnknown when it does not come."""
Lookup = Callable[..., Awaitable[Sequence[tuple[Any, ...]]]]
"""As ``getaddrinfo`` of an event loop."""

_LONGEST_URL = 512
_LARGEST = 5 * 1024
_TIMEOUT_S = 5.0
_FETCHES = 20
_WITHIN_S = 60.0
_AT_ONCE = 4
_FRESH_S = 3600.0
# Of names that mean something only inside a network.
_INSIDE = frozenset(
    {"local", "localhost", "internal", "intranet", "lan", "home", "corp", "svc", "arpa", "test", "onion"}
)


class ClientUnknown(Exception):
    """The document cannot be had or is none; the text says why, for the owner."""


def is_document(client_id: str) -> bool:
    return client_id.lower().startswith(("https://", "http://"))


def check_address(url: str) -> None:
    """ClientUnknown unless ``url`` is one that may be fetched, as far as its text says."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    host = parts.hostname or ""
    segments = unquote(parts.path).split("/")
    if (
        len(url) > _LONGEST_URL
        or not url.startswith("https://")
        or port not in (None, 443)
        or parts.username is not None
        or "#" in url
        or "\\" in url
        or any(ord(letter) <= 32 or ord(letter) > 126 for letter in url)
        or parts.path in ("", "/")
        or "." in segments
        or ".." in segments
    ):
        raise ClientUnknown("The client id is no address of a document: https://, a public name and a path.")
    if _is_number(host) or "." not in host.strip(".") or host.endswith(".") or host.rpartition(".")[2] in _INSIDE:
        raise ClientUnknown("The client id names no host of the public internet.")


class ClientDocuments:
    """``clock``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float], fetch: Fetch | None = None) -> None:
        self._clock = clock
        self._fetch = fetch or (lambda url: fetch_public(url))
        self._fetched: deque[float] = deque()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._fresh: dict[str, tuple[float, Client]] = {}

    async def find(self, client_id: str) -> Client:
        """The client whose document is at ``client_id``. ClientUnknown where there is no good one."""
        check_address(client_id)
        now = self._clock()
        known = self._fresh.get(client_id)
        if known is not None and now - known[0] < _FRESH_S:
            return known[1]
        while self._fetched and now - self._fetched[0] >= _WITHIN_S:
            self._fetched.popleft()
        if len(self._fetched) >= _FETCHES:
            raise ClientUnknown("Too many unknown clients came; wait a minute.")
        self._fetched.append(now)
        async with self._at_once:
            client = parse(client_id, await self._fetch(client_id))
        # Bounded by how many may be fetched in the time that they stay.
        self._fresh = {name: one for name, one in self._fresh.items() if now - one[0] < _FRESH_S}
        self._fresh[client_id] = (now, client)
        return client


def parse(client_id: str, content: bytes) -> Client:
    """The client that a document describes. ClientUnknown where it is about another one or cannot be taken."""
    try:
        told = strict_json.load_cleaned(content)
        if not isinstance(told, dict) or told.get("client_id") != client_id:
            raise ClientUnknown("The document at the client id does not name it as its client_id.")
        if told.get("client_secret") or str(told.get("token_endpoint_auth_method", "none")).startswith("client_secret"):
            raise ClientUnknown("The document at the client id speaks of a secret, which it cannot keep.")
        names = ("client_id", "client_name", "client_uri", "redirect_uris")
        client = Client.model_validate({name: told[name] for name in names if name in told})
        register(client)
    except ValidationError:
        raise ClientUnknown("The document at the client id cannot be read.") from None
    except ValueError:
        raise ClientUnknown("What is at the client id is no JSON document.") from None
    except RegistrationError as error:
        raise ClientUnknown(f"The document at the client id cannot be taken: {error.error_description}") from None
    return client


class PublicNames(AbstractResolver):
    """Resolves names to public addresses only: what is checked here is what is connected to."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._lookup = lookup or asyncio.get_running_loop().getaddrinfo

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        # With the dot a cluster's search domains do not count.
        found = await self._lookup(host + ".", port, family=family, type=socket.SOCK_STREAM)
        if not all(is_ip_allowed(str(address[0])) for *_, address in found):
            raise OSError(f"{host} leads to an address that is not public")
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, *_, address in found
        ]

    async def close(self) -> None:
        return None


async def fetch_public(url: str, connector: aiohttp.BaseConnector | None = None) -> bytes:
    """What is at ``url``, which :func:`check_address` has passed. ClientUnknown when it does not come."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    connector = connector or aiohttp.TCPConnector(resolver=PublicNames(), use_dns_cache=False)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as session,
            session.get(url, allow_redirects=False, headers=headers) as response,
        ):
            if response.status != 200:
                raise ClientUnknown(f"The address of the client id answers {response.status}.")
            return await read_whole(response.content.iter_any(), _LARGEST)
    except (aiohttp.ClientError, OSError, TimeoutError, UnicodeError):
        raise ClientUnknown("The address of the client id does not answer, or is not public.") from None
    except TooLarge:
        raise ClientUnknown(f"The document at the client id has more than {_LARGEST} bytes.") from None


def _is_number(host: str) -> bool:
    """Whether it is an address, also as old resolvers write one: 2130706433, 0x7f.1."""
    last = host.rstrip(".").rpartition(".")[2]
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return last.isdecimal() or last.lower().startswith("0x")
    return True
