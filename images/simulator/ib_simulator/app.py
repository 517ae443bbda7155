"""The simulator as one object: a scriptable IBKR, alone or behind IBKR's real gateway program."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel

from ib_simulator import websocket
from ib_simulator.answers import ANSWERS
from ib_simulator.backend import Backend
from ib_simulator.clock import Clock
from ib_simulator.control.actions import ACTIONS, arguments_of
from ib_simulator.control.api import create_control, iso
from ib_simulator.control.scenario import Scenario, ScenarioRunner
from ib_simulator.faults.faults import Faults
from ib_simulator.gateway import Gateway
from ib_simulator.limits import Limits
from ib_simulator.network import http
from ib_simulator.network.listener import NetworkGate
from ib_simulator.request_log import Request, RequestLog
from ib_simulator.session.session import Session, Timing
from ib_simulator.session.users import USERS
from ib_simulator.sign_in.logins import Logins, SecondStep
from ib_simulator.world import World, market_of
from ib_simulator.world.accounts import UserKey
from ib_simulator.world.orders.record import order_record
from ibkr import catalogue

Role = Literal["gateway", "backend"]


class Simulator:
    """``app`` is the broker, ``control`` the control API (both ASGI), ``requests`` what came in.

    ``role``: gateway plus IBKR, or IBKR alone for the real gateway program. ``signed_in``: start with that user's
    sign-in and brokerage session open. ``timing.calendar`` is off unless asked for, so that no test depends on the
    hour it runs at. ``limits=False`` answers any number of calls. ``opens_brokerage=False``: the gateway leaves the
    brokerage session to those who ask, as with a long ``authDelay``.
    """

    def __init__(
        self,
        seed: int = 7,
        signed_in: UserKey | None = None,
        role: Role = "gateway",
        scenario: Scenario | None = None,
        *,
        wall: Callable[[], float] = time.time,
        timing: Timing | None = None,
        limits: bool = True,
        second_step: SecondStep = "auto",
        origins: str | None = None,
        positions_page: int = 100,
        opens_brokerage: bool = True,
    ) -> None:
        market = market_of(seed)
        self.role = role
        self.clock = Clock(wall)
        self.session = Session(timing)
        self.limits = Limits(enabled=limits)
        self.gate = NetworkGate()
        self.faults = Faults(seed, self.gate)
        self.logins = Logins(seed, second_step)
        self.request_log = RequestLog()
        self.backend = Backend(
            seed=seed,
            clock=self.clock,
            session=self.session,
            limits=self.limits,
            faults=self.faults,
            logins=self.logins,
            request_log=self.request_log,
            catalogue=catalogue.load(),
            worlds={user: World(seed, user, positions_page=positions_page, market=market) for user in USERS},
            answers=ANSWERS,
            watch_clients=role == "backend",
        )
        self.gateway: Gateway | None = None
        if role == "gateway":
            self.gateway = Gateway(self.backend, origins=origins, opens_brokerage=opens_brokerage)
        self.backend.crash_gateway = self.crash_gateway
        self.runner = ScenarioRunner(self)
        self.app = BrokerApp(self)
        self.control = create_control(self)
        if signed_in is not None:
            self.sign_in(signed_in)
        self.runner.play(scenario)

    @property
    def requests(self) -> deque[Request]:
        return self.request_log.requests

    def sign_in(self, user: UserKey, *, brokerage: bool = True) -> None:
        """Sign a user in as if by the browser, through the gateway when there is one."""
        now = self.clock.now()
        self.session.sign_in(USERS[user], self.logins.token(), now)
        if self.gateway is not None:
            self.gateway.adopt_session()
        if brokerage:
            self.session.open(now, compete=True, after=-self.session.timing.establish)

    def crash_gateway(self) -> None:
        """IBKR's program ends and begins anew: every connection breaks, and its sign-in is gone."""
        if self.gateway is not None:
            self.gateway.forget_session()
        self.gate.reset_connections()

    def orders(self) -> list[dict[str, Any]]:
        """Every order that IBKR took since the start, by any user, oldest first, with what became of it."""
        now = self.clock.now()
        return [
            order_record(user, order)
            for user, world in self.backend.worlds.items()
            for order in world.orders.all(now)
            if not order.earlier
        ]

    def set_time(self, epoch: float) -> None:
        """Set the simulated calendar; what goes on keeps its age."""
        moved = epoch - self.clock.now()
        self.clock.set(epoch)
        self.session.shift(moved)
        self.logins.shift(moved)
        self.runner.shift(moved)
        self.limits.forget()

    def do(self, action: str, **arguments: Any) -> None:
        """Do an action of ``ib_simulator.control.actions``; Invalid when the arguments do not fit."""
        self.perform(action, arguments_of(action, arguments))

    def perform(self, action: str, arguments: BaseModel) -> None:
        """``do`` with arguments that were checked."""
        ACTIONS[action].run(self, arguments)
        self.runner.arm()

    def clock_state(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"now": now, "time": iso(now), "rate": self.clock.rate}

    def counters(self) -> dict[str, Any]:
        """Requests by ``endpoint status`` (``-`` outside the catalogue, or without an answer), and the limits'."""
        return {
            "statuses": {
                f"{name or '-'} {status or '-'}": n for (name, status), n in self.request_log.statuses.items()
            },
            "limits": self.limits.to_json(self.clock.now()),
        }

    def state(self) -> dict[str, Any]:
        """What the control API shows."""
        now, session = self.clock.now(), self.session
        session.settle(now)
        maintenance = session.maintenance_until(now)
        return {
            "clock": self.clock_state(),
            "role": self.role,
            "session": {
                "user": None if session.user is None else session.user.key,
                "ended": session.ended,
                **asdict(session.flags(now)),
                "dropped": session.dropped,
                "login_left_s": session.login_left(now) if session.user is not None else None,
                "maintenance": maintenance is not None,
            },
            "timing": asdict(session.timing),
            "login": {"second_step": self.logins.second_step, "waiting": self.logins.waiting},
            "before_login": self.backend.before_login,
            "limits": self.limits.to_json(now),
            "faults": [fault.to_json() for fault in self.faults.active],
            "held": self.faults.held,
            "busy_slots": None if self.gateway is None else self.gateway.busy_slots,
            "connections": self.gate.connections,
            "scenario": self.runner.to_json(),
            "requests": sum(self.request_log.statuses.values()),
        }


class BrokerApp:
    """The ASGI app of the broker's port; ``gate`` is the network in front of it."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.gate = simulator.gate

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        simulator, gate = self._simulator, self.gate
        if not simulator.runner.armed:
            simulator.runner.arm()
        if scope["type"] == "websocket":
            backend, gateway = simulator.backend, simulator.gateway
            await websocket.serve(scope, receive, send, backend=backend, gate=gate, gateway=gateway)
        if scope["type"] != "http":
            return
        if gate.refusing:
            raise ConnectionRefusedError("the simulator refuses connections")
        incoming = await http.read(scope, receive)
        if incoming is None:
            return
        if gate.silent:
            await gate.speaks()
            raise ConnectionResetError("the simulator was silent")
        reply = await (simulator.gateway or simulator.backend).handle(incoming)
        if reply is not None:
            await self._deliver(reply, incoming, scope, send)

    async def _deliver(self, reply: http.Reply, incoming: http.Incoming, scope: http.Scope, send: http.Send) -> None:
        if self.gate.silent:
            await incoming.gone()
        else:
            # The gateway sends every body on in chunks.
            await http.write(scope, incoming.receive, send, reply, chunked=self._simulator.gateway is not None)
