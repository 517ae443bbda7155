"""IBKR itself: what api.ibkr.com answers to one request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from ib_simulator import session_answers
from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.clock import Clock
from ib_simulator.exchange import Incoming, Reply, answer_reply, json_reply
from ib_simulator.session import Session
from ib_simulator.traffic import Request, Traffic
from ib_simulator.world import World
from ib_simulator.world.accounts import Mode
from ibkr.catalogue import Catalogue, Endpoint

PREFIXES = ("/v1/api/", "/v1/portal/")
# The gateway asks these by GET; the catalogue has them as POST.
_ALSO_GET = ("/tickle", "/iserver/auth/status")
NO_BRIDGE = {"error": "Bad Request: no bridge", "statusCode": 400}


class Backend:
    """Session, limits and faults in front of the world's answers."""

    def __init__(
        self,
        *,
        clock: Clock,
        session: Session,
        traffic: Traffic,
        catalogue: Catalogue,
        worlds: Mapping[Mode, World],
        answers: Mapping[str, Callable[[World, Call], Answer]],
    ) -> None:
        self.clock, self.session, self.traffic = clock, session, traffic
        self._catalogue, self._worlds, self._answers = catalogue, worlds, answers

    async def handle(self, incoming: Incoming) -> Reply:
        now = self.clock.now()
        request = Request(incoming.method, incoming.path, incoming.agent, now)
        self.traffic.requests.append(request)
        reply = self._api(incoming, request, now)
        request.status = reply.status
        self.traffic.statuses[request.endpoint, reply.status] += 1
        return reply

    def _api(self, incoming: Incoming, request: Request, now: float) -> Reply:
        path = next((incoming.path[len(prefix) - 1 :] for prefix in PREFIXES if incoming.path.startswith(prefix)), None)
        if path is None:
            return json_reply({"error": "Not Found", "statusCode": 404}, 404)
        method = "POST" if path in _ALSO_GET else incoming.method
        matched = self._catalogue.match(method, path)
        if matched is not None:
            request.endpoint = matched[0].id
        session = self.session
        session.settle(now)
        if session.user is None:
            return Reply(401)
        session.touch(now)
        if matched is None:
            return json_reply({"error": "Not Found", "statusCode": 404}, 404)
        return self._operation(*matched, incoming, now)

    def _operation(self, endpoint: Endpoint, values: dict[str, str], incoming: Incoming, now: float) -> Reply:
        session = self.session
        assert session.user is not None
        try:
            body = json.loads(incoming.body) if incoming.body else {}
        except ValueError:
            return json_reply({"error": "Bad Request: invalid JSON", "statusCode": 400}, 400)
        if endpoint.id == "tickle":
            return json_reply(session_answers.tickle(session, now, "simulated"))
        if endpoint.id == "get_auth_status":
            return json_reply(session_answers.auth_status(session.flags(now)))
        if endpoint.id == "validate_sign_in":
            return json_reply(session_answers.sign_in(session, now))
        if endpoint.id == "open_brokerage_session":
            session.open(now, compete=bool(body.get("compete")))
            return json_reply(session_answers.auth_status(session.flags(now)))
        if endpoint.tier == "brokerage" and (session.opened_at is None or now < session.opened_at):
            return json_reply(NO_BRIDGE, 400)
        handler = self._answers.get(endpoint.id)
        if handler is None:
            return json_reply({"error": f"the simulator has no answer for {endpoint.id}", "statusCode": 501}, 501)
        query = dict(parse_qsl(incoming.query.decode("latin-1"), keep_blank_values=True)) if incoming.query else {}
        call = Call(endpoint, values, query, body, now, session.memory)
        try:
            answer = handler(self._worlds[session.user.mode], call)
        except Refusal as refusal:
            answer = refusal.answer
        session.memory.seen[endpoint.id] += 1
        return answer_reply(answer)
