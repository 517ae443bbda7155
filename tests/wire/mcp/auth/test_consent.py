"""The owner's answer: whose browser, which page, how often."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from wire.mcp.auth.flow import HOST, PASSPHRASE, Browser, Wall, framed, opened


async def test_the_page_tells_who_asks_and_escapes_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register(client_name="<script>alert(1)</script>")
        page = await b.web.get((await b.authorize()).headers["location"])
        framed(page)
        # Browsers would stop the way back to the agent.
        assert "form-action" not in page.headers["content-security-policy"]
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
        tries = await asyncio.gather(*(b.sign_in(fields, f"guess number {n}") for n in range(8)))
        assert sorted(response.status_code for response in tries) == [403] * 5 + [429] * 3
        assert (await b.post(fields, answer="allow")).status_code == 403
        late = await b.sign_in(fields)
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) > 0


async def test_requests_that_nobody_opens_push_out_none_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ib_mcp.oauth.store._MOST_REQUESTS", 5)
    async with opened(tmp_path) as b:
        await b.register()
        forgotten = (await b.authorize()).headers["location"]
        fields = await b.open((await b.authorize()).headers["location"])
        for _ in range(20):
            assert (await b.authorize()).status_code == 302
        assert (await b.web.get(forgotten)).status_code == 400
        assert (await b.answer(fields)).status_code == 303


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


async def test_a_sign_in_is_good_for_ten_minutes_of_letting_agents_in(tmp_path: Path, wall: Wall) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        await b.sign_in(await b.open((await b.authorize()).headers["location"]))
        wall.now += 590
        fields = await b.open((await b.authorize()).headers["location"])
        assert fields["listed"] == "U1000001 U1000002"
        wall.now += 20
        late = await b.post(fields, answer="allow", account=["U1000001"])
        assert late.status_code == 403
        assert "U1000001" not in late.text
        # The status may be looked at for longer.
        assert "authenticated" in (await b.web.get("/", headers=b._cookie())).text
        wall.now += 12 * 3600
        assert "authenticated" not in (await b.web.get("/", headers=b._cookie())).text


async def test_another_passphrase_ends_every_sign_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        await b.register()
        await b.sign_in(await b.open((await b.authorize()).headers["location"]))
        assert "authenticated" in (await b.web.get("/", headers=b._cookie())).text
    async with opened(tmp_path, passphrase="another sentence of the owner") as again:
        assert "authenticated" not in (await again.web.get("/", headers=b._cookie())).text
