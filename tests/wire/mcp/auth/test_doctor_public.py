"""`ib-mcp doctor --public`: it finds what a proxy in front breaks, as a hosted agent would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_mcp.__main__ import main
from support import oauth


async def told(url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = await asyncio.to_thread(main, ["doctor", "--public", url])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("prefix", ["", "/home/ibkr"])
async def test_every_link_holds_at_the_server_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    async with oauth.serving(tmp_path / "oauth.db", prefix=prefix) as origin:
        code, said = await told(f"{origin}{prefix}/mcp", capsys)
    assert code == 0, said
    assert "FAILED" not in said
    assert "consent page" in said


Breaks = Callable[[Request], Response | None]


class Proxy:
    """Passes everything on but what ``breaks`` answers itself."""

    def __init__(self, app: ASGIApp, breaks: Breaks) -> None:
        self._app = app
        self._breaks = breaks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._breaks(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)


def at(path: str, status: int, method: str = "", **headers: str) -> Breaks:
    """Something else than the server is behind ``path``."""

    def breaks(request: Request) -> Response | None:
        if not re.fullmatch(path, request.url.path) or method not in ("", request.method):
            return None
        return Response("{}", status, headers)

    return breaks


@pytest.mark.parametrize(
    ("breaks", "word"),
    [
        (at("/mcp/", 307, location="/mcp"), "POST /mcp/ is answered 307 to /mcp"),
        (at("/mcp", 405, "GET"), "GET /mcp is answered 405"),
        (at("/mcp", 401), "401 without resource_metadata"),
        (at("/.well-known/oauth-protected-resource", 404), "GET /.well-known/oauth-protected-resource is answered 404"),
        (at("/.well-known/openid.*", 200), "/.well-known/openid-configuration says something else"),
        (at("/register", 403), "POST /register is answered 403"),
        (at("/authorize", 404), "GET /authorize is answered 404"),
        (at("/consent", 404), "GET /consent is answered 404"),
    ],
)
async def test_it_names_what_a_proxy_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], breaks: Breaks, word: str
) -> None:
    async with oauth.serving(tmp_path / "oauth.db", lambda app: Proxy(app, breaks)) as origin:
        code, said = await told(f"{origin}/mcp", capsys)
    assert code == 1
    assert word in said
    assert said.count("FAILED") == 1


@pytest.mark.parametrize("url", ["https://ibkr.example.net:8443/mcp", "http://ibkr.example.net/mcp"])
def test_hosted_agents_come_to_port_443_only(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--public", url]) == 1
    assert "port 443" in capsys.readouterr().out
