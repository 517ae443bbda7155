"""Several replicas on one PostgreSQL: what one of them did counts in the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ib_mcp.__main__ import main
from support import postgres, programs
from support.postgres import Postgres
from wire.mcp.auth.flow import Browser, Wall, opened
from wire.mcp.http.test_http import answered


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    try:
        with postgres.serving() as running:
            yield running
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


def replica(server: Postgres, folder: Path) -> AbstractAsyncContextManager[Browser]:
    return opened(folder, oauth_store=None, oauth_database=server.url)


async def test_a_flow_goes_over_two_replicas_and_its_tokens_count_in_both(
    server: Postgres, tmp_path: Path, wall: Wall, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        replica(server, tmp_path) as one,
        replica(server, tmp_path) as two,
    ):
        await one.register()
        started = await one.authorize()
        two.client = one.client
        fields = await two.open(started.headers["location"])
        await two.sign_in(fields)
        # The cookie of one counts in the other.
        one.cookies = two.cookies
        code = await one.code()
        tokens = (await two.redeem(code)).json()
        for each in (one, two):
            assert answered(await each.call(tokens["access_token"]))
        pairs = [one.renew(tokens["refresh_token"]), two.renew(tokens["refresh_token"])]
        again = [response.json() for response in await asyncio.gather(*pairs)]
        assert again[0] == again[1]
        monkeypatch.setenv("IB_MCP_OAUTH_DATABASE", server.url)
        assert await asyncio.to_thread(main, ["grants", "list"]) == 0
        name = capsys.readouterr().out.splitlines()[-1].split()[0]
        assert await asyncio.to_thread(main, ["grants", "revoke", name]) == 0
        wall.now += 2
        for each in (one, two):
            assert (await each.call(again[0]["access_token"])).status_code == 401
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nothing else runs


async def test_a_code_is_redeemed_once_by_all_of_them(server: Postgres, tmp_path: Path, wall: Wall) -> None:
    async with (
        replica(server, tmp_path) as one,
        replica(server, tmp_path) as two,
    ):
        await one.register()
        two.client = one.client
        code = await one.code()
        tries = [each.redeem(code) for _ in range(4) for each in (one, two)]
        (won,) = [response.json() for response in await asyncio.gather(*tries) if response.status_code == 200]
        wall.now += 11
        assert (await two.redeem(code)).json()["error"] == "invalid_grant"
        assert (await one.call(won["access_token"])).status_code == 401


async def test_a_database_that_is_down_costs_nobody_the_token(server: Postgres, tmp_path: Path) -> None:
    async with replica(server, tmp_path) as b:
        tokens = await b.tokens()
        server.stop()
        try:
            refused = await b.call(tokens["access_token"])
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            assert answered(await b.call("token-of-an-agent"))
            async with replica(server, tmp_path) as late:
                assert (await late.register()).status_code == 503
                server.start()
                assert (await late.register()).status_code == 201
        finally:
            if (await b.call(tokens["access_token"])).status_code == 503:
                server.start()
        assert answered(await b.call(tokens["access_token"]))


# The last one: nobody signs in there for a minute.
async def test_the_passphrase_is_guessed_no_oftener_at_many(server: Postgres, tmp_path: Path) -> None:
    async def guesses(browser: Browser) -> list[int]:
        fields = await browser.open((await browser.authorize()).headers["location"])
        return [(await browser.sign_in(fields, f"guess number {n}")).status_code for n in range(4)]

    async with (
        replica(server, tmp_path) as one,
        replica(server, tmp_path) as two,
    ):
        await one.register()
        two.client = one.client
        assert await guesses(one) == [403] * 4
        assert await guesses(two) == [403, 429, 429, 429]
