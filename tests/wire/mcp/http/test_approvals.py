"""Orders that wait for a person, on the MCP server: for the owner who signed in, never for an agent's token."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import async_playwright, expect

from support import oauth
from support.guard import TOKEN
from support.simulated import simulated
from support.simulator import PAPER
from support.trading import APPROVER, QUESTIONS, Traded, traded

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ASKING = f'mode = "paper"\napproval = "page"\n{QUESTIONS}'
SUMMARY = {"words": "BUY 5 AAPL LMT at 100.00 USD", "is_paper": True, "account": PAPER, "warnings": ["Far away."]}


@dataclass
class Waiting:
    """One order that waits for a person, and the MCP server's address."""

    t: Traded
    origin: str
    ticket: str

    async def outcome(self) -> str:
        return str((await self.t.submit(self.ticket)).json()["outcome"])


@asynccontextmanager
async def waiting(directory: Path) -> AsyncIterator[Waiting]:
    async with traded(simulated(), directory, ASKING) as t:
        serving = oauth.serving(
            directory / "oauth.db",
            guard=t.g.guard,
            guard_token=TOKEN,
            approver_token=APPROVER,
            trading=True,
        )
        async with serving as origin:
            ticket = await t.ticket(summary=SUMMARY)
            assert (await t.submit(ticket)).json()["outcome"] == "approval_needed"
            yield Waiting(t, origin, ticket)


@asynccontextmanager
async def browser(w: Waiting) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"origin": w.origin}
    async with httpx.AsyncClient(base_url=w.origin, headers=headers, follow_redirects=True) as client:
        yield client


async def sign_in(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/approvals", data={"answer": "sign-in", "passphrase": oauth.PASSPHRASE})


def hidden(text: str) -> dict[str, str]:
    return {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text)
    }


async def test_the_owner_signs_in_and_approves(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browser(w) as client:
        closed = await client.get(f"/approvals?ticket={w.ticket}")
        assert "AAPL" not in closed.text
        page = await sign_in(client)
        for text in ("BUY 5 AAPL LMT at 100.00 USD", "Far away.", PAPER, "265598"):
            assert text in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        done = await client.post("/approvals", data=hidden(page.text) | {"answer": "approve"})
        assert "Approved: the agent can submit it now." in done.text
        assert await w.outcome() == "working"
        (entry,) = (await w.t.client.get("/trading/orders")).json()["orders"]
        assert entry["caller"] == "anna"


async def test_nobody_decides_without_the_owners_sign_in_and_page(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browser(w) as client:
        decision = {"ticket": w.ticket, "answer": "approve"}
        assert (await client.post("/approvals", data=decision)).status_code == 403
        wrong = await client.post("/approvals", data={"answer": "sign-in", "passphrase": "wrong"})
        assert (wrong.status_code, "AAPL" in wrong.text) == (403, False)
        page = await sign_in(client)
        assert (await client.post("/approvals", data=decision | {"proof": "0" * 64})).status_code == 403
        form = hidden(page.text)
        elsewhere = await client.post(
            "/approvals", data=form | {"answer": "approve"}, headers={"origin": "https://evil.example"}
        )
        assert elsewhere.status_code == 403
        assert (await client.post("/approvals", data=form | {"answer": "perhaps"})).status_code == 400
        assert await w.outcome() == "approval_needed"


async def test_an_agents_token_opens_nothing(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, httpx.AsyncClient(base_url=w.origin) as client:
        for token in (TOKEN, APPROVER):
            page = await client.get("/approvals", headers={"authorization": f"Bearer {token}"})
            assert "AAPL" not in page.text
        assert (await w.t.client.get("/trading/approvals")).status_code == 403
        refused = await w.t.client.post(f"/trading/tickets/{w.ticket}/decision", json={"approve": True, "by": "me"})
        assert refused.status_code == 403
        assert await w.outcome() == "approval_needed"


async def test_a_refused_order_is_never_sent(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browser(w) as client:
        page = await sign_in(client)
        done = await client.post("/approvals", data=hidden(page.text) | {"answer": "refuse"})
        assert "Refused: it will not be sent." in done.text
        again = await client.post("/approvals", data=hidden(page.text) | {"answer": "approve"})
        assert "refused before" in again.text
        assert await w.outcome() == "declined"
        assert w.t.placed() == []


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
async def test_a_person_decides_in_a_browser(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await chromium.new_page(java_script_enabled=False)
        page.set_default_timeout(20_000)
        await page.goto(f"{w.origin}/approvals?ticket={w.ticket}")
        await page.get_by_label("Passphrase of the owner").fill(oauth.PASSPHRASE)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("BUY 5 AAPL LMT at 100.00 USD", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Approved: the agent can submit it now.")).to_be_visible()
        assert await w.outcome() == "working"
        await chromium.close()
