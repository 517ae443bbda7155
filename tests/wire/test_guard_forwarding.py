"""What reaches the gateway and what comes back, over real sockets."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from guarding import TOKEN, guarded


async def test_a_read_is_forwarded_without_anything_of_the_caller():
    seen: list[tuple[str, dict[str, str]]] = []

    async def ledger(request: Request) -> Response:
        seen.append((request.url.path, dict(request.headers)))
        return JSONResponse({"BASE": {"cashbalance": 1.5}}, headers={"Set-Cookie": "api=secret"})

    async def accounts(request: Request) -> Response:
        return JSONResponse([])

    app = Starlette(
        routes=[Route("/v1/api/portfolio/DU1/ledger", ledger), Route("/v1/api/portfolio/accounts", accounts)]
    )
    async with guarded(app) as guard:
        answer = await guard.get(
            "/v1/api/portfolio/DU1/ledger",
            headers={"Cookie": "XYZAB=planted", "Referer": "http://evil", "X-Forwarded-For": "10.0.0.1"},
        )
    assert answer.status_code == 200
    assert answer.json() == {"BASE": {"cashbalance": 1.5}}
    assert answer.headers["ib-source"] == "upstream"
    assert "set-cookie" not in answer.headers
    [(path, headers)] = seen
    assert path == "/v1/api/portfolio/DU1/ledger"
    assert headers.keys() <= {"host", "user-agent", "accept", "accept-encoding"}
    assert TOKEN not in str(headers)
