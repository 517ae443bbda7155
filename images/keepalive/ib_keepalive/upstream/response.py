"""What the gateway's answer means: JSON for the caller, or the error that it really is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ibkr.errors import IbError, LoginRequired, PacingLimited, SessionReopening, UpstreamError

LARGEST_ANSWER = 16 * 1024 * 1024
_LONGEST_MESSAGE = 300
_NO_SIGN_IN = ("no session", "not logged in", "not authenticated")
_NO_BRIDGE = ("no bridge", "init session first")
_NO_PREFLIGHT = ("query /accounts first",)
_STATUS_ONLY = frozenset({"error", "statusCode", "status", "code", "action", "warn"})


class PreflightMissing(UpstreamError):
    """IBKR forgot that ``/iserver/accounts`` was called; the same call succeeds after it."""


class FinalAnswer(UpstreamError):
    """A complete answer that would be the same the next time."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the gateway as it arrived."""

    status: int
    media: str
    content: bytes
    retry_after_s: float | None = None


def read_response(response: Response) -> Any:
    """The decoded JSON of a good answer (None for an empty one); raises the IbError that the answer stands for.

    A 429 is never read as a login problem, nor is a 5xx.
    """
    status = response.status
    if status == 429:
        raise PacingLimited("IBKR refuses requests for a while: too many were sent.")
    if status == 401:
        raise LoginRequired("IBKR's gateway has no valid sign-in.")
    if 300 <= status < 400:
        raise LoginRequired("IBKR's gateway sent the request to its sign-in page.")
    if status < 300:
        return _read_good(response)
    message = _message(response)
    lowered = message.lower()
    if status == 400 and any(words in lowered for words in _NO_BRIDGE):
        raise SessionReopening("IBKR's brokerage session is not open at the moment.", retry_after_s=5)
    if status == 400 and any(words in lowered for words in _NO_PREFLIGHT):
        raise PreflightMissing(f"IBKR: {message}", status=status)
    raise UpstreamError(f"IBKR: {message}" if message else f"IBKR answered with HTTP {status}.", status=status)


def _read_good(response: Response) -> Any:
    if response.status == 204:
        return None
    if "html" in response.media:
        if b"/sso/" in response.content or b"login" in response.content.lower():
            raise LoginRequired("IBKR's gateway answered with its sign-in page.")
        raise FinalAnswer("IBKR answered with a web page instead of data.")
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        raise UpstreamError("IBKR's answer is cut short or not JSON.", action="Try again shortly.") from None
    error = _bare_error(body)
    if error is not None:
        raise error
    return body


def _bare_error(body: Any) -> IbError | None:
    """IBKR reports some failures with status 200 and nothing but an ``error`` text."""
    if not isinstance(body, dict) or not isinstance(body.get("error"), str) or not body["error"]:
        return None
    if not _STATUS_ONLY.issuperset(body):
        return None
    message = body["error"][:_LONGEST_MESSAGE]
    lowered = message.lower()
    if any(words in lowered for words in _NO_SIGN_IN):
        return LoginRequired("IBKR's gateway has no valid sign-in.")
    if any(words in lowered for words in _NO_BRIDGE):
        return SessionReopening("IBKR's brokerage session is not open at the moment.", retry_after_s=5)
    if any(words in lowered for words in _NO_PREFLIGHT):
        return PreflightMissing(f"IBKR: {message}")
    return FinalAnswer(f"IBKR: {message}")


def _message(response: Response) -> str:
    """IBKR's own words, without markup."""
    if "html" in response.media:
        return ""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        text = response.content.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:_LONGEST_MESSAGE]
    if isinstance(body, dict):
        for name in ("error", "message", "detail", "text", "title", "status"):
            if isinstance(body.get(name), str) and body[name]:
                return str(body[name])[:_LONGEST_MESSAGE]
    return str(body)[:_LONGEST_MESSAGE] if isinstance(body, str) else ""
