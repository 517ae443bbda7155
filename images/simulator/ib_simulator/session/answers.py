"""IBKR's answers about the session itself, by catalogue id; everything else is the world's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ib_simulator.call import Answer
from ib_simulator.session.session import Flags, Session
from ib_simulator.session.users import USERS

_SERVER = {"serverName": "JifN19053", "serverVersion": "Build 10.25.0p, Dec 5, 2022 5:48:12 PM"}
_MAC = "06:42:AC:10:5F:21"
HARDWARE = f"c0ffee42|{_MAC}"


def auth_status(flags: Flags) -> dict[str, Any]:
    """Body of auth/status and part of tickle's: shorter when not authenticated, as IBKR does."""
    body: dict[str, Any] = {
        "authenticated": flags.authenticated,
        "competing": flags.competing,
        "connected": flags.connected,
        "message": "",
        "MAC": _MAC,
    }
    if flags.authenticated:
        body |= {"established": flags.established, "hardware_info": HARDWARE, "serverInfo": _SERVER}
    return body | {"fail": flags.fail}


def _auth_status(session: Session, _body: Any, now: float) -> Answer:
    return Answer(auth_status(session.flags(now)))


def _tickle(session: Session, _body: Any, now: float) -> Answer:
    assert session.user is not None
    return Answer(
        {
            "session": session.socket_key,
            "ssoExpires": round(session.idle_left(now) * 1000),
            "collission": False,
            "userId": session.user.user_id,
            "hmds": {"error": "no bridge"},
            "iserver": {"authStatus": auth_status(session.flags(now))},
        }
    )


def _reauthenticate(session: Session, _body: Any, now: float) -> Answer:
    session.open(now, compete=False, after=session.timing.gateway_login)
    return Answer({"message": "triggered"})


def _log_out(session: Session, _body: Any, _now: float) -> Answer:
    session.end("logged out")
    return Answer({"status": True})


def _validate(session: Session, _body: Any, now: float) -> Answer:
    """Times in ms: ``EXPIRES`` is what is left, the others are epochs."""
    user = session.user
    assert user is not None
    return Answer(
        {
            "USER_ID": user.user_id,
            "USER_NAME": user.name,
            "RESULT": True,
            "AUTH_TIME": round(session.login_at * 1000),
            "SF_ENABLED": False,
            "IS_FREE_TRIAL": False,
            "CREDENTIAL": user.name,
            "IP": "127.0.0.1",
            "EXPIRES": round(session.login_left(now) * 1000),
            "QUALIFIED_FOR_MOBILE_AUTH": None,
            "LANDING_APP": "UNIVERSAL",
            "IS_MASTER": False,
            "lastAccessed": round(session.seen_at * 1000),
            "LOGIN_TYPE": user.login_type,
            "loginType": user.login_type,
            "PAPER_USER_NAME": USERS["paper"].name,
            "features": {"env": "PROD", "wlms": True, "realtime": True, "bond": True, "optionChains": True},
            "region": "NJ",
            "HARDWARE_INFO": HARDWARE,
        }
    )


def _upgrade_missing(_session: Session, _body: Any, _now: float) -> Answer:
    return Answer({"error": "Bad Request: not a WebSocket upgrade", "statusCode": 400}, 400)


ANSWERS: dict[str, Callable[[Session, Any, float], Answer]] = {
    "tickle": _tickle,
    "get_auth_status": _auth_status,
    "reauthenticate": _reauthenticate,
    "reauthenticate_by_get": _reauthenticate,
    "validate_sign_in": _validate,
    "log_out": _log_out,
    "open_websocket": _upgrade_missing,
}
