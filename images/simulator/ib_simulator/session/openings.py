"""The ways in which a brokerage session is opened, and how IBKR refuses each when it is told to.

``chain`` is what IBKR's own program does at a sign-in, ``documented`` a JSON body with ``publish`` and ``compete``,
``form`` a form with the machine's ``mac`` and ``machineId``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Literal
from urllib.parse import parse_qsl

from ib_simulator.call import Answer
from ib_simulator.network.http import Incoming, Reply, answer_reply, json_reply
from ib_simulator.session.answers import HARDWARE, auth_status
from ib_simulator.session.session import NEEDS_FORCE, Session
from ibkr import handshake

Rung = Literal["chain", "documented", "form"]
Refusal = Literal["takes", "410", "503", "force", "no_effect", "challenge", "no_rights"]
RUNGS: tuple[Rung, ...] = ("chain", "documented", "form")
_INIT = "/iserver/auth/ssodh/init"
_REFUSALS = {
    "410": Answer({"error": "Gone", "statusCode": 410}, 410),
    "503": Answer({"error": "Service Unavailable", "statusCode": 503}, 503),
    "no_rights": Answer({"error": "User has no trading permission", "statusCode": 500}, 500),
}


class Openings:
    """``session_key`` is the hex number K that a challenge is answered with; ``refusals`` by rung.

    ``tells_user``: whether one/user names the user.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(f"handshake {seed}")
        self.session_key = f"{self._random.getrandbits(160):x}"
        self.refusals: dict[Rung, Refusal] = dict.fromkeys(RUNGS, "takes")
        self.tells_user = True
        self._challenge: str | None = None
        self._compete = False
        self._routes: dict[tuple[str, str], Callable[[Incoming, Session, float], Reply]] = {
            ("GET", "/one/user"): self._user,
            ("GET", "/ssodh/init"): lambda *_: json_reply({"success": True}),
            ("GET", "/ssodh/st"): lambda *_: json_reply({"st": self.session_key}),
            ("POST", _INIT): self._open,
            ("POST", "/iserver/auth/ssodh/response"): self._respond,
        }

    def answer(self, path: str, incoming: Incoming, session: Session, now: float) -> Reply | None:
        """The reply, or None when ``path`` has nothing to do with opening a session."""
        route = self._routes.get((incoming.method, path))
        return None if route is None else route(incoming, session, now)

    def _user(self, _: Incoming, session: Session, _now: float) -> Reply:
        return json_reply({"username": session.user.name} if self.tells_user and session.user is not None else {})

    def _open(self, incoming: Incoming, session: Session, now: float) -> Reply:
        if incoming.headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
            form = dict(parse_qsl(incoming.body.decode("utf-8", "replace")))
            if f"{form.get('machineId')}|{form.get('mac')}" != HARDWARE:
                return json_reply({"error": "Bad Request: unknown machine", "statusCode": 400}, 400)
            return self._take("form", session, now, compete=form.get("compete") == "true")
        body = _parse(incoming.body)
        if "username" not in body:
            if body.get("publish") is not True:
                return json_reply({"error": "publish must be true", "statusCode": 500}, 500)
            return self._take("documented", session, now, compete=body.get("compete") is True)
        refused = self._refusal("chain", session, now)
        if refused is not None:
            return refused
        if session.flags(now).authenticated:
            return json_reply(auth_status(session.flags(now)))
        self._challenge, self._compete = f"{self._random.getrandbits(160):x}", body.get("compete") is True
        return json_reply({"challenge": self._challenge})

    def _respond(self, incoming: Incoming, session: Session, now: float) -> Reply:
        challenge, self._challenge = self._challenge, None
        is_right = challenge is not None and handshake.answers(
            _parse(incoming.body).get("response"), challenge, self.session_key
        )
        if not is_right or self.refusals["chain"] == "challenge":
            return json_reply({"error": "authentication failed"})
        return self._take("chain", session, now, compete=self._compete)

    def _take(self, rung: Rung, session: Session, now: float, *, compete: bool) -> Reply:
        refused = self._refusal(rung, session, now)
        if refused is not None:
            return refused
        session.open(now, compete=compete, after=session.timing.opening)
        return json_reply(auth_status(session.flags(now)))

    def _refusal(self, rung: Rung, session: Session, now: float) -> Reply | None:
        refusal = self.refusals[rung]
        if refusal in _REFUSALS:
            return answer_reply(_REFUSALS[refusal])
        if refusal == "force":
            return json_reply(auth_status(session.flags(now)) | {"fail": NEEDS_FORCE})
        return json_reply(auth_status(session.flags(now))) if refusal == "no_effect" else None


def _parse(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
