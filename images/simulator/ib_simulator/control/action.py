"""What the actions of the control API stand on: their arguments, and the simulator that they act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from ib_simulator.backend import Backend
from ib_simulator.clock import Clock
from ib_simulator.faults.faults import Faults
from ib_simulator.limits import Limits
from ib_simulator.request_log import RequestLog
from ib_simulator.session.session import Session
from ib_simulator.sign_in.logins import Logins
from ib_simulator.world.accounts import UserKey


class Invalid(Exception):
    """The arguments do not fit; the message is a sentence that says what is allowed."""


class Controllable(Protocol):
    """What actions act on: the simulator."""

    clock: Clock
    session: Session
    logins: Logins
    limits: Limits
    faults: Faults
    request_log: RequestLog
    backend: Backend

    def sign_in(self, user: UserKey, *, brokerage: bool = True) -> None: ...

    def set_time(self, epoch: float) -> None: ...

    def crash_gateway(self) -> None: ...


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Action:
    """``run`` takes the simulator and an instance of ``arguments``."""

    arguments: type[BaseModel]
    run: Callable[[Any, Any], None]


def action(arguments: type[_Model], run: Callable[[Controllable, _Model], None]) -> Action:
    return Action(arguments, run)
