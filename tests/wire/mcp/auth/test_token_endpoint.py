"""Codes, renewal and the end of tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wire.mcp.auth.flow import Browser, Wall, opened
from wire.mcp.http.test_http import answered


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
