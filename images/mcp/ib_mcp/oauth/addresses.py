"""The public address of this server, and what others may call it. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def public_base(text: str) -> str:
    """``https://host[:port][/path]`` as browsers write it, without a closing slash.

    ValueError for anything else; http on loopback only.
    """
    try:
        url = urlsplit(str(AnyHttpUrl(text.strip())))
        port = url.port
    except ValueError:
        raise ValueError("is not an address such as https://ibkr.example.net") from None
    prefix = url.path.rstrip("/")
    if url.query or url.fragment or url.username or not url.hostname or not _PREFIX.fullmatch(prefix):
        raise ValueError("has to be https:// and a host name, and perhaps a plain path")
    if prefix.endswith("/mcp"):
        raise ValueError("has to be without the /mcp at the end")
    if url.scheme != "https" and url.hostname not in LOOPBACK:
        raise ValueError("has to begin with https://, or tokens could be read on the way")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    shown = "" if port in (None, 80 if url.scheme == "http" else 443) else f":{port}"
    return f"{url.scheme}://{host}{shown}{prefix}"


def names_us(asked: str | None, origin: str, path: str) -> bool:
    """Whether a resource indicator means this server: the resource or the origin alone, as forgiving as clients need.

    Letter case of the host, the default port, a closing slash and a query make no difference.
    """
    if not asked:
        return True
    try:
        url = urlsplit(str(AnyHttpUrl(asked)))
    except ValueError:
        return False
    if url.username or url.fragment:
        return False
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}" in {origin, origin + path}
