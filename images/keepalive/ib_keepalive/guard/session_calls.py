"""Session calls of ordinary Web API clients, answered from what the keeper knows, without asking IBKR.

Left out on purpose: the session value of ``/tickle`` (it opens IBKR's WebSocket), user names, machine and address.
"""

from __future__ import annotations

from typing import Any

from ib_keepalive.upstream.api_request import PREFIX
from ibkr.session import Status

_P = PREFIX.encode()
_LOGIN_TYPE = {"live": 1, "paper": 2}


def auth_status(status: Status) -> dict[str, Any]:
    """The flags of ``/iserver/auth/status``."""
    flags: dict[str, Any] = {
        "authenticated": status.auth.authenticated,
        "competing": status.auth.competing,
        "connected": status.auth.connected,
        "message": status.auth.message or "",
    }
    if status.auth.established is not None:
        flags["established"] = status.auth.established
    return flags


def tickle(status: Status) -> dict[str, Any]:
    return {"hmds": {"error": "no bridge"}, "iserver": {"authStatus": auth_status(status)}}


def triggered(_: Status) -> dict[str, Any]:
    return {"message": "triggered"}


def validation(status: Status) -> dict[str, Any]:
    answer: dict[str, Any] = {"RESULT": True}
    if status.mode in _LOGIN_TYPE:
        answer["LOGIN_TYPE"] = answer["loginType"] = _LOGIN_TYPE[status.mode]
    return answer


# Answered while a sign-in is valid, whatever the brokerage session does.
FROM_STATUS = {
    (b"GET", _P + b"/tickle"): tickle,
    (b"POST", _P + b"/tickle"): tickle,
    (b"GET", _P + b"/iserver/auth/status"): auth_status,
    (b"POST", _P + b"/iserver/auth/status"): auth_status,
    (b"GET", _P + b"/sso/validate"): validation,
}
# These ask the keeper to open the brokerage session; whether to compete is the owner's decision, not the caller's.
OPENING = {
    (b"POST", _P + b"/iserver/auth/ssodh/init"): auth_status,
    (b"POST", _P + b"/iserver/reauthenticate"): triggered,
    (b"GET", _P + b"/iserver/reauthenticate"): triggered,
}
