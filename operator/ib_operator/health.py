"""``/livez``, ``/readyz`` and ``/metrics`` for kubelet and Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ib_operator.metrics import Metrics

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TEXT = b"text/plain; charset=utf-8"
_METRICS = b"text/plain; version=0.0.4"


class Health:
    """An ASGI app; ``problem`` says why the process should be restarted, None while it is well."""

    def __init__(self, metrics: Metrics, *, problem: Callable[[], str | None], is_ready: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._problem = problem
        self._is_ready = is_ready

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        status, content, media = self._answer(scope["method"], scope["path"])
        headers = [(b"content-type", media), (b"content-length", b"%d" % len(content)), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, b"only GET\n", _TEXT
        match path:
            case "/livez":
                problem = self._problem()
                return 503 if problem else 200, f"{problem or 'ok'}\n".encode(), _TEXT
            case "/readyz":
                return (200, b"ok\n", _TEXT) if self._is_ready() else (503, b"not watching yet\n", _TEXT)
            case "/metrics":
                return 200, self._metrics.render(), _METRICS
        return 404, b"there is nothing at this path\n", _TEXT
