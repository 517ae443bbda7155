"""One owner's browser and one agent, against our own authorization server."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from wire.mcp.http.test_http import MODERN, StubGuard, application, question

HOST = "https://ibkr.example.net"
PASSPHRASE = "correct horse battery"
ACCOUNTS = "U1000001 U1000002"
BACK = "https://agent.example/callback"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Wall:
    """Seconds of Unix time, in the hand of the test."""

    now = 1795539600.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Browser:
    """The owner's, and an agent's requests, to one server."""

    web: httpx.AsyncClient
    client: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    async def register(self, **more: Any) -> httpx.Response:
        response = await self.web.post("/register", json={"client_name": "Claude", "redirect_uris": [BACK]} | more)
        if response.status_code == 201:
            self.client = response.json()["client_id"]
        return response

    async def authorize(self, **given: str | None) -> httpx.Response:
        asked = {
            "client_id": self.client,
            "redirect_uri": BACK,
            "response_type": "code",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "a state",
        } | given
        return await self.web.get("/authorize", params={name: one for name, one in asked.items() if one is not None})

    async def open(self, location: str) -> dict[str, str]:
        """The hidden fields of the page."""
        page = await self.web.get(location, headers=self._cookie())
        assert page.status_code == 200, page.text
        self.cookies |= dict(page.cookies)
        # Each of several browsers of a test has its own, which the client does not know.
        self.web.cookies.clear()
        return dict(re.findall(r'<input type="?hidden"? name="?(\w+)"? value="([^"]*)"', page.text))

    def _cookie(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={one}" for name, one in self.cookies.items())} if self.cookies else {}

    async def post(self, fields: dict[str, Any], **given: Any) -> httpx.Response:
        response = await self.web.post("/consent", data=fields | given, headers={"origin": HOST} | self._cookie())
        self.cookies |= dict(response.cookies)
        self.web.cookies.clear()
        return response

    async def sign_in(self, fields: dict[str, Any], passphrase: str = PASSPHRASE) -> httpx.Response:
        return await self.post(fields, answer="sign-in", passphrase=passphrase)

    async def answer(self, fields: dict[str, Any], **given: Any) -> httpx.Response:
        """Of the owner, who signs in first."""
        await self.sign_in(fields)
        form = {"answer": "allow", "scope": ["ibkr:write"], "listed": ACCOUNTS, "account": ACCOUNTS.split()}
        return await self.post(fields, **(form | given))

    async def code(self, **given: Any) -> str:
        started = await self.authorize()
        back = await self.answer(await self.open(started.headers["location"]), **given)
        assert back.status_code == 303, back.text
        return parse_qs(urlsplit(back.headers["location"]).query)["code"][0]

    async def token(self, **form: str) -> httpx.Response:
        return await self.web.post("/token", data={"client_id": self.client} | form)

    async def redeem(self, code: str, **given: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": BACK}
        return await self.token(**form | given)

    async def renew(self, refresh: str, **given: str) -> httpx.Response:
        return await self.token(**{"grant_type": "refresh_token", "refresh_token": refresh} | given)

    async def tokens(self, **given: Any) -> dict[str, Any]:
        await self.register()
        found: dict[str, Any] = (await self.redeem(await self.code(**given))).json()
        return found

    async def call(self, token: str | None, wire: str = MODERN) -> httpx.Response:
        asked = question("tools/call", wire, token=token, name="list_accounts", arguments={})
        return await self.web.post("/mcp", **asked)


@asynccontextmanager
async def opened(folder: Path, stub: StubGuard | None = None, **given: Any) -> AsyncIterator[Browser]:
    settings = {"public_url": HOST, "passphrase": PASSPHRASE, "oauth_store": folder / "oauth.db"} | given
    async with application(stub or StubGuard(), **settings) as app, app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 1234))
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as web:
            yield Browser(web)


def framed(response: httpx.Response) -> None:
    assert response.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"
