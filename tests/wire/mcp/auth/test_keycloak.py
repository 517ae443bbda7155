"""Keycloak, as people run it: the owner signs in there, and tokens that it issued are taken."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from support import keycloak, oauth, programs
from support.api_server import free_port
from wire.mcp.auth.flow import BACK, CHALLENGE, VERIFIER
from wire.mcp.http.test_http import answered, question

WANTED = "IB_MCP_TEST_KEYCLOAK"


@pytest.mark.skipif(WANTED not in os.environ, reason=f"Keycloak takes two minutes; {WANTED}=1 runs it")
async def test_the_owner_signs_in_at_keycloak_and_its_tokens_are_taken(tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "passphrase": None,
        "issuer": f"http://127.0.0.1:{port}/realms/{keycloak.REALM}",
        "issuer_users": "robin@example.net,service-account-script",
        "sign_in_client": "ib-mcp",
        "sign_in_secret": "of-the-server",
    }
    try:
        async with oauth.serving(tmp_path / "oauth.db", **settings) as origin:
            server = {"clientId": "ib-mcp", "secret": "of-the-server", "redirectUris": [f"{origin}/sign-in"]}
            mappers = keycloak.for_audience(f"{origin}/mcp")
            script = {"clientId": "script", "secret": "of-the-script", "serviceAccountsEnabled": True}
            other = {"clientId": "other", "secret": "of-the-other", "serviceAccountsEnabled": True}
            async with (
                keycloak.serving(tmp_path, port, server, script | {"protocolMappers": mappers}, other) as issuer,
                httpx.AsyncClient(base_url=origin) as web,
            ):
                await _signs_in(web, origin)
                form = {"grant_type": "client_credentials", "client_id": "script", "client_secret": "of-the-script"}
                url = f"{issuer}/protocol/openid-connect/token"
                token = (await web.post(url, data=form)).json()["access_token"]
                asked = question("tools/call", token=token, name="list_accounts", arguments={})
                assert answered(await web.post("/mcp", **asked))["isError"] is False
                form |= {"client_id": "other", "client_secret": "of-the-other"}
                token = (await web.post(url, data=form)).json()["access_token"]
                assert (await web.post("/mcp", **question("tools/list", token=token))).status_code == 401
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


async def _signs_in(web: httpx.AsyncClient, origin: str) -> None:
    told = {"client_name": "Claude", "redirect_uris": [BACK]}
    client = (await web.post("/register", json=told)).json()["client_id"]
    asked = {"client_id": client, "redirect_uri": BACK, "response_type": "code", "code_challenge": CHALLENGE}
    page = await web.get((await web.get("/authorize", params=asked)).headers["location"])
    for user, status in (("eve", 403), ("robin", 303)):
        left = await web.post("/consent", data=_hidden(page) | {"answer": "provider"}, headers={"origin": origin})
        done = await web.get(await keycloak.sign_in(left.headers["location"], user, f"{origin}/sign-in"))
        assert done.status_code == status, done.text
    page = await web.get(done.headers["location"])
    given = _hidden(page) | {"answer": "allow", "account": "U1000001"}
    sent = await web.post("/consent", data=given, headers={"origin": origin})
    code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "client_id": client, "redirect_uri": BACK}
    tokens = (await web.post("/token", data=form | {"code_verifier": VERIFIER})).json()
    asked = question("tools/call", token=tokens["access_token"], name="list_accounts", arguments={})
    assert "U1000001" in answered(await web.post("/mcp", **asked))["content"][0]["text"]


def _hidden(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type=hidden name="(\w+)" value="([^"]*)"', page.text))
