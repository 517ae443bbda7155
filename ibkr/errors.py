"""The closed set of error codes, their exceptions and the error envelope every part answers with.

Envelope: ``{"error": {"code", "message", "action", "retry_after_s"?, "login"?}}``; ``message`` says what
happened and ``action`` what to do, one sentence each. ``login`` is where a person signs in.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self


class IbError(Exception):
    """Base of everything ib-mcp raises on purpose; a subclass per code, ``status`` is its HTTP status."""

    code: ClassVar[str]
    status: int
    action: str = ""

    def __init__(
        self,
        message: str,
        *,
        action: str | None = None,
        retry_after_s: float | None = None,
        login: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.action = type(self).action if action is None else action
        self.retry_after_s = retry_after_s
        self.login = login
        if status is not None:
            self.status = status

    def advising(self, action: str) -> Self:
        """The same error with another cure."""
        return type(self)(
            self.message, action=action, retry_after_s=self.retry_after_s, login=self.login, status=self.status
        )

    def envelope(self) -> dict[str, Any]:
        """The JSON body of this error."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "action": self.action}
        if self.retry_after_s is not None:
            # Rounded up: who waits exactly so long must not come too early.
            error["retry_after_s"] = math.ceil(self.retry_after_s * 10) / 10
        if self.login is not None:
            error["login"] = self.login
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Response headers that go with the status; Retry-After is in whole seconds, rounded up."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class TokenRequired(IbError):
    code, status = "token_required", 401
    action = "Send the header 'Authorization: Bearer TOKEN' with the token of this server."

    def headers(self) -> dict[str, str]:
        return {**super().headers(), "WWW-Authenticate": "Bearer"}


class OperationForbidden(IbError):
    code, status = "operation_forbidden", 403
    action = "Use a permitted operation, or ask the owner to permit this one."


class OperationUnknown(IbError):
    code, status = "operation_unknown", 404
    action = "Look the operation up with find_endpoint."


class InvalidRequest(IbError):
    code, status = "invalid_request", 400
    action = "Correct the request and send it again."


class LoginRequired(IbError):
    code, status = "login_required", 503
    action = "Ask the owner to sign in with a browser, then try again."


class SessionCompeting(IbError):
    code, status = "session_competing", 503
    action = "Wait until the owner's other IBKR session ends, or ask the owner to close it."


class SessionReopening(IbError):
    code, status = "session_reopening", 503
    action = "Try again in a few seconds; the brokerage session is being opened."


class Maintenance(IbError):
    code, status = "maintenance", 503
    action = "Try again after IBKR's maintenance."


class PacingLimited(IbError):
    code, status = "pacing_limited", 429
    action = "Wait retry_after_s seconds, then send it again."


class UpstreamUnreachable(IbError):
    code, status = "upstream_unreachable", 502
    action = "Try again shortly; if it persists run 'ib-mcp doctor'."


class UpstreamTimeout(IbError):
    code, status = "upstream_timeout", 504
    action = "Try again shortly; if it persists run 'ib-mcp doctor'."


class OutcomeUnknown(IbError):
    code, status = "outcome_unknown", 504
    action = "Do not send it again; look the order up first."


class UpstreamError(IbError):
    """IBKR answered with an error; its status is passed through."""

    code, status = "upstream_error", 502
    action = "Read the message of IBKR and correct the request, or try again later."


class InternalError(IbError):
    """A fault of our own; the log of the part that answers has the traceback."""

    code, status = "internal_error", 500
    action = "Try something else, and tell the owner to look at the logs."


BY_CODE: dict[str, type[IbError]] = {
    kind.code: kind
    for kind in (
        TokenRequired,
        OperationForbidden,
        OperationUnknown,
        InvalidRequest,
        LoginRequired,
        SessionCompeting,
        SessionReopening,
        Maintenance,
        PacingLimited,
        UpstreamUnreachable,
        UpstreamTimeout,
        OutcomeUnknown,
        UpstreamError,
        InternalError,
    )
}


def from_envelope(status: int, body: object) -> IbError | None:
    """The error that an envelope describes, or None when ``body`` is not an envelope.

    Fields of a wrong type count as missing.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or (kind := BY_CODE.get(_text(error, "code") or "")) is None:
        return None
    wait = error.get("retry_after_s")
    known = isinstance(wait, (int, float)) and not isinstance(wait, bool) and 0 <= wait < math.inf
    return kind(
        _text(error, "message") or "",
        action=_text(error, "action"),
        retry_after_s=wait if known else None,
        login=_text(error, "login"),
        status=status,
    )


def _text(error: dict[str, Any], name: str) -> str | None:
    value = error.get(name)
    return value if isinstance(value, str) else None
