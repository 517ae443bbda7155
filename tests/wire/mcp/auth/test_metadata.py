"""Where agents learn by whom they are let in."""

from __future__ import annotations

from pathlib import Path

import pytest

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
