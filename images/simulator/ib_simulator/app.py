"""The simulator as one object: a scriptable IBKR, alone or behind IBKR's real gateway program."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request as ControlRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ib_simulator import exchange
from ib_simulator.backend import Backend
from ib_simulator.clock import Clock
from ib_simulator.listener import Gate
from ib_simulator.session import Session
from ib_simulator.traffic import Request, Traffic
from ib_simulator.users import USERS
from ib_simulator.world import World
from ib_simulator.world.accounts import Mode
from ibkr import catalogue

try:
    from ib_simulator.answers import ANSWERS
except ImportError:
    ANSWERS = {}

Role = Literal["gateway", "backend"]


class BrokerApp:
    """The ASGI app of the broker's port; ``gate`` is the network in front of it."""

    def __init__(self, backend: Backend, gate: Gate) -> None:
        self._backend, self.gate = backend, gate

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        if scope["type"] == "http":
            reply = await self._backend.handle(await exchange.read(scope, receive))
            await exchange.send(scope, receive, send, reply)


class Simulator:
    """``app`` is the broker, ``control`` the control API (both ASGI), ``requests`` what came in."""

    def __init__(
        self,
        seed: int = 7,
        signed_in: Mode | None = None,
        role: Role = "gateway",
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.role = role
        self.clock = Clock(wall)
        self.session = Session()
        self.traffic = Traffic()
        self.gate = Gate()
        self.backend = Backend(
            clock=self.clock,
            session=self.session,
            traffic=self.traffic,
            catalogue=catalogue.load(),
            worlds={"paper": World(seed, "paper"), "live": World(seed, "live")},
            answers=ANSWERS,
        )
        self.app = BrokerApp(self.backend, self.gate)
        self.control = Starlette(routes=[Route("/control/state", self._state)])
        if signed_in is not None:
            now = self.clock.now()
            self.session.sign_in(USERS[signed_in], now)
            self.session.open(now - self.session.timing.establish, compete=True)

    @property
    def requests(self) -> deque[Request]:
        return self.traffic.requests

    async def _state(self, _: ControlRequest) -> Response:
        return JSONResponse({"now": self.clock.now()})
