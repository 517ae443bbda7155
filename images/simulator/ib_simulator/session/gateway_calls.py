"""What IBKR's gateway program asks on its own after a login, outside the published operations."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from ib_simulator.network.http import Incoming, Reply, json_reply
from ib_simulator.session.answers import auth_status
from ib_simulator.session.session import Session
from ibkr import handshake

AGENT = "ClientPortalGW/1"


class GatewayCalls:
    """``session_key`` is the hex number K that the challenge is answered with."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"handshake {seed}")
        self.session_key = f"{self._random.getrandbits(160):x}"
        self._challenge: str | None = None
        self._routes: dict[tuple[str, str], Callable[[Incoming, Session, float], Any]] = {
            ("GET", "/one/user"): lambda *_: {},
            ("GET", "/ssodh/init"): lambda *_: {"success": True},
            ("GET", "/ssodh/st"): lambda *_: {"st": self.session_key},
            ("POST", "/iserver/auth/ssodh/init"): self._init,
            ("POST", "/iserver/auth/ssodh/response"): self._response,
        }

    def answer(self, path: str, incoming: Incoming, session: Session, now: float) -> Reply | None:
        """The reply, or None when ``path`` is not one of the gateway's own."""
        route = self._routes.get((incoming.method, path))
        return None if route is None else json_reply(route(incoming, session, now))

    def _init(self, _: Incoming, session: Session, now: float) -> dict[str, Any]:
        flags = session.flags(now)
        if flags.authenticated:
            return auth_status(flags)
        self._challenge = f"{self._random.getrandbits(160):x}"
        return {"challenge": self._challenge}

    def _response(self, incoming: Incoming, session: Session, now: float) -> dict[str, Any]:
        challenge, self._challenge = self._challenge, None
        try:
            given = json.loads(incoming.body)["response"]
        except (ValueError, TypeError, LookupError):
            given = None
        if challenge is None or not handshake.answers(given, challenge, self.session_key):
            return {"error": "authentication failed"}
        # The gateway's own login always takes the session from others.
        session.open(now, compete=True)
        return auth_status(session.flags(now))
