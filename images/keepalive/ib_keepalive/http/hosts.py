"""Which Host and Origin a request may carry: the defence against web pages that rebind names or post across sites."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets, or None when it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        port_is_valid = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        return None
    if not port_is_valid or not parts.hostname or parts.path or parts.query or parts.fragment or "@" in host:
        return None
    return parts.hostname


def admits_host(headers: Headers, names: Collection[str], *, addresses: bool = False) -> bool:
    """Whether Host is a loopback name, one of ``names``, or, with ``addresses``, any IP address.

    A page on the web can make a name of its own point here, never an address.
    """
    hosts = headers.getlist("host")
    name = host_name(hosts[0]) if len(hosts) == 1 else None
    if name is None:
        return False
    return name in LOOPBACK or name in names or (addresses and _is_address(name))


def admits_origin(headers: Headers) -> bool:
    """Whether Origin is absent or names the host that the request was sent to."""
    origins = headers.getlist("origin")
    if not origins:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    parts = urlsplit(origins[0]) if len(origins) == 1 else None
    return parts is not None and parts.scheme in ("http", "https") and parts.netloc == headers.get("host", "")


def is_loopback(address: str) -> bool:
    """Whether a client's address is of this machine, or of the same pod; also one of IPv4 on a socket of both."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
