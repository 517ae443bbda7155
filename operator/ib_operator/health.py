"""``/livez``, ``/readyz`` and ``/metrics`` for kubelet and Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from ib_operator.metrics import Metrics


def create_web(metrics: Metrics, *, problem: Callable[[], str | None], is_ready: Callable[[], bool]) -> web.Application:
    """``problem`` says why the process should be restarted, None while it is well."""

    async def livez(_: web.Request) -> web.Response:
        found = problem()
        return web.Response(text=f"{found or 'ok'}\n", status=503 if found else 200)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if is_ready() else web.Response(text="not watching yet\n", status=503)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    return app
