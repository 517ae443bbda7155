"""Where agents learn by whom they are let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_mcp.settings import HttpSettings
from wire.mcp.auth.flow import HOST, opened
from wire.mcp.http.test_http import answered, question

DOCUMENTS = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/mcp",
    "/mcp/.well-known/openid-configuration",
    "/mcp/.well-known/oauth-authorization-server",
]


async def test_metadata_is_the_same_at_every_form_and_names_the_same_issuer(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        found = [(await b.web.get(path, headers={"origin": "https://inspector.example"})) for path in DOCUMENTS]
        assert len({response.text for response in found}) == 1
        assert all(response.headers["access-control-allow-origin"] == "*" for response in found)
        server = found[0].json()
        assert server["token_endpoint_auth_methods_supported"] == ["none"]
        resources = [
            (await b.web.get(f"/.well-known/oauth-protected-resource{tail}", headers={"host": "evil.example"})).json()
            for tail in ("", "/mcp")
        ]
        assert resources[0] == resources[1]
        assert resources[0]["resource"] == f"{HOST}/mcp"
        assert resources[0]["authorization_servers"] == [server["issuer"]]
        assert (await b.web.head(DOCUMENTS[0])).status_code == 200
        assert (
            await b.web.options(
                "/register", headers={"origin": "https://x.example", "access-control-request-method": "POST"}
            )
        ).status_code == 200


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
async def test_without_a_token_every_method_is_challenged_and_nothing_is_redirected(tmp_path: Path, path: str) -> None:
    async with opened(tmp_path) as b:
        for method in ("GET", "HEAD", "POST"):
            response = await b.web.request(method, path)
            assert response.status_code == 401, method
            challenge = response.headers["www-authenticate"]
            assert f'resource_metadata="{HOST}/.well-known/oauth-protected-resource/mcp"' in challenge
        token = (await b.tokens())["access_token"]
        assert (await b.web.get(path, headers={"authorization": f"Bearer {token}"})).status_code == 405
        asked = question("tools/list", token=token)
        assert answered(await b.web.post(path, **asked))["tools"]


UNDER = "/home/ibkr"


async def test_under_a_path_metadata_is_there_and_at_the_root_and_names_it(tmp_path: Path) -> None:
    base = HOST + UNDER
    async with opened(tmp_path, public_url=base + "/") as b:
        names = ("oauth-authorization-server", "openid-configuration")
        tails = ("", "/mcp", UNDER, UNDER + "/mcp")
        paths = [f"/.well-known/{name}{tail}" for name in names for tail in tails]
        paths += [f"{UNDER}{path}/.well-known/{name}" for name in names for path in ("", "/mcp")]
        found = [await b.web.get(path) for path in paths]
        assert {response.status_code for response in found} == {200}
        (told,) = {response.text for response in found}
        server = found[0].json()
        assert server["issuer"] == base, told
        assert server["authorization_endpoint"] == f"{base}/authorize"
        resources = [await b.web.get(f"/.well-known/oauth-protected-resource{tail}") for tail in tails]
        assert {response.json()["resource"] for response in resources} == {f"{base}/mcp"}
        for path in (f"{UNDER}/mcp", f"{UNDER}/mcp/", "/mcp"):
            refused = await b.web.post(path)
            assert refused.status_code == 401
            named = f'resource_metadata="{HOST}/.well-known/oauth-protected-resource{UNDER}/mcp"'
            assert named in refused.headers["www-authenticate"]
        # Beside it lies something else.
        assert (await b.web.post(f"{UNDER}er/mcp")).status_code == 404


@pytest.mark.parametrize(
    ("resource", "is_ours"),
    [
        (f"{HOST}{UNDER}/mcp", True),
        (f"{HOST}{UNDER}/mcp/", True),
        (f"{HOST}{UNDER}", True),
        (HOST, True),
        (f"{HOST}/mcp", False),
        (f"{HOST}/home/other/mcp", False),
    ],
)
async def test_under_a_path_the_resource_is_the_one_there(tmp_path: Path, resource: str, is_ours: bool) -> None:
    async with opened(tmp_path, public_url=HOST + UNDER) as b:
        await b.register()
        location = (await b.authorize(resource=resource)).headers["location"]
        assert location.startswith(f"{HOST}{UNDER}/consent?") == is_ours
        assert ("invalid_target" in location) != is_ours


@pytest.mark.parametrize("url", ["https://a.example/mcp", "https://a.example/x?y", "http://a.example"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        HttpSettings(guard_url="http://g.test", guard_token="g", token="t" * 20, public_url=url)
