"""The control port: ``/status``, ``POST /reauthenticate``, ``/metrics``, ``/livez``, ``/readyz``; no token."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_keepalive.http import hosts
from ib_keepalive.metrics import CONTENT_TYPE, Metrics
from ib_keepalive.session.keeper import Keeper
from ib_keepalive.settings import KeepaliveSettings
from ibkr.errors import IbError, OperationForbidden
from ibkr.session import SessionState

_UNCACHED = {"Cache-Control": "no-store"}


def create_control(
    settings: KeepaliveSettings, keeper: Keeper, metrics: Metrics, *, alive: Callable[[], bool]
) -> ASGIApp:
    """The ASGI app; ``alive`` says whether the keeper is at work."""

    async def status(_: Request) -> Response:
        return JSONResponse(keeper.status().to_json(), headers=_UNCACHED)

    async def reauthenticate(_: Request) -> Response:
        reopened = await keeper.reauthenticate()
        return JSONResponse({"accepted": True, "status": reopened.to_json()}, 202, headers=_UNCACHED)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    async def livez(_: Request) -> Response:
        return _probe(alive(), "the keeper stopped")

    async def readyz(_: Request) -> Response:
        return _probe(alive() and keeper.status().state is not SessionState.STARTING, "the state is not known yet")

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/reauthenticate", reauthenticate, methods=["POST"]),
            Route("/metrics", show_metrics),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ],
        middleware=[Middleware(_SameSite, names=settings.control_names)],
        exception_handlers={IbError: _envelope},
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


def _probe(is_well: bool, problem: str) -> Response:
    return PlainTextResponse("ok\n" if is_well else f"{problem}\n", 200 if is_well else 503, headers=_UNCACHED)


async def _envelope(_: Request, error: Exception) -> Response:
    assert isinstance(error, IbError)
    return _answer(error)


def _answer(error: IbError) -> Response:
    return JSONResponse(error.envelope(), error.status, headers={**_UNCACHED, **error.headers()})
