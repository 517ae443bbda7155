"""Tokens of the owner's identity provider: the real oidc-provider of npm, and what must be refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from ib_mcp.auth.failures import TokensUnavailable
from ib_mcp.auth.issuer import Issuer, IssuerKeys, People
from support import oidc_provider, programs
from support.api_server import free_port
from wire.mcp.http.test_http import StubGuard, answered, application, question

URL, RESOURCE = "https://id.example", "https://ibkr.example.net/mcp"
NOW = 1795539600.0
KEY, OTHER = RSAKey.generate_key(parameters={"kid": "one"}), RSAKey.generate_key(parameters={"kid": "two"})


class Provider:
    """Answers as an identity provider does; ``asked`` counts how often."""

    def __init__(self) -> None:
        self.keys = [KEY]
        self.asked = 0
        self.is_down = False
        self.clock = 0.0

    async def fetch(self, url: str) -> Any:
        self.asked += 1
        if self.is_down:
            raise OSError("down")
        if url.endswith("configuration"):
            return {"issuer": URL, "jwks_uri": f"{URL}/keys"}
        return KeySet(self.keys).as_dict(private=False)

    def issuer(self) -> Issuer:
        people = People(frozenset({"robin@example.net", "group:traders"}))
        keys = IssuerKeys(URL, self.fetch, lambda: NOW, lambda: self.clock)
        return Issuer(keys, [RESOURCE], people)


def signed(key: RSAKey = KEY, alg: str = "RS256", **claims: Any) -> str:
    told = {"iss": URL, "aud": RESOURCE, "sub": "1", "email": "robin@example.net", "exp": NOW + 60, "azp": "claude"}
    header = {"alg": alg, "kid": key.kid}
    return jwt.encode(header, {name: one for name, one in (told | claims).items() if one is not None}, key)


async def test_a_good_token_is_taken_with_its_scopes() -> None:
    found = await Provider().issuer().find(signed(scope="openid ibkr:write"))
    assert found is not None
    assert (found.grant.name, found.scopes) == ("claude", ["ibkr:read", "ibkr:write"])


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "https://other.example/mcp"},
        {"aud": None},
        {"exp": NOW - 121},
        {"exp": None},
        {"nbf": NOW + 121},
        {"email": "eve@example.net"},
        {"email_verified": False},
        {"email": None, "groups": ["readers"]},
    ],
)
async def test_what_is_not_for_us_or_not_of_the_owners_people_is_refused(claims: dict[str, Any]) -> None:
    assert await Provider().issuer().find(signed(**claims)) is None


@pytest.mark.parametrize(
    "claims", [{"exp": NOW - 119}, {"nbf": NOW + 119}, {"email": None, "groups": ["traders"]}, {"aud": ["x", RESOURCE]}]
)
async def test_clocks_may_be_two_minutes_off_and_groups_count(claims: dict[str, Any]) -> None:
    assert await Provider().issuer().find(signed(**claims)) is not None


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "e30.e30.", signed()[:-8] + "AAAAAAAA", "x" * 20_000 + ".b.c"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert await Provider().issuer().find(token) is None


async def test_an_unsigned_token_is_refused() -> None:
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, {"iss": URL, "aud": RESOURCE})]
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
    assert await Provider().issuer().find(token) is None


async def test_keys_may_change_and_made_up_ones_are_not_asked_for_each_time() -> None:
    provider = Provider()
    issuer = provider.issuer()
    assert await issuer.find(signed()) is not None
    for _ in range(5):
        assert await issuer.find(signed(OTHER)) is None
    assert provider.asked == 2
    provider.keys, provider.clock = [KEY, OTHER], 31.0
    assert await issuer.find(signed(OTHER)) is not None


async def test_a_provider_that_is_down_is_no_wrong_token() -> None:
    provider = Provider()
    provider.is_down = True
    issuer = provider.issuer()
    with pytest.raises(TokensUnavailable):
        await issuer.find(signed())
    provider.is_down = False
    assert await issuer.find(signed()) is not None
    provider.is_down, provider.clock = True, 7200.0
    assert await issuer.find(signed()) is not None


AGENT = {
    "client_id": "agent",
    "client_secret": "of-the-agent",
    "grant_types": ["client_credentials"],
    "redirect_uris": [],
    "response_types": [],
}


async def test_a_token_of_a_real_provider_is_taken() -> None:
    try:
        async with oidc_provider.serving(free_port(), RESOURCE, AGENT) as issuer:
            async with httpx.AsyncClient(auth=("agent", "of-the-agent")) as web:
                form = {"grant_type": "client_credentials", "resource": RESOURCE, "scope": "ibkr:read"}
                token = (await web.post(f"{issuer}/token", data=form)).json()["access_token"]
            settings = {"public_url": "https://ibkr.example.net", "issuer": issuer, "token": None}
            await _calls(settings | {"issuer_users": "robin"}, lambda status: status == 200, token)
            await _calls(settings | {"issuer_users": "somebody-else"}, lambda status: status == 401, token)
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


async def _calls(settings: dict[str, Any], good: Callable[[int], bool], token: str) -> None:
    async with application(StubGuard(), **settings) as app, app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://ibkr.example.net") as web:
            refused = await web.post("/mcp")
            assert refused.status_code == 401
            assert "/.well-known/oauth-protected-resource/mcp" in refused.headers["www-authenticate"]
            for tail in ("", "/mcp"):
                document = (await web.get(f"/.well-known/oauth-protected-resource{tail}")).json()
                assert document["authorization_servers"] == [settings["issuer"]]
            asked = question("tools/call", token=token, name="list_accounts", arguments={})
            response = await web.post("/mcp", **asked)
            assert good(response.status_code), response.text
            if response.status_code == 200:
                assert answered(response)["isError"] is False
