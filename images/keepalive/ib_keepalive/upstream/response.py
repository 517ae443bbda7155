"""What the gateway's answer means: JSON for the caller, or the error that it really is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ib_service import strict_json
from ibkr.errors import IbError, LoginRequired, Maintenance, PacingLimited, SessionReopening, UpstreamError

# Of IBKR's answers none is known that comes near; a few at once have to fit into the memory of a small pod.
LARGEST_ANSWER = 4 * 1024 * 1024
_LONGEST_MESSAGE = 300
# The whole of what it says: other errors may speak of sessions too.
_NO_SIGN_IN = frozenset({"no session", "not logged in", "session expired", "unauthorized"})
_NO_BRIDGE = ("no bridge", "init session first", "not authenticated", "no brokerage session")
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


def read_response(response: Response) -> tuple[Any, bytes]:
    """The decoded JSON of a good answer (None for an empty one) and its content as every reader takes it.

    Raises the IbError that the answer stands for. A 429 is never read as a login problem, nor is a 5xx.
    """
    status = response.status
    if status == 429:
        raise PacingLimited("IBKR refuses requests for a while: too many were sent.")
    if status == 401:
        raise LoginRequired("IBKR's gateway has no valid sign-in.")
    if 300 <= status < 400:
        raise LoginRequired("IBKR's gateway sent the request to its sign-in page.")
    if 200 <= status < 300:
        return _read_good(response)
    message = _message(response)
    lowered = message.lower()
    if not 400 <= status < 600:
        raise UpstreamError(f"IBKR answered with HTTP {status}, which means nothing.")
    if status == 400 and any(words in lowered for words in _NO_BRIDGE):
        raise SessionReopening("IBKR's brokerage session is not open at the moment.", retry_after_s=5)
    if status in (400, 500) and any(words in lowered for words in _NO_PREFLIGHT):
        raise PreflightMissing(f"IBKR: {message}", status=status)
    raise UpstreamError(f"IBKR: {message}" if message else f"IBKR answered with HTTP {status}.", status=status)


def _read_good(response: Response) -> tuple[Any, bytes]:
    if response.status == 204:
        return None, b""
    if "html" in response.media:
        if b"maintenance" in response.content.lower():
            raise Maintenance("IBKR is under maintenance.")
        if b"/sso/" in response.content or b"login" in response.content.lower():
            raise LoginRequired("IBKR's gateway answered with its sign-in page.")
        raise FinalAnswer("IBKR answered with a web page instead of data.")
    try:
        body, content = strict_json.load_and_clean(response.content)
    except ValueError:
        raise UpstreamError("IBKR's answer is cut short or not JSON.", action="Try again shortly.") from None
    error = _bare_error(body)
    if error is not None:
        raise error
    return body, content


def _bare_error(body: Any) -> IbError | None:
    """IBKR reports some failures with status 200 and nothing but an ``error`` text."""
    if not isinstance(body, dict) or not isinstance(body.get("error"), str) or not body["error"]:
        return None
    if not _STATUS_ONLY.issuperset(body):
        return None
    message = body["error"][:_LONGEST_MESSAGE]
    lowered = message.lower()
    if lowered.strip(" .!") in _NO_SIGN_IN or body.get("statusCode") == 401:
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
        body = strict_json.load_cleaned(response.content)
    except ValueError:
        text = response.content.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:_LONGEST_MESSAGE]
    if isinstance(body, dict):
        for name in ("error", "message", "detail", "text", "title", "status"):
            if isinstance(body.get(name), str) and body[name]:
                return str(body[name])[:_LONGEST_MESSAGE]
    return str(body)[:_LONGEST_MESSAGE] if isinstance(body, str) else ""
