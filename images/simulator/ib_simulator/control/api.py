"""The control API, ``/control/...``: JSON in, JSON out; 400 with a sentence when the input does not fit."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ib_simulator.control.action import Arguments, Controllable, Invalid
from ib_simulator.control.actions import ACTIONS, arguments_of
from ib_simulator.control.scenario import ScenarioError, ScenarioRunner, parse
from ib_simulator.world.accounts import UserKey

_ACTIONS_ELSEWHERE = ("fault", "clear-faults", "release", "clear-requests")


class Controlled(Controllable, Protocol):
    """What the control API shows and acts on: the simulator."""

    runner: ScenarioRunner

    def perform(self, action: str, arguments: BaseModel) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def clock_state(self) -> dict[str, Any]: ...

    def counters(self) -> dict[str, Any]: ...

    def orders(self) -> list[dict[str, Any]]: ...


class Registration(Arguments):
    """What an owner hands in at the portal; keys and parameters are PEM texts. IBKR knows it after ``active_in_s``."""

    consumer_key: str
    signature_key: str
    encryption_key: str
    dh_parameters: str
    user: UserKey = "paper"
    active_in_s: float = Field(0, ge=0)


def create_control(simulator: Controlled) -> Starlette:
    """The control app of ``simulator``."""

    async def run(action: str, request: Request) -> Any:
        simulator.perform(action, arguments_of(action, await _body(request)))
        return simulator.state()

    def action_route(action: str) -> Route:
        return _route(f"/control/{action}", "POST", lambda request: run(action, request))

    async def state(_: Request) -> Any:
        return simulator.state()

    async def clock(_: Request) -> Any:
        return simulator.clock_state()

    async def faults(_: Request) -> Any:
        return {"faults": [fault.to_json() for fault in simulator.faults.active], "held": simulator.faults.held}

    async def add_fault(request: Request) -> Any:
        await run("fault", request)
        return simulator.faults.active[-1].to_json()

    async def clear_faults(request: Request) -> Any:
        number = request.query_params.get("id")
        if number is not None and not number.isdecimal():
            raise Invalid(f"'id' is the number of a fault, not '{number}'")
        simulator.perform("clear-faults", arguments_of("clear-faults", {"id": int(number)} if number else {}))
        return await faults(request)

    async def release(request: Request) -> Any:
        await run("release", request)
        return await faults(request)

    async def requests(request: Request) -> Any:
        last = request.query_params.get("last", "100")
        if not last.isdecimal():
            raise Invalid(f"'last' is how many requests to list, not '{last}'")
        listed = list(simulator.request_log.requests)[-int(last) :] if int(last) else []
        return {"requests": [entry.to_json() for entry in listed], "counters": simulator.counters()}

    async def register(request: Request) -> Any:
        try:
            given = Registration.model_validate(await _body(request))
            consumer = simulator.backend.signed.consumers.register(
                given.consumer_key,
                given.signature_key,
                given.encryption_key,
                given.dh_parameters,
                user=given.user,
                active_from=simulator.clock.now() + given.active_in_s,
            )
        except ValidationError as error:
            fields = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors()}))
            raise Invalid(f"missing, wrong or not known: {fields}") from None
        except ValueError as error:
            raise Invalid(str(error)) from None
        return {"access_token": consumer.access_token, "access_token_secret": consumer.encrypted_secret}

    async def orders(_: Request) -> Any:
        return {"orders": simulator.orders()}

    async def clear_requests(request: Request) -> Any:
        simulator.perform("clear-requests", arguments_of("clear-requests", {}))
        return await requests(request)

    async def scenario(_: Request) -> Any:
        return {"scenario": simulator.runner.to_json()}

    async def load_scenario(request: Request) -> Any:
        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError:
            raise Invalid("a scenario is YAML text in UTF-8") from None
        simulator.runner.play(parse(text, request.query_params.get("name", "scenario")))
        return await scenario(request)

    async def end_scenario(request: Request) -> Any:
        simulator.runner.stop()
        return await scenario(request)

    return Starlette(
        routes=[
            _route("/control/state", "GET", state),
            _route("/control/clock", "GET", clock),
            _route("/control/faults", "GET", faults),
            _route("/control/faults", "POST", add_fault),
            _route("/control/faults", "DELETE", clear_faults),
            _route("/control/faults/release", "POST", release),
            _route("/control/oauth1/consumers", "POST", register),
            _route("/control/orders", "GET", orders),
            _route("/control/requests", "GET", requests),
            _route("/control/requests", "DELETE", clear_requests),
            _route("/control/scenario", "GET", scenario),
            _route("/control/scenario", "POST", load_scenario),
            _route("/control/scenario", "DELETE", end_scenario),
            *(action_route(action) for action in ACTIONS if action not in _ACTIONS_ELSEWHERE),
        ],
        exception_handlers={HTTPException: _http_error, Invalid: _invalid, ScenarioError: _invalid},
    )


def iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")


def _route(path: str, method: str, handler: Callable[[Request], Awaitable[Any]]) -> Route:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(await handler(request))

    return Route(path, endpoint, methods=[method])


async def _body(request: Request) -> dict[str, Any]:
    text = await request.body()
    if not text:
        return {}
    try:
        body = json.loads(text)
    except ValueError:
        raise Invalid("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object")
    return body


async def _invalid(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405):
        paths = sorted({f"/control/{action}" for action in ACTIONS if action not in _ACTIONS_ELSEWHERE})
        message = (
            f"there is no {request.method} {request.url.path}; GET /control/state, /control/clock, /control/faults, "
            "/control/orders, /control/requests, /control/scenario; POST /control/faults, /control/faults/release, "
            f"/control/oauth1/consumers, /control/scenario, {', '.join(paths)}; "
            "DELETE /control/faults, /control/requests, /control/scenario"
        )
        return JSONResponse({"error": message}, error.status_code)
    return JSONResponse({"error": error.detail}, error.status_code)
