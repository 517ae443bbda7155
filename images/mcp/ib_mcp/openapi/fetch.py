"""Reading a document from a file or an address, within bounds of size and time."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from ib_mcp.openapi.errors import DocumentUnreachable, DocumentUnreadable

MOST_BYTES = 50 * 1024 * 1024
_TOO_LARGE = f"The document is larger than {MOST_BYTES >> 20} MB."
WITHIN_S = 30.0


def fetch(spec: str, within_s: float = WITHIN_S) -> bytes:
    """The bytes at ``spec``, a path or an ``http(s)`` URL.

    DocumentUnreadable for a file that cannot be read or is larger than 50 MB, DocumentUnreachable for an address that
    has not answered whole after ``within_s`` seconds.
    """
    if is_url(spec):
        return _fetch_url(spec, within_s)
    try:
        with Path(spec).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise DocumentUnreadable(f"The document {spec[:200]!r} cannot be read: {reason}.") from None
    if len(content) > MOST_BYTES:
        raise DocumentUnreadable(_TOO_LARGE)
    return content


def is_url(spec: str) -> bool:
    """Whether ``spec`` names an address rather than a file."""
    return spec.lower().startswith(("http://", "https://"))


def _fetch_url(url: str, within_s: float) -> bytes:
    """A thread of its own is given up on whatever it waits for: names, connections and headers that drip in."""
    answer: list[bytes | Exception] = []

    def ask() -> None:
        try:
            answer.append(_download(url, time.monotonic() + within_s))
        except Exception as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="document")
    thread.start()
    thread.join(within_s)
    if not answer:
        raise DocumentUnreachable(f"{_host(url)} has not sent the document within {within_s:g} s.")
    if isinstance(answer[0], bytes):
        return answer[0]
    if isinstance(answer[0], (DocumentUnreadable, DocumentUnreachable)):
        raise answer[0]
    raise DocumentUnreachable(f"{_host(url)} does not send the document ({type(answer[0]).__name__}).") from answer[0]


def _download(url: str, until: float) -> bytes:
    # Unpacked sizes have no bound, so nothing is asked for packed.
    headers = {"User-Agent": "ib-mcp", "Accept-Encoding": "identity"}
    with (
        httpx.Client(timeout=10, follow_redirects=True, max_redirects=5, headers=headers) as client,
        client.stream("GET", url) as response,
    ):
        if response.status_code != 200:
            raise DocumentUnreachable(f"{_host(url)} answers with HTTP {response.status_code}.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise DocumentUnreadable("The document comes packed although it was not asked for so.")
        parts, size = [], 0
        for part in response.iter_raw():
            size += len(part)
            if size > MOST_BYTES:
                raise DocumentUnreadable(_TOO_LARGE)
            if time.monotonic() > until:
                raise DocumentUnreachable(f"{_host(url)} sends the document too slowly.")
            parts.append(part)
    return b"".join(parts)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "The address"
    except ValueError:
        return "The address"
