"""Our own authorization server: the way in, and who is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ib_mcp.__main__ import main
from ib_mcp.oauth import provider as oauth_provider
from ib_mcp.oauth import store as oauth_store
from wire.mcp.http.test_http import HANDSHAKE, MODERN, StubGuard, answered, application, question

HOST = "https://ibkr.example.net"
PASSPHRASE = "correct horse battery"
BACK = "https://agent.example/callback"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Wall:
    """Seconds of Unix time, in the hand of the test."""

    now = 1795539600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr("ib_mcp.http.app.time.time", wall)
    return wall


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
        return dict(re.findall(r'<input type="?hidden"? name="(\w+)" value="([^"]*)"', page.text))

    def _cookie(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={one}" for name, one in self.cookies.items())} if self.cookies else {}

    async def answer(self, fields: dict[str, Any], **given: Any) -> httpx.Response:
        form = fields | {"answer": "allow", "passphrase": PASSPHRASE, "scope": ["ibkr:write"]} | given
        return await self.web.post("/consent", data=form, headers={"origin": HOST} | self._cookie())

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


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_an_approved_agent_gets_in_with_what_the_owner_chose(tmp_path: Path, wire: str) -> None:
    stub = StubGuard()
    async with opened(tmp_path, stub, allow_writes=True) as b:
        tokens = await b.tokens(scope=[], accounts="U1000002")
        assert tokens["token_type"] == "Bearer"
        assert tokens["scope"] == "ibkr:read"
        found = json.loads(answered(await b.call(tokens["access_token"], wire))["content"][0]["text"])
        assert [row[0] for row in found["accounts"]["rows"]] == ["U1000002"]
        assert set(stub.callers) == {"claude-1"}
        # The owner's own token goes on beside it.
        assert answered(await b.call("token-of-an-agent", wire))
    # After a restart nobody is asked again.
    async with opened(tmp_path, allow_writes=True) as again:
        again.client = b.client
        assert answered(await again.call(tokens["access_token"], wire))
        assert (await again.renew(tokens["refresh_token"])).status_code == 200


async def test_more_scopes_can_be_asked_for_later(tmp_path: Path) -> None:
    async with opened(tmp_path, allow_writes=True) as b:
        token = (await b.tokens(scope=[]))["access_token"]
        edit = {"endpoint": "delete_watchlist", "parameters": {"id": "1"}}
        refused = await b.web.post("/mcp", **question("tools/call", token=token, name="call_endpoint", arguments=edit))
        assert refused.status_code == 403
        assert 'scope="ibkr:read ibkr:write"' in refused.headers["www-authenticate"]
        assert "resource_metadata=" in refused.headers["www-authenticate"]
        more = (await b.redeem(await b.code())).json()
        assert more["scope"] == "ibkr:read ibkr:write"


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


def framed(response: httpx.Response) -> None:
    assert response.headers["x-frame-options"] == "DENY"
    policy = response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy
    assert response.headers["cache-control"] == "no-store"


async def test_loopback_ports_may_differ_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register(redirect_uris=["http://127.0.0.1:1111/cb"])
        assert (await b.authorize(redirect_uri="http://127.0.0.1:2222/cb")).status_code == 302
        for other in ("http://localhost:1111/cb", "http://127.0.0.1:1111/other", "http://127.0.0.1:1111/cb?x=1"):
            assert (await b.authorize(redirect_uri=other)).status_code == 400


async def test_the_page_tells_who_asks_and_escapes_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register(client_name="<script>alert(1)</script>")
        page = await b.web.get((await b.authorize()).headers["location"])
        framed(page)
        assert "<script>" not in page.text
        assert "agent.example" in page.text
        cookie = page.headers["set-cookie"].lower()
        assert cookie.startswith("__host-")
        assert "httponly" in cookie
        assert "secure" in cookie


async def test_only_the_browser_that_opened_the_page_can_answer_it_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        location = (await b.authorize()).headers["location"]
        fields = await b.open(location)
        other = Browser(b.web, b.client)
        assert (await b.web.get(location)).status_code == 403
        assert (await other.answer(fields)).status_code == 403
        other.cookies = {next(iter(b.cookies)): "made-up"}
        assert (await other.answer(fields)).status_code == 403
        assert (await b.answer(fields | {"proof": "0" * 64})).status_code == 403
        foreign = {"origin": "https://evil.example"} | b._cookie()
        form = fields | {"answer": "allow", "passphrase": PASSPHRASE}
        assert (await b.web.post("/consent", data=form, headers=foreign)).status_code == 403
        assert (await b.answer(fields)).status_code == 303
        assert (await b.answer(fields)).status_code == 400
        assert (await b.web.get(location, headers=b._cookie())).status_code == 400


async def test_denied_is_told_to_the_agent(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        fields = await b.open((await b.authorize()).headers["location"])
        back = parse_qs(urlsplit((await b.answer(fields, answer="deny", passphrase="")).headers["location"]).query)
        assert (back["error"], back["state"], back["iss"]) == (["access_denied"], ["a state"], [HOST])


async def test_the_passphrase_cannot_be_guessed(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        fields = await b.open((await b.authorize()).headers["location"])
        tries = await asyncio.gather(*(b.answer(fields, passphrase=f"guess number {n}") for n in range(8)))
        assert sorted(response.status_code for response in tries) == [403] * 5 + [429] * 3
        late = await b.answer(fields)
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) > 0


async def test_a_request_and_a_code_end(tmp_path: Path, wall: Wall) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        fields = await b.open((await b.authorize()).headers["location"])
        code = await b.code()
        wall.now += 61
        refused = await b.redeem(code)
        assert refused.json()["error"] == "invalid_grant"
        wall.now += 600
        assert (await b.answer(fields)).status_code == 400


async def test_a_code_is_for_its_client_verifier_address_and_resource(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        code = await b.code()
        other = Browser(b.web)
        await other.register()
        assert (await other.redeem(code)).json()["error"] == "invalid_grant"
        for wrong, error in (
            ({"code_verifier": "w" * 50}, "invalid_grant"),
            ({"redirect_uri": "https://agent.example/other"}, "invalid_grant"),
            ({"resource": "https://other.example"}, "invalid_target"),
            ({"client_id": "unknown"}, "invalid_client"),
        ):
            refused = await b.redeem(code, **wrong)
            assert refused.status_code in (400, 401)
            assert refused.json()["error"] in (error, "invalid_request"), wrong
        assert (await b.redeem(code)).status_code == 200


async def test_a_code_is_redeemed_once_and_a_late_replay_ends_the_grant(tmp_path: Path, wall: Wall) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        code = await b.code()
        answers = await asyncio.gather(*(b.redeem(code) for _ in range(8)))
        (won,) = [response.json() for response in answers if response.status_code == 200]
        assert answered(await b.call(won["access_token"]))
        wall.now += 11
        assert (await b.redeem(code)).json()["error"] == "invalid_grant"
        assert (await b.call(won["access_token"])).status_code == 401


async def test_two_refreshes_at_once_are_answered_alike_and_a_replay_ends_the_grant(tmp_path: Path, wall: Wall) -> None:
    async with opened(tmp_path) as b:
        first = await b.tokens()
        answers = [
            response.json() for response in await asyncio.gather(*(b.renew(first["refresh_token"]) for _ in range(4)))
        ]
        assert len({(answer["access_token"], answer["refresh_token"]) for answer in answers}) == 1
        # A call under way with the old one is no trouble.
        assert answered(await b.call(first["access_token"]))
        assert answered(await b.call(answers[0]["access_token"]))
        third = (await b.renew(answers[0]["refresh_token"])).json()
        wall.now += 1
        # The grandparent, within the grace, though its successor was used.
        assert (await b.renew(first["refresh_token"])).json()["error"] == "invalid_grant"
        for dead in (first, answers[0], third):
            assert (await b.call(dead["access_token"])).status_code == 401
        assert (await b.renew(third["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_refresh_after_the_grace_ends_the_grant(tmp_path: Path, wall: Wall) -> None:
    async with opened(tmp_path) as b:
        first = await b.tokens()
        second = (await b.renew(first["refresh_token"])).json()
        wall.now += 61
        assert (await b.renew(first["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await b.call(second["access_token"])).status_code == 401


async def test_a_refresh_token_is_for_its_client_and_no_wider(tmp_path: Path) -> None:
    async with opened(tmp_path, allow_writes=True) as b:
        tokens = await b.tokens(scope=[])
        other = Browser(b.web)
        await other.register()
        assert (await other.renew(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await b.renew(tokens["refresh_token"], scope="ibkr:read ibkr:write")).json()["error"] == "invalid_scope"
        assert (await b.call(tokens["refresh_token"])).status_code == 401


async def test_access_ends_and_is_renewed_for_as_long_as_it_is_used(tmp_path: Path, wall: Wall) -> None:
    async with opened(tmp_path) as b:
        tokens = await b.tokens()
        wall.now += 3601
        assert (await b.call(tokens["access_token"])).status_code == 401
        for _ in range(3):
            wall.now += 29 * 86400
            tokens = (await b.renew(tokens["refresh_token"])).json()
        assert answered(await b.call(tokens["access_token"]))
        wall.now += 31 * 86400
        assert (await b.renew(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_revoking_one_ends_both_and_only_by_its_client(tmp_path: Path, which: str) -> None:
    async with opened(tmp_path) as b:
        tokens = await b.tokens()
        for client in ("another", b.client):
            assert answered(await b.call(tokens["access_token"]))
            done = await b.web.post("/revoke", data={"token": tokens[which], "client_id": client})
            assert done.status_code == 200
        assert (await b.call(tokens["access_token"])).status_code == 401
        assert (await b.renew(tokens["refresh_token"])).status_code in (400, 401)


async def test_the_owner_lists_grants_and_ends_one_beside_the_running_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ("--store", str(tmp_path / "oauth.db"))
    async with opened(tmp_path) as b:
        one, two = await b.tokens(accounts="U1000002"), await b.tokens()
        assert main(["grants", "list", *store]) == 0
        assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
            ["claude-1", "read", "U1000002"],
            ["claude-2", "read", "all"],
        ]
        assert main(["grants", "revoke", "claude-1", *store]) == 0
        assert (await b.call(one["access_token"])).status_code == 401
        assert (await b.renew(one["refresh_token"])).json()["error"] == "invalid_grant"
        assert answered(await b.call(two["access_token"]))
        assert main(["grants", "revoke", "claude-1", *store]) == 2
        assert main(["grants", "list", "--store", str(tmp_path / "none")]) == 2


async def test_a_store_that_fails_is_no_wrong_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise oauth_store.StoreFailed("disk")

    async with opened(tmp_path) as b:
        token = (await b.tokens())["access_token"]
        monkeypatch.setattr(oauth_store.Store, "access", fails)
        response = await b.call(token)
        assert response.status_code == 503
        assert "retry-after" in response.headers
        # Who shows one of the owner's needs no store.
        assert answered(await b.call("token-of-an-agent"))


async def test_nothing_secret_is_in_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        tokens = await b.tokens()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs
    for secret in (tokens["access_token"], tokens["refresh_token"], PASSPHRASE):
        assert secret.encode() not in kept
    assert (tmp_path / "oauth.db").stat().st_mode & 0o077 == 0
