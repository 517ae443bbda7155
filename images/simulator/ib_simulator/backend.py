"""IBKR itself: what api.ibkr.com answers to one request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Literal

from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.clock import Clock
from ib_simulator.faults.apply import apply_faults
from ib_simulator.faults.faults import Faults
from ib_simulator.limits import Limits
from ib_simulator.network.http import Incoming, Reply, answer_reply, json_reply, page_reply, redirect
from ib_simulator.oauth1.signed import SignedRequests, is_signed, over_oauth
from ib_simulator.request_log import Request, RequestLog
from ib_simulator.session import answers
from ib_simulator.session.openings import Openings
from ib_simulator.session.session import Session
from ib_simulator.sign_in import pages, sso
from ib_simulator.sign_in.logins import Logins
from ib_simulator.world import World
from ib_simulator.world.accounts import UserKey
from ibkr import oauth1
from ibkr.catalogue import Catalogue
from ibkr.operation import Operation

BeforeLogin = Literal["401", "302", "no_session"]
# What IBKR's gateway program calls itself in the requests that it sends on its own.
AGENT = "ClientPortalGW/1"
_PREFIXES = ("/v1/api/", "/v1/portal/")
# What IBKR's own program asks at a sign-in, which nobody else has a use for.
_OF_ITS_PROGRAM = ("/one/user", "/ssodh/init", "/ssodh/st")
# Operations that the catalogue has as POST and that are asked by GET too, by the gateway itself among others.
_ALSO_GET = ("/tickle", "/iserver/auth/status", "/logout")
_WITH_BODY = ("POST", "PUT", "PATCH")


class Backend:
    """Limits, faults and session in front of the world's answers.

    ``before_login`` is how an API call without a sign-in is refused: 401, a redirect to the login page, or 200 with
    ``{"error":"no session"}``; IBKR has been seen to do each. ``watch_clients``: a held request ends with its client.
    ``crash_gateway`` ends IBKR's program in front of it.
    """

    def __init__(
        self,
        *,
        seed: int,
        clock: Clock,
        session: Session,
        limits: Limits,
        faults: Faults,
        logins: Logins,
        request_log: RequestLog,
        catalogue: Catalogue,
        worlds: Mapping[UserKey, World],
        answers: Mapping[str, Callable[[World, Call], Answer]],
        watch_clients: bool,
    ) -> None:
        self.clock, self.session, self.limits, self.faults = clock, session, limits, faults
        self.logins, self.request_log = logins, request_log
        self.signed = SignedRequests(seed, logins)
        self.before_login: BeforeLogin = "401"
        self.openings = Openings(seed)
        self.worlds = worlds
        self.crash_gateway: Callable[[], None] = lambda: None
        self._catalogue, self._answers = catalogue, answers
        self._watch_clients = watch_clients

    async def handle(self, incoming: Incoming) -> Reply | None:
        """The reply; None when the client went away while it was held."""
        path = next(
            (incoming.path[len(prefix) - 1 :] for prefix in _PREFIXES if incoming.path.startswith(prefix)), None
        )
        matched = None
        if path is not None:
            matched = self._catalogue.match("POST" if path in _ALSO_GET else incoming.method, path)
        operation = matched[0] if matched is not None else None
        name, user_agent = None if operation is None else operation.id, incoming.user_agent
        if self.faults.active:
            await self.faults.delay_reception(name, incoming.method, incoming.path, user_agent)
        now = self.clock.now()
        request = Request(incoming.method, incoming.path, user_agent, now, name)
        self.request_log.requests.append(request)

        def answer() -> Reply:
            if path is None:
                return self._outside(incoming)
            return self._api(path, operation, matched[1] if matched is not None else {}, incoming)

        refused = self.limits.admit(operation, now) if path is not None and user_agent != AGENT else None
        if refused is not None:
            reply: Reply | None = json_reply({"error": refused}, 429)
        elif self.faults.active:
            # Only a fault makes an answer take time; without one no two calls are ever in progress together.
            with self.limits.running(operation):
                applied = self.faults.matching(request.endpoint, request.method, request.path, user_agent)
                reply = await apply_faults(
                    self.faults,
                    applied,
                    incoming,
                    answer,
                    forget_accounts=self.session.forget_accounts,
                    crash_gateway=self.crash_gateway,
                    watch_client=self._watch_clients,
                )
        else:
            reply = answer()
        request.status = None if reply is None or reply.broken == "reset" else reply.status
        self.request_log.statuses[request.endpoint, request.status] += 1
        return reply

    def holds_session(self, cookie: bytes) -> bool:
        """Whether this Cookie header is that of the present sign-in."""
        return self.session.user is not None and f"XYZAB={self.session.token}".encode() in cookie

    def _signed_in(self, incoming: Incoming) -> bool:
        return self.holds_session(incoming.headers.get(b"cookie", b""))

    def _outside(self, incoming: Incoming) -> Reply:
        now = self.clock.now()
        self.session.settle(now)
        if self.session.maintenance_until(now) is not None:
            return page_reply(pages.maintenance(), 503)
        if incoming.path.startswith("/sso/"):
            return sso.answer(incoming, self.session, self.logins, now, signed_in=self._signed_in(incoming))
        return _not_found()

    def _api(self, path: str, operation: Operation | None, values: dict[str, str], incoming: Incoming) -> Reply:
        now = self.clock.now()
        session = self.session
        session.settle(now)
        if session.maintenance_until(now) is not None:
            # What keeps a sign-in awake keeps it through a maintenance too.
            if self._signed_in(incoming) or is_signed(incoming):
                session.touch(now)
            return json_reply({"error": "Service Unavailable", "statusCode": 503}, 503)
        if path == oauth1.TOKEN_PATH:
            return self.signed.issue(incoming, session, now)
        signed = is_signed(incoming)
        if signed:
            refused = self.signed.refuse(incoming, session, now)
            if refused is not None:
                return refused
        elif not self._signed_in(incoming):
            return self._refuse_signed_out()
        if incoming.method in _WITH_BODY and b"content-length" not in incoming.headers:
            return page_reply("Length Required", 411)
        session.touch(now)
        if signed and path in _OF_ITS_PROGRAM:
            return _not_found()
        opened = self.openings.answer(path, incoming, session, now)
        if opened is not None:
            return opened
        return _not_found() if operation is None else self._answer(operation, values, incoming, now, signed=signed)

    def _refuse_signed_out(self) -> Reply:
        if self.before_login == "302":
            return redirect("/sso/Login?forwardTo=22&RL=1")
        if self.before_login == "no_session":
            return json_reply({"error": "no session"})
        return Reply(401)

    def _answer(
        self, operation: Operation, values: dict[str, str], incoming: Incoming, now: float, *, signed: bool
    ) -> Reply:
        session = self.session
        assert session.user is not None
        try:
            body = json.loads(incoming.body) if incoming.body else {}
        except ValueError:
            return _bad_request("the body is not JSON")
        own = answers.ANSWERS.get(operation.id)
        if own is not None:
            answer = own(session, body, now)
            return answer_reply(over_oauth(operation.id, answer) if signed else answer)
        if operation.tier == "brokerage" and not session.flags(now).authenticated:
            return _bad_request("no bridge" if session.ever_opened else "Init session first")
        world = self.worlds[session.user.key]
        if world.orders.pace.any_request_voids and operation.effect != "trade":
            session.memory.notes.pop("question", None)
        call = Call(operation, values, incoming.query, body, now, session.memory)
        handler = self._answers.get(operation.id)
        if handler is None:
            return json_reply({"error": f"the simulator has no answer for {operation.id}", "statusCode": 501}, 501)
        try:
            answer = handler(world, call)
        except Refusal as refusal:
            answer = refusal.answer
        session.memory.seen[operation.id] += 1
        if operation.tier == "brokerage" and operation.effect == "read" and not session.established(now):
            return json_reply([] if isinstance(answer.body, list) else {}, answer.status)
        return answer_reply(answer)


def _not_found() -> Reply:
    return json_reply({"error": "Resource not found", "statusCode": 404}, 404)


def _bad_request(reason: str) -> Reply:
    return json_reply({"error": f"Bad Request: {reason}", "statusCode": 400}, 400)
