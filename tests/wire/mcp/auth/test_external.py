"""Forward-auth: who asks is what a proxy says, and only a proxy at an address that the owner trusts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ib_mcp.settings import HttpSettings
from wire.mcp.http.test_http import TOKEN, StubGuard, answered, application, question

PROXY = "10.42.0.7"
SETTINGS = {"trusted_proxies": f"{PROXY}/32, fd00::/64", "external_users": "robin,group:traders"}


@asynccontextmanager
async def through(address: str, stub: StubGuard | None = None, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with application(stub or StubGuard(), **(SETTINGS | given)) as app, app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=(address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8800") as web:
            yield web


async def call(web: httpx.AsyncClient, *headers: tuple[str, str], token: str | None = None) -> httpx.Response:
    asked = question("tools/call", token=token, name="list_accounts", arguments={})
    sent = [*asked["headers"].items(), *headers]
    return await web.post("/mcp", headers=sent, content=asked["content"])


@pytest.mark.parametrize("address", [PROXY, "::ffff:10.42.0.7", "fd00::1"])
@pytest.mark.parametrize(
    "headers",
    [
        [("Remote-User", "robin")],
        [("X-Forwarded-User", "robin")],
        [("X-Auth-Request-User", "robin"), ("X-Auth-Request-Email", "robin@example.net")],
        [("Remote-User", "kim"), ("Remote-Groups", "readers, traders")],
    ],
)
async def test_whom_the_proxy_names_gets_in_by_name(address: str, headers: list[tuple[str, str]]) -> None:
    stub = StubGuard()
    async with through(address, stub, token=None) as web:
        assert answered(await call(web, *headers))["isError"] is False
        assert stub.callers == [headers[0][1]]


@pytest.mark.parametrize("address", ["192.0.2.7", "10.42.0.8", "fd00:0:0:1::1", "127.0.0.1"])
async def test_nobody_else_is_believed(address: str) -> None:
    async with through(address) as web:
        said = [("Remote-User", "robin"), ("X-Forwarded-For", PROXY), ("Forwarded", f"for={PROXY}")]
        assert (await call(web, *said)).status_code == 401
        # Whoever has a token needs no proxy.
        assert answered(await call(web, *said, token=TOKEN))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Remote-User", "")],
        [("Remote-User", "eve")],
        [("Remote-User", "traders")],
        [("Remote-Groups", "traders")],
        [("Remote-User", "eve"), ("Remote-User", "robin")],
        [("Remote-Email", "robin")] * 2,
    ],
)
async def test_the_proxy_names_nobody_that_counts(headers: list[tuple[str, str]]) -> None:
    async with through(PROXY) as web:
        assert (await call(web, *headers)).status_code == 401


async def test_a_token_that_is_shown_is_the_one_that_counts_and_scopes_are_the_owners_choice() -> None:
    async with through(PROXY, allow_writes=True) as web:
        assert (await call(web, ("Remote-User", "robin"), token="a-wrong-token-all-the-same")).status_code == 401
        edit = {"endpoint": "delete_watchlist", "parameters": {"id": "1"}}
        asked = question("tools/call", token=None, name="call_endpoint", arguments=edit)
        sent = {**asked["headers"], "remote-user": "robin"}
        assert (await web.post("/mcp", headers=sent, content=asked["content"])).status_code == 403
    async with through(PROXY, allow_writes=True, external_scopes="read,write") as web:
        assert (await web.post("/mcp", headers=sent, content=asked["content"])).status_code == 200


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"trusted_proxies": PROXY}, "go together"),
        ({"external_users": "robin"}, "go together"),
        ({"trusted_proxies": "0.0.0.0/0", "external_users": "robin"}, "every address"),
        ({"trusted_proxies": "proxy.example", "external_users": "robin"}, "does not appear to be an IPv4"),
        ({"trusted_proxies": PROXY, "external_users": "robin", "external_scopes": "all"}, "no scope"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(given: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        HttpSettings(guard_url="http://g.test", guard_token="g", token=TOKEN, **given)
