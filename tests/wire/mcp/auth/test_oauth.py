"""Our own authorization server: the way in, restarts, and what is kept."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from ib_mcp.__main__ import main
from ib_mcp.oauth import store as oauth_store
from ib_mcp.settings import HttpSettings
from wire.mcp.auth.flow import PASSPHRASE, opened
from wire.mcp.http.test_http import HANDSHAKE, MODERN, StubGuard, answered, question


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_an_approved_agent_gets_in_with_what_the_owner_chose(tmp_path: Path, wire: str) -> None:
    stub = StubGuard()
    async with opened(tmp_path, stub, allow_writes=True) as b:
        tokens = await b.tokens(scope=[], account=["U1000002"])
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


async def test_the_owner_lists_grants_and_ends_one_beside_the_running_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ("--store", str(tmp_path / "oauth.db"))
    async with opened(tmp_path) as b:
        one, two = await b.tokens(account=["U1000002"]), await b.tokens()
        assert await asyncio.to_thread(main, ["grants", "list", *store]) == 0
        assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
            ["claude-1", "read", "U1000002"],
            ["claude-2", "read", "all"],
        ]
        assert await asyncio.to_thread(main, ["grants", "revoke", "claude-1", *store]) == 0
        assert (await b.call(one["access_token"])).status_code == 401
        assert (await b.renew(one["refresh_token"])).json()["error"] == "invalid_grant"
        assert answered(await b.call(two["access_token"]))
        assert await asyncio.to_thread(main, ["grants", "revoke", "claude-1", *store]) == 2
        assert await asyncio.to_thread(main, ["grants", "list", "--store", str(tmp_path / "none")]) == 2


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


async def test_the_passphrase_may_be_given_as_its_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSPHRASE + "\n"))
    assert main(["passphrase"]) == 0
    hashed = capsys.readouterr().out.strip()
    assert PASSPHRASE not in hashed
    async with opened(tmp_path, passphrase=hashed) as b:
        await b.register()
        fields = await b.open((await b.authorize()).headers["location"])
        # Whoever finds the hash has not found the passphrase.
        assert (await b.sign_in(fields, hashed)).status_code == 403
        assert (await b.redeem(await b.code())).status_code == 200
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["passphrase"]) == 2
    with pytest.raises(ValueError, match="hash"):
        HttpSettings(guard_url="http://g.test", guard_token="g", passphrase="$argon2id$v=19$broken")
