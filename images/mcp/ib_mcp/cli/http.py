"""One HTTP request by the standard library: loading a client library would cost more than all that is asked here."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ib_service import strict_json
from ib_service.http.headers import retry_after_s

# What is read of an answer; none that is asked for here comes near.
_LARGEST_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """``body`` is the JSON, or the text where it is none; ``wait_s`` is Retry-After; ``headers`` in small letters."""

    status: int
    body: Any
    wait_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def ask(
    url: str,
    *,
    method: str = "GET",
    token: str = "",
    timeout_s: float = 2.0,
    tls: ssl.SSLContext | None = None,
    content: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """The answer to one request, never a redirect's. OSError or HTTPException when there is none in time."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=tls)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    sent = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    if method == "POST" and content is None:
        content = "{}"
    with closing(connection):
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=content, headers=sent)
        response = connection.getresponse()
        answer = response.read(_LARGEST_ANSWER)
        told = {name.lower(): value for name, value in response.getheaders()}
        wait_s = retry_after_s(response.getheader("Retry-After"))
    try:
        body = strict_json.load_cleaned(answer)
    except ValueError:
        body = answer.decode("utf-8", errors="replace")
    return Reply(response.status, body, wait_s, told)


def answers(url: str, token: str = "") -> Reply | None:
    """The answer of a part on this machine when it is 200, None when it is another or does not come."""
    try:
        reply = ask(url, token=token)
    except (OSError, http.client.HTTPException):
        return None
    return reply if reply.status == 200 else None
