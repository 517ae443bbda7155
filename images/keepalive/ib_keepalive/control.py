"""The control port: status, policy, requests to open the session, stopping trading, metrics and probes; no token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_keepalive.http import hosts
from ib_keepalive.http.asgi import read_body
from ib_keepalive.metrics import CONTENT_TYPE, Metrics
from ib_keepalive.session.keeper import Keeper
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.trading.routes import read_cancel_orders, read_reason
from ib_keepalive.trading.service import Trading
from ib_service import strict_json
from ib_service.http.caller_gone import CallerGone
from ibkr.errors import IbError, InvalidRequest, OperationForbidden

_OWNER = "owner"
_UNCACHED = {"Cache-Control": "no-store"}


def create_control(
    settings: KeepaliveSettings, keeper: Keeper, metrics: Metrics, trading: Trading, *, alive: Callable[[], bool]
) -> ASGIApp:
    """The ASGI app; ``alive`` says whether the keeper is at work."""

    async def status(_: Request) -> Response:
        seen = replace(keeper.status(), trading=await trading.brief())
        return JSONResponse(seen.to_json(), headers=_UNCACHED)

    async def reauthenticate(request: Request) -> Response:
        wish = await _read_json(request)
        if keeper.tracker.names_another(wish.get("instance")):
            raise InvalidRequest(
                "The request names another gateway than this one.",
                status=409,
                action="Read /status again and give its gateway.instance.",
            )
        reopened = await keeper.reauthenticate(is_person=wish.get("person") is True)
        return JSONResponse({"accepted": True, "status": reopened.to_json()}, 202, headers=_UNCACHED)

    async def policy(request: Request) -> Response:
        keeper.tracker.set_policy(await _read_json(request))
        return JSONResponse({"policy": keeper.status().to_json()["policy"]}, headers=_UNCACHED)

    async def trading_status(request: Request) -> Response:
        _check_owner(request)
        return JSONResponse(await trading.status(), headers=_UNCACHED)

    async def stop(request: Request) -> Response:
        _check_owner(request)
        wish = await _read_json(request)
        done = await trading.stop(_OWNER, read_reason(wish), cancel_orders=read_cancel_orders(wish))
        return JSONResponse(done, headers=_UNCACHED)

    async def start(request: Request) -> Response:
        _check_owner(request)
        return JSONResponse(await trading.start(_OWNER), headers=_UNCACHED)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    async def livez(_: Request) -> Response:
        return _probe(alive(), "the keeper stopped")

    async def readyz(_: Request) -> Response:
        return _probe(alive() and keeper.tracker.has_concluded, "the state is not known yet")

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/policy", policy, methods=["PUT"]),
            Route("/reauthenticate", reauthenticate, methods=["POST"]),
            Route("/trading/status", trading_status),
            Route("/trading/stop", stop, methods=["POST"]),
            Route("/trading/start", start, methods=["POST"]),
            Route("/metrics", show_metrics),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ],
        middleware=[Middleware(_SameSite, names=settings.control_names)],
        exception_handlers={IbError: _envelope, CallerGone: _nobody},
    )


def _check_owner(request: Request) -> None:
    """OperationForbidden unless it comes by loopback, as what ``kubectl port-forward`` brings does.

    Operator and Prometheus reach this port too, and must neither start trading nor read of accounts.
    """
    if request.client is None or not hosts.is_loopback(request.client.host):
        raise OperationForbidden(
            "Trading is stopped and started here by the owner only, from the pod or machine itself.",
            action="Use kubectl port-forward, and ib-mcp trading with --control.",
        )


class _SameSite:
    """Refuses what a web page could have sent."""

    def __init__(self, app: ASGIApp, names: tuple[str, ...]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        admitted = hosts.admits_host(request.headers, self._names, addresses=True)
        if admitted and (request.method in ("GET", "HEAD") or hosts.admits_origin(request.headers)):
            await self._app(scope, receive, send)
            return
        refused = OperationForbidden(
            "The Host or Origin of the request is not this server's.",
            action="Call the control port by its address, or list the name in IB_KEEPALIVE_CONTROL_NAMES.",
        )
        await _answer(refused)(scope, receive, send)


async def _read_json(request: Request) -> dict[str, Any]:
    """The JSON object of the body; none is an empty one."""
    length = request.headers.get("content-length")
    content = await read_body(request.receive, None if length is None else length.encode())
    if not content.strip():
        return {}
    try:
        body = strict_json.load(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return body


def _probe(is_well: bool, problem: str) -> Response:
    return PlainTextResponse("ok\n" if is_well else f"{problem}\n", 200 if is_well else 503, headers=_UNCACHED)


async def _nobody(_: Request, _error: Exception) -> Response:
    """An answer that cannot be sent any more."""
    return Response()


async def _envelope(_: Request, error: Exception) -> Response:
    assert isinstance(error, IbError)
    return _answer(error)


def _answer(error: IbError) -> Response:
    return JSONResponse(error.envelope(), error.status, headers={**_UNCACHED, **error.headers()})
