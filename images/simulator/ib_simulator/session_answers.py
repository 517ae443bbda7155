"""IBKR's answers about the session itself, by catalogue id; everything else is the world's."""

from __future__ import annotations

from typing import Any

from ib_simulator.session import Flags, Session
from ib_simulator.users import USERS

SERVER = {"serverName": "JifN19053", "serverVersion": "Build 10.25.0p, Dec 5, 2022 5:48:12 PM"}
MAC = "06:42:AC:10:5F:21"


def auth_status(flags: Flags) -> dict[str, Any]:
    """Short when not authenticated, as IBKR does."""
    body: dict[str, Any] = {
        "authenticated": flags.authenticated,
        "competing": flags.competing,
        "connected": flags.connected,
        "message": flags.message,
        "MAC": MAC,
    }
    if flags.authenticated:
        body |= {"established": flags.established, "hardware_info": f"c0ffee42|{MAC}", "serverInfo": SERVER}
    return body | {"fail": flags.fail}


def tickle(session: Session, now: float, key: str) -> dict[str, Any]:
    """``key`` is the WebSocket's session value."""
    assert session.user is not None
    return {
        "session": key,
        "ssoExpires": round(session.idle_left(now) * 1000),
        "collission": False,
        "userId": session.user.user_id,
        "hmds": {"error": "no bridge"},
        "iserver": {"authStatus": auth_status(session.flags(now))},
    }


def sign_in(session: Session, now: float) -> dict[str, Any]:
    """sso/validate. Times in ms: ``EXPIRES`` is what is left, the others are epochs."""
    user = session.user
    assert user is not None
    return {
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
        "PAPER_USER_NAME": user.name if user.mode == "paper" else USERS["paper"].name,
        "features": {"env": "PROD", "wlms": True, "realtime": True, "bond": True, "optionChains": True},
        "region": "NJ",
    }
