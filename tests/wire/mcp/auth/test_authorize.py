"""What an agent may ask for, and where a wrong request is told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from wire.mcp.auth.flow import BACK, HOST, framed, opened


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "abc"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"resource": "http://ibkr.example.net/mcp"}, "invalid_target"),
        ({"resource": f"{HOST}/other"}, "invalid_target"),
    ],
)
async def test_a_wrong_request_is_sent_back_with_state_and_issuer(
    tmp_path: Path, given: dict[str, str | None], error: str
) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        location = (await b.authorize(**given)).headers["location"]
        assert location.startswith(BACK)
        told = parse_qs(urlsplit(location).query)
        assert (told["error"], told["state"], told["iss"]) == ([error], ["a state"], [HOST])


@pytest.mark.parametrize(
    "resource",
    [f"{HOST}/mcp", f"{HOST}/mcp/", f"{HOST}:443/mcp", "https://IBKR.example.net/mcp?x=1", f"{HOST}/", HOST, None],
)
@pytest.mark.parametrize("scope", [None, "", "openid  offline_access ibkr:read"])
async def test_the_resource_is_taken_as_clients_write_it(
    tmp_path: Path, resource: str | None, scope: str | None
) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        response = await b.authorize(resource=resource, scope=scope)
        assert response.headers["location"].startswith(f"{HOST}/consent?")


@pytest.mark.parametrize(
    "given", [{"client_id": "unknown"}, {"redirect_uri": "https://evil.example/cb"}, {"redirect_uri": BACK + "/"}]
)
async def test_a_stranger_is_told_on_a_page_and_never_sent_anywhere(tmp_path: Path, given: dict[str, str]) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        response = await b.authorize(**given)
        assert response.status_code == 400
        assert "location" not in response.headers
        framed(response)


async def test_loopback_ports_may_differ_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register(redirect_uris=["http://127.0.0.1:1111/cb"])
        assert (await b.authorize(redirect_uri="http://127.0.0.1:2222/cb")).status_code == 302
        for other in ("http://localhost:1111/cb", "http://127.0.0.1:1111/other", "http://127.0.0.1:1111/cb?x=1"):
            assert (await b.authorize(redirect_uri=other)).status_code == 400
