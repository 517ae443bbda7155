"""Which agents may register, and how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_mcp.oauth import provider as oauth_provider
from wire.mcp.auth.flow import Wall, opened


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["javascript:alert(1)"],
        ["data:text/html,x"],
        ["file:///etc/passwd"],
        ["http://evil.example/cb"],
        ["https://a.example/cb#part"],
        ["https://me:secret@a.example/cb"],
        ["https://a.example/" + "x" * 3000],
        [f"https://a.example/{n}" for n in range(11)],
    ],
)
async def test_no_odd_redirect_is_registered(tmp_path: Path, uris: list[str]) -> None:
    async with opened(tmp_path) as b:
        response = await b.register(redirect_uris=uris)
        assert response.status_code == 400
        assert response.json()["error"] in ("invalid_redirect_uri", "invalid_client_metadata")


@pytest.mark.parametrize(
    "uri",
    ["https://claude.ai/cb", "http://127.0.0.1:33418/", "http://localhost/cb", "cursor://x/cb", "com.example.app:/cb"],
)
async def test_all_four_kinds_of_redirects_register_without_a_secret(tmp_path: Path, uri: str) -> None:
    async with opened(tmp_path) as b:
        response = await b.register(
            redirect_uris=[uri], token_endpoint_auth_method="client_secret_basic", scope="openid offline_access"
        )
        assert response.status_code == 201, response.text
        assert response.json()["token_endpoint_auth_method"] == "none"
        assert "client_secret" not in response.json()


async def test_a_flood_of_registrations_is_stopped_and_a_large_one_is_not_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        assert (await b.register(client_name="x" * 70_000)).status_code == 413
        codes = [(await b.register()).status_code for _ in range(25)]
        assert codes.count(201) == 20
        assert codes[-1] == 429


async def test_clients_that_nobody_approved_give_way(
    tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth_provider, "_MOST_CLIENTS", 3)
    async with opened(tmp_path) as b:
        tokens = await b.tokens()
        kept = b.client
        for _ in range(5):
            assert (await b.register()).status_code == 201
        b.client = kept
        assert (await b.renew(tokens["refresh_token"])).status_code == 200
