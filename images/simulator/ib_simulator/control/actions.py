"""What a test or a scenario can do to the simulator: one table for the control API and for scenario files.

An action is a name, the pydantic model of its arguments and a function. Wrong arguments become one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, ValidationError, model_validator

from ib_simulator.control.action import Action, Arguments, Controllable, Invalid, action
from ib_simulator.control.order_actions import ORDER_ACTIONS
from ib_simulator.faults.faults import FaultSpec
from ib_simulator.session.openings import RUNGS, Refusal, Rung
from ib_simulator.world.accounts import UserKey

FOREVER = float("inf")
MAX_RATE = 1_000_000


class Nothing(Arguments):
    pass


class SignIn(Arguments):
    """``brokerage``: open the brokerage session too, already established."""

    user: UserKey = "paper"
    brokerage: bool = True


class SecondStepMode(Arguments):
    mode: Literal["auto", "wait", "none"]


class DropBrokerage(Arguments):
    """``disconnected_s``: how long ``connected`` is false as well."""

    disconnected_s: float = Field(0, ge=0)


class Compete(Arguments):
    """``returns_s``: thrown out by ``compete: true``, the competitor comes back after that; absent: never."""

    on: bool
    returns_s: float | None = Field(None, ge=0)


class Maintenance(Arguments):
    on: bool
    seconds: float | None = Field(None, gt=0)


class ClockChange(Arguments):
    """``advance_s`` lets time pass; ``time`` moves the calendar and keeps the age of everything."""

    advance_s: float | None = Field(None, ge=0)
    rate: float | None = Field(None, gt=0, le=MAX_RATE)
    time: AwareDatetime | None = Field(None, strict=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.advance_s, self.rate, self.time)) != 1:
            raise ValueError("give one of advance_s, rate, time")
        return self


class TimingChange(Arguments):
    login_life: float | None = Field(None, gt=0)
    login_idle: float | None = Field(None, gt=0)
    brokerage_idle: float | None = Field(None, gt=0)
    establish: float | None = Field(None, ge=0)
    gateway_login: float | None = Field(None, ge=0)
    opening: float | None = Field(None, ge=0)
    reset: float | None = Field(None, ge=0)
    calendar: bool | None = None


class LimitsChange(Arguments):
    enabled: bool | None = None
    per_second: int | None = Field(None, ge=1)
    penalty_s: float | None = Field(None, ge=0)


class BeforeLogin(Arguments):
    answer: Literal["401", "302", "no_session"]


class Paging(Arguments):
    """``size``: positions in a page. ``repeat``: after the end the last page again, in place of an empty one."""

    size: int = Field(ge=1, le=1000)
    repeat: bool = False


class OpeningRefusal(Arguments):
    """How IBKR answers openings by ``rung`` (absent: every one) from now on; ``takes`` opens the session.

    ``tells_user``: whether one/user names the user, without which nobody but IBKR's program can use the chain.
    """

    rung: Rung | None = None
    answer: Refusal = "takes"
    tells_user: bool | None = None


class OAuth1Change(Arguments):
    """``life_s``: of live session tokens from now on. ``skew_s``: how far a timestamp may be off."""

    life_s: float | None = Field(None, gt=0)
    skew_s: float | None = Field(None, gt=0)


class FaultId(Arguments):
    """``id``: one fault; absent: all."""

    id: int | None = None


def _sign_in(simulator: Controllable, arguments: SignIn) -> None:
    simulator.sign_in(arguments.user, brokerage=arguments.brokerage)


def _approve(simulator: Controllable, _: Nothing) -> None:
    simulator.logins.decide(True)


def _deny(simulator: Controllable, _: Nothing) -> None:
    simulator.logins.decide(False)


def _second_step(simulator: Controllable, arguments: SecondStepMode) -> None:
    simulator.logins.second_step = arguments.mode


def _sign_out(simulator: Controllable, _: Nothing) -> None:
    simulator.session.end("signed out")


def _expire(simulator: Controllable, _: Nothing) -> None:
    simulator.session.end("the sign-in reached its age limit")


def _nightly_reset(simulator: Controllable, _: Nothing) -> None:
    session = simulator.session
    session.drop("nightly reset", connected_at=simulator.clock.now() + session.timing.reset)


def _drop_brokerage(simulator: Controllable, arguments: DropBrokerage) -> None:
    simulator.session.drop("told to", connected_at=simulator.clock.now() + arguments.disconnected_s)


def _compete(simulator: Controllable, arguments: Compete) -> None:
    if arguments.on:
        simulator.session.compete(arguments.returns_s)
    else:
        simulator.session.stop_competing()


def _maintenance(simulator: Controllable, arguments: Maintenance) -> None:
    until = FOREVER if arguments.seconds is None else simulator.clock.now() + arguments.seconds
    simulator.session.maintain(until if arguments.on else None)


def _clock(simulator: Controllable, arguments: ClockChange) -> None:
    if arguments.advance_s is not None:
        simulator.clock.advance(arguments.advance_s)
    elif arguments.rate is not None:
        simulator.clock.run(arguments.rate)
    elif arguments.time is not None:
        simulator.set_time(arguments.time.timestamp())
    simulator.session.settle(simulator.clock.now())


def _timing(simulator: Controllable, arguments: TimingChange) -> None:
    for name, value in arguments.model_dump(exclude_none=True).items():
        setattr(simulator.session.timing, name, value)
    simulator.session.retime()


def _limits(simulator: Controllable, arguments: LimitsChange) -> None:
    for name, value in arguments.model_dump(exclude_none=True).items():
        setattr(simulator.limits, name, value)
    simulator.limits.forget()


def _before_login(simulator: Controllable, arguments: BeforeLogin) -> None:
    simulator.backend.before_login = arguments.answer


def _paging(simulator: Controllable, arguments: Paging) -> None:
    for world in simulator.backend.worlds.values():
        world.positions_page, world.pages_repeat = arguments.size, arguments.repeat


def _openings(simulator: Controllable, arguments: OpeningRefusal) -> None:
    openings = simulator.backend.openings
    for rung in RUNGS if arguments.rung is None else (arguments.rung,):
        openings.refusals[rung] = arguments.answer
    if arguments.tells_user is not None:
        openings.tells_user = arguments.tells_user


def _oauth1(simulator: Controllable, arguments: OAuth1Change) -> None:
    for name, value in arguments.model_dump(exclude_none=True).items():
        setattr(simulator.backend.signed, name, value)


def _fault(simulator: Controllable, spec: FaultSpec) -> None:
    simulator.faults.add(spec)


def _clear_faults(simulator: Controllable, arguments: FaultId) -> None:
    if not simulator.faults.remove(arguments.id) and arguments.id is not None:
        raise Invalid(f"there is no fault {arguments.id}")


def _release(simulator: Controllable, arguments: FaultId) -> None:
    simulator.faults.release(arguments.id)


def _crash_gateway(simulator: Controllable, _: Nothing) -> None:
    simulator.crash_gateway()


def _clear_requests(simulator: Controllable, _: Nothing) -> None:
    simulator.request_log.clear()
    simulator.limits.clear_counters()


ACTIONS: dict[str, Action] = {
    "sign-in": action(SignIn, _sign_in),
    "approve": action(Nothing, _approve),
    "deny": action(Nothing, _deny),
    "second-step": action(SecondStepMode, _second_step),
    "sign-out": action(Nothing, _sign_out),
    "expire": action(Nothing, _expire),
    "nightly-reset": action(Nothing, _nightly_reset),
    "drop-brokerage": action(DropBrokerage, _drop_brokerage),
    "compete": action(Compete, _compete),
    "maintenance": action(Maintenance, _maintenance),
    "clock": action(ClockChange, _clock),
    "timing": action(TimingChange, _timing),
    "limits": action(LimitsChange, _limits),
    "before-login": action(BeforeLogin, _before_login),
    "openings": action(OpeningRefusal, _openings),
    "paging": action(Paging, _paging),
    "oauth1": action(OAuth1Change, _oauth1),
    "fault": action(FaultSpec, _fault),
    "clear-faults": action(FaultId, _clear_faults),
    "release": action(FaultId, _release),
    "clear-requests": action(Nothing, _clear_requests),
    "crash-gateway": action(Nothing, _crash_gateway),
    **ORDER_ACTIONS,
}


def arguments_of(name: str, given: Mapping[str, Any]) -> BaseModel:
    """The arguments of the action ``name``, checked. Invalid when there is no such action or they do not fit."""
    known = ACTIONS.get(name)
    if known is None:
        raise Invalid(f"there is no action '{name}'; there are {', '.join(ACTIONS)}")
    try:
        return known.arguments.model_validate(dict(given))
    except ValidationError as error:
        raise Invalid(_sentence(name, known.arguments, error)) from None


def _sentence(name: str, model: type[BaseModel], error: ValidationError) -> str:
    problems: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(model.model_fields) or "none"
            problems.append(f"'{field}' is not known, allowed: {allowed}")
        elif problem["type"] == "missing":
            problems.append(f"'{field}' is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            problems.append(f"'{field}': {message[0].lower()}{message[1:]}" if field else message)
    return f"{name}: {'; '.join(problems)}"
