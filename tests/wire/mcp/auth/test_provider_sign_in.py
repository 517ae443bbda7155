"""The owner signs in at an identity provider of their own, in place of the passphrase."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from support import oauth, oidc_provider, programs
from support.api_server import free_port
from wire.mcp.auth.flow import BACK, CHALLENGE, VERIFIER
from wire.mcp.http.test_http import answered, question

SECRET = "of-the-server"


@dataclass
class Owner:
    """A browser between an agent, this server and the provider."""

    web: httpx.AsyncClient
    origin: str
    issuer: str
    client: str = ""

    async def authorize(self) -> httpx.Response:
        """The page that an agent sends the browser to."""
        told = {"client_name": "Claude", "redirect_uris": [BACK]}
        self.client = (await self.web.post("/register", json=told)).json()["client_id"]
        asked = {"client_id": self.client, "redirect_uri": BACK, "response_type": "code", "state": "s"}
        started = await self.web.get("/authorize", params=asked | {"code_challenge": CHALLENGE})
        return await self.web.get(started.headers["location"])

    async def answer(self, page: httpx.Response, **given: Any) -> httpx.Response:
        fields = dict(re.findall(r'<input type=hidden name="(\w+)" value="([^"]*)"', page.text))
        return await self.web.post("/consent", data=fields | given, headers={"origin": self.origin})

    async def leave(self, page: httpx.Response, user: str) -> str:
        """Where the provider sends the browser back after ``user`` signed in."""
        left = await self.answer(page, answer="provider")
        assert left.status_code == 303, left.text
        url = left.headers["location"]
        asked = parse_qs(urlsplit(url).query)
        assert url.startswith(self.issuer)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["nonce"]
        # The provider knows nothing of the browser's cookies here.
        async with httpx.AsyncClient() as elsewhere:
            back = await oidc_provider.sign_in(elsewhere, url, user, f"{self.origin}/sign-in")
        return str(back.headers["location"])


@asynccontextmanager
async def owner(folder: Path, **given: Any) -> AsyncIterator[Owner]:
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    settings = {
        "passphrase": None,
        "issuer": issuer,
        "issuer_users": "group:friends-of-robin",
        "sign_in_client": "ib-mcp",
        "sign_in_secret": SECRET,
    }
    try:
        async with oauth.serving(folder / "oauth.db", **(settings | given)) as origin:
            client = {"client_id": "ib-mcp", "client_secret": SECRET, "redirect_uris": [f"{origin}/sign-in"]}
            async with (
                oidc_provider.serving(port, f"{origin}/mcp", client),
                httpx.AsyncClient(base_url=origin) as web,
            ):
                yield Owner(web, origin, issuer)
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


async def test_whom_the_owner_named_lets_an_agent_in_after_signing_in_there(tmp_path: Path) -> None:
    async with owner(tmp_path) as o:
        told = (await o.web.get("/.well-known/oauth-protected-resource")).json()
        assert told["authorization_servers"] == [o.origin]
        page = await o.authorize()
        assert "U1000001" not in page.text
        assert "passphrase" not in page.text.lower()
        back = await o.leave(page, "robin")
        done = await o.web.get(back)
        assert done.status_code == 303, done.text
        page = await o.web.get(done.headers["location"])
        assert "U1000001" in page.text
        sent = await o.answer(page, answer="allow", account=["U1000002"])
        code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "client_id": o.client, "redirect_uri": BACK}
        tokens = (await o.web.post("/token", data=form | {"code_verifier": VERIFIER})).json()
        asked = question("tools/call", token=tokens["access_token"], name="list_accounts", arguments={})
        assert "U1000002" in answered(await o.web.post("/mcp", **asked))["content"][0]["text"]
        # The same answer again is over, and so is one in another browser.
        assert (await o.web.get(back)).status_code == 403


async def test_everybody_else_whom_the_provider_signs_in_stays_out(tmp_path: Path) -> None:
    async with owner(tmp_path) as o:
        page = await o.authorize()
        refused = await o.web.get(await o.leave(page, "eve"))
        assert refused.status_code == 403
        assert "not named" in refused.text
        assert (await o.answer(page, answer="allow", account=["U1000001"])).status_code == 403
        assert "Sign in" in (await o.web.get("/")).text


async def test_an_answer_for_another_browser_state_or_issuer_is_refused(tmp_path: Path) -> None:
    async with owner(tmp_path) as o:
        back = await o.leave(await o.authorize(), "robin")
        async with httpx.AsyncClient(base_url=o.origin) as other:
            assert (await other.get(back)).status_code == 403
        for wrong in (
            re.sub(r"state=[^&]+", "state=other", back),
            re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", back),
            re.sub(r"code=[^&]+", "code=made-up", back),
            re.sub(r"code=[^&]+", "error=access_denied", back),
        ):
            assert wrong != back
            response = await o.web.get(wrong)
            assert response.status_code == 403, wrong
            assert "set-cookie" not in response.headers


async def test_the_way_back_leads_nowhere_else(tmp_path: Path) -> None:
    async with owner(tmp_path) as o:
        left = await o.answer(await o.authorize(), answer="provider")
        name, _, kept = left.headers["set-cookie"].partition("=")
        state = kept.lstrip('"').partition(".")[0]
        async with httpx.AsyncClient() as elsewhere:
            back = await oidc_provider.sign_in(elsewhere, left.headers["location"], "robin", f"{o.origin}/sign-in")
        o.web.cookies.clear()
        planted = {"cookie": f"{name}={state}.//evil.example/"}
        assert (await o.web.get(back.headers["location"], headers=planted)).headers["location"] == "/"


async def test_beside_a_passphrase_and_on_the_owners_page(tmp_path: Path) -> None:
    async with owner(tmp_path, passphrase=oauth.PASSPHRASE) as o:
        page = await o.web.get("/")
        assert "Passphrase" in page.text
        assert "127.0.0.1" in page.text
        left = await o.web.post("/", data={"answer": "provider"}, headers={"origin": o.origin})
        async with httpx.AsyncClient() as elsewhere:
            back = await oidc_provider.sign_in(elsewhere, left.headers["location"], "robin", f"{o.origin}/sign-in")
        done = await o.web.get(back.headers["location"])
        assert done.headers["location"] == "/"
        assert "authenticated" in (await o.web.get("/")).text


async def test_a_provider_that_is_down_is_told_on_the_page(tmp_path: Path) -> None:
    settings = {"issuer": f"http://127.0.0.1:{free_port()}", "issuer_users": "robin", "sign_in_client": "ib-mcp"}
    async with (
        oauth.serving(tmp_path / "oauth.db", passphrase=None, **settings) as origin,
        httpx.AsyncClient(base_url=origin) as web,
    ):
        asking = Owner(web, origin, "")
        refused = await asking.answer(await asking.authorize(), answer="provider")
        assert refused.status_code == 503
        assert "does not answer" in refused.text
        assert "Sign in at" in refused.text
