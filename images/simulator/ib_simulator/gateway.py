"""A stand-in for IBKR's gateway program in front of the simulated IBKR: what it serves itself and what it forwards.

After the measurements of the real program: it keeps the cookies of the sign-in, forwards with them, has five slots
towards IBKR, and frees a slot only when IBKR has answered, whether or not the client is still there. Its own tickling
does not run, so the session lives as long as somebody else tickles.
"""

from __future__ import annotations

import asyncio
import re

from ib_simulator.backend import Backend
from ib_simulator.network.http import Incoming, Reply, json_reply, page_reply, redirect
from ib_simulator.request_log import Request
from ib_simulator.sign_in.logins import cookies

SLOTS = 5
LOGIN_SUCCEEDS = "Client login succeeds"
_IBKR = "https://api.ibkr.com"
_FORWARDED = re.compile(
    r"/(v1|qa|ci|alpha|local)/(api|portal)/|/sso/|/(css|scripts|stylesheet|images|fonts)"
    r"|/portal\.proxy/v1/gstat/bulletins$"
)
_REAUTHENTICATE = re.compile(r"/[^/]+/(api|portal)/iserver/reauthenticate")
_UNKNOWN_SERVICE = re.compile(r"/v1/(am|tws)/")
_KEPT = re.compile(r"JSESSIONID|XYZAB|XYZAB_AM\.LOGIN|USERID|REGION|URL_PARAM|RL|(cp|api)(\..*)?|portal|web")
_PLANTED = ("XYZAB", "XYZAB_AM.LOGIN")


class Gateway:
    """``origins``: a regular expression for the whole Origin header, None for any; others are refused with 403.

    ``opens_brokerage``: after a sign-in it opens the brokerage session, as without a long ``authDelay``.
    """

    def __init__(self, backend: Backend, *, origins: str | None = None, opens_brokerage: bool = True) -> None:
        self._backend = backend
        self._opens_brokerage = opens_brokerage
        self._origins = None if origins is None else re.compile(origins)
        self._slots = asyncio.Semaphore(SLOTS)
        self._running: set[asyncio.Future[Reply | None]] = set()
        self._jar: dict[str, str] = {}
        self._logged_in = False
        self.busy_slots = 0

    @property
    def cookie_header(self) -> bytes:
        """What it sends to IBKR as Cookie."""
        return "; ".join(f"{name}={value}" for name, value in self._jar.items()).encode()

    def adopt_session(self) -> None:
        """Have the cookies of the present session, as after a login through this gateway."""
        session = self._backend.session
        assert session.user is not None
        self._jar, self._logged_in = cookies(session.token, session.user), True

    def forget_session(self) -> None:
        """Begin anew, as after a crash: nobody is signed in here."""
        self._jar, self._logged_in = {}, False

    async def handle(self, incoming: Incoming) -> Reply | None:
        """The reply; None when the client went away without one."""
        origin = incoming.headers.get(b"origin")
        if origin is not None and self._origins is not None and not self._origins.fullmatch(origin.decode("latin-1")):
            return self._local(incoming, page_reply("CORS Rejected - Invalid origin", 403))
        path = incoming.path
        if path == "/status":
            self._local(incoming, None)
            await incoming.gone()
            return None
        if path == "/":
            return self._local(incoming, redirect("/sso/Login?forwardTo=22&RL=1&ip2loc=US"))
        if path == "/clear":
            self.forget_session()
            return self._local(incoming, page_reply("cleared"))
        if _REAUTHENTICATE.fullmatch(path):
            return self._local(incoming, self._reauthenticate())
        if _UNKNOWN_SERVICE.match(path):
            return self._local(incoming, page_reply(f"Unknown service {path}"))
        if _FORWARDED.match(path):
            return await self._forward(incoming)
        return self._local(incoming, redirect(f"{_IBKR}{path}"))

    def _local(self, incoming: Incoming, reply: Reply | None) -> Reply | None:
        request_log, now = self._backend.request_log, self._backend.clock.now()
        status = None if reply is None else reply.status
        request_log.requests.append(Request(incoming.method, incoming.path, incoming.user_agent, now, None, status))
        request_log.statuses[None, status] += 1
        return reply

    def _reauthenticate(self) -> Reply:
        if not self._logged_in:
            return json_reply({"error": "not logged in"})
        self._open_brokerage()
        return json_reply({"message": "triggered"})

    def _open_brokerage(self) -> None:
        backend = self._backend
        now = backend.clock.now()
        backend.session.settle(now)
        backend.session.open(now, compete=True, after=backend.session.timing.gateway_login)

    async def _forward(self, incoming: Incoming) -> Reply | None:
        sign_in = incoming.path.startswith("/sso/")
        if sign_in:
            self._plant(incoming)
        incoming.headers[b"cookie"] = self.cookie_header
        if incoming.path.startswith("/v1/portal/"):
            incoming.path = f"/v1/api/{incoming.path[len('/v1/portal/') :]}"
        if incoming.headers.get(b"transfer-encoding"):
            incoming.body = b""
        # In a task of its own a request keeps its slot, and its place in the queue, when the client gives up.
        if self._backend.faults.active or self._slots.locked():
            task = asyncio.ensure_future(self._in_slot(incoming))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            reply = await asyncio.shield(task)
        else:
            reply = await self._in_slot(incoming)
        return self._keep(incoming, reply) if sign_in and reply is not None else reply

    async def _in_slot(self, incoming: Incoming) -> Reply | None:
        async with self._slots:
            self.busy_slots += 1
            try:
                return await self._backend.handle(incoming)
            finally:
                self.busy_slots -= 1

    def _plant(self, incoming: Incoming) -> None:
        """The real one takes the session cookies from a client too."""
        for pair in incoming.headers.get(b"cookie", b"").decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            if name in _PLANTED:
                self._jar[name] = value

    def _keep(self, incoming: Incoming, reply: Reply) -> Reply:
        for name, value in reply.headers:
            if name == b"set-cookie":
                cookie, _, content = value.decode("latin-1").partition(";")[0].partition("=")
                if _KEPT.fullmatch(cookie):
                    self._jar[cookie] = content
        if incoming.path.startswith("/sso/Dispatcher") and reply.status == 302:
            self._logged_in = True
            if self._opens_brokerage:
                self._open_brokerage()
            return page_reply(LOGIN_SUCCEEDS)
        return reply
