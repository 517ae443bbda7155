"""The owner's page: what it shows, to whom, and how a grant is ended there."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from support import oauth, programs
from support.page_states import browser
from wire.mcp.auth.flow import opened
from wire.mcp.http.test_http import StubGuard, answered, application, question, serving


async def _at(address: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async with application(StubGuard()) as app, app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=(address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8800") as web:
            return await web.get("/", headers=headers)


async def test_without_a_passphrase_it_is_for_this_machine_only() -> None:
    page = await _at("127.0.0.1")
    assert page.status_code == 200
    assert "authenticated" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (await _at("192.0.2.7")).status_code == 403
    assert (await _at("127.0.0.1", {"x-forwarded-for": "192.0.2.7"})).status_code == 403
    async with serving(host="0.0.0.0") as web:
        assert (await web.get("/")).status_code == 404


async def test_with_one_it_is_for_the_owner_who_ends_a_grant_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        token = (await b.tokens())["access_token"]
        asked = question("tools/call", token=token, name="list_accounts", arguments={})
        answered(await b.web.post("/mcp", **asked))
        b.web.cookies.clear()
        closed = await b.web.get("/")
        assert "claude-1" not in closed.text
        assert "authenticated" not in closed.text
        wrong = await b.web.post("/", data={"answer": "sign-in", "passphrase": "wrong"})
        assert wrong.status_code == 403
        forged = await b.web.get("/", headers={"cookie": "__Host-ib-owner=9999999999.00"})
        assert "claude-1" not in forged.text
        assert (await b.web.post("/", data={"answer": "revoke", "name": "x"})).status_code == 403
        done = await b.web.post("/", data={"answer": "sign-in", "passphrase": oauth.PASSPHRASE})
        assert done.status_code == 303
        assert "samesite=lax" in done.headers["set-cookie"].lower()
        page = (await b.web.get("/")).text
        assert "list_accounts" in page
        assert token not in page
        fields = dict(re.findall(r'name=(proof|name) value="([^"]+)"', page))
        assert (await b.web.post("/", data=fields | {"answer": "revoke", "proof": "0"})).status_code == 403
        assert (await b.web.post("/", data=fields | {"answer": "revoke"})).status_code == 303
        assert (await b.web.post("/mcp", **asked)).status_code == 401
        await b.web.post("/", data=fields | {"answer": "out"})
        assert "list_accounts" not in (await b.web.get("/")).text


async def test_named_tokens_are_shown_and_ended_where_their_folder_can_be_changed(tmp_path: Path) -> None:
    (folder := tmp_path / "tokens").mkdir()
    (folder / "laptop").write_text("token-of-the-laptop accounts=U1 expires=2030-01-31\n")
    (folder / "shared").write_text("token-of-one-of-two name=one\ntoken-of-two-of-two name=two\n")
    async with opened(tmp_path, tokens_dir=folder) as b:
        asked = question("tools/call", token="token-of-the-laptop", name="list_accounts", arguments={})
        assert (await b.web.post("/mcp", **asked)).status_code == 200
        await b.web.post("/", data={"answer": "sign-in", "passphrase": oauth.PASSPHRASE})
        page = (await b.web.get("/")).text
        assert "2030-01-31" in page
        assert "token-of-the" not in page
        proof = dict(re.findall(r'name=(proof) value="([^"]+)"', page))
        for name, status in (("laptop", 303), ("one", 200), ("unknown", 200)):
            done = await b.web.post("/", data=proof | {"answer": "revoke-token", "name": name})
            assert done.status_code == status, name
            assert ("ib-mcp token revoke" in done.text) == (status == 200)
        assert (await b.web.post("/mcp", **asked)).status_code == 401
        asked = question("tools/list", token="token-of-one-of-two")
        assert (await b.web.post("/mcp", **asked)).status_code == 200
        assert "without a good token" in (await b.web.get("/")).text


async def test_it_says_what_the_session_is_in_words_and_what_went_to_ibkr(tmp_path: Path) -> None:
    status = {
        "state": "login_required",
        "login": {"url_hint": "run 'kubectl port-forward' and open http://localhost:5000"},
        "traffic": {"sent": 40, "waiting": 3, "answers": {"upstream": 30, "cache": 70, "error": 0}},
        "gateway": {"build": "10.39.1e"},
    }
    async with opened(tmp_path, StubGuard(**status)) as b:
        await b.web.post("/", data={"answer": "sign-in", "passphrase": oauth.PASSPHRASE})
        page = (await b.web.get("/")).text
        for told in ("Sign-in needed", "kubectl port-forward", "40, 3 waiting", "70 from what was known", "10.39.1e"):
            assert told in page
        assert 'data-tone="act"' in page


async def test_it_renews_itself_under_its_own_policy(tmp_path: Path) -> None:
    try:
        programs.chromium()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    async with oauth.serving(tmp_path / "oauth.db") as origin, browser("light", 1000) as page:
        await page.goto(origin)
        await page.get_by_label("Passphrase of the owner").fill(oauth.PASSPHRASE)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Session").wait_for()
        async with page.expect_response(lambda response: response.url == f"{origin}/", timeout=20_000) as again:
            pass
        assert (await again.value).ok
