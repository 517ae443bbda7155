"""Orders that wait for a person, on the login port: shown whole, decided once, and by nobody else's page."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect
from starlette.types import ASGIApp

from ib_keepalive.app import Keepalive
from ib_keepalive.login import create_login
from ib_keepalive.settings import KeepaliveSettings
from support import programs
from support.page_states import violations
from support.serve import InProcess, serve
from support.simulated import simulated
from support.simulator import PAPER
from support.trading import QUESTIONS, Traded, order, traded

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ASKING = f'mode = "paper"\napproval = "page"\n{QUESTIONS}'
SUMMARY = {
    "words": "BUY 5 AAPL (Apple Inc) LMT at 100.00 USD, good till cancelled",
    "is_paper": True,
    "account": PAPER,
    "cost": {"amount": "500.00 USD", "commission": "1.00 USD"},
    "warnings": ["The limit is 50% below the market."],
}
here = {"host": "localhost:5443"}


@dataclass
class Waiting:
    """One order that waits for a person."""

    t: Traded
    app: ASGIApp
    ticket: str

    async def submit(self) -> dict[str, Any]:
        outcome: dict[str, Any] = (await self.t.submit(self.ticket)).json()
        return outcome


@asynccontextmanager
async def waiting(directory: Path, **summary: Any) -> AsyncIterator[Waiting]:
    async with traded(simulated(), directory, ASKING) as t, serve(t.broker.app) as gateway_url:
        settings = KeepaliveSettings(gateway_url=gateway_url, token="token-of-tests")
        async with Keepalive(settings, wall=t.broker.clock.now) as keepalive, httpx.AsyncClient() as unused:
            app = create_login(settings, unused, keepalive.keeper, t.trading, t.broker.clock.now)
            ticket = await t.ticket(summary=SUMMARY | summary)
            assert (await t.submit(ticket)).json()["outcome"] == "approval_needed"
            yield Waiting(t, app, ticket)


@asynccontextmanager
async def browsing(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=InProcess(app), base_url="http://localhost:5443") as client:
        yield client


def form_of(text: str, ticket: str) -> dict[str, str]:
    """The hidden fields of the ticket's form."""
    form = next(part for part in text.split("<form")[1:] if f'value="{ticket}"' in part)
    return {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)[:2]}


async def test_everything_about_the_order_is_shown(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browsing(w.app) as client:
        page = (await client.get("/approvals")).text
        shown = html.unescape(re.sub(r"<[^>]+>", " ", page))
        for text in (SUMMARY["words"], "50% below", "500.00 USD", "1.00 USD", PAPER, "anna", "265598", "LMT", "GTC"):
            assert str(text) in shown
        assert "9 min" in shown or "10 min" in shown
        assert "<script" not in page


async def test_an_approved_order_is_sent_and_a_refused_one_is_not(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browsing(w.app) as client:
        refused = await w.t.ticket(order(price=90.0), summary=SUMMARY)
        await w.t.submit(refused)
        page = (await client.get("/approvals")).text
        for ticket, answer, done in ((w.ticket, "approve", "approved"), (refused, "refuse", "refused")):
            gone = await client.post("/approvals", data=form_of(page, ticket) | {"answer": answer})
            assert (gone.status_code, gone.headers["location"]) == (303, f"/approvals?done={done}")
        assert "No order waits" in (await client.get("/approvals?done=approved")).text
        assert (await w.submit())["outcome"] == "working"
        declined = (await w.t.submit(refused)).json()
        assert (declined["outcome"], "login port" in declined["message"]) == ("declined", True)
        assert len(w.t.placed()) == 1


async def test_a_decision_needs_the_page_of_this_server(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browsing(w.app) as client:
        form = form_of((await client.get("/approvals")).text, w.ticket) | {"answer": "approve"}
        for headers, data in (
            ({"origin": "https://evil.example"}, form),
            ({"origin": "null"}, form),
            ({"sec-fetch-site": "cross-site"}, form),
            ({}, form | {"key": "0" * 64}),
            ({}, {name: value for name, value in form.items() if name != "key"}),
            ({"host": "evil.example"}, form),
        ):
            refused = await client.post("/approvals", data=data, headers=headers)
            assert refused.status_code == 403, (headers, data)
        assert (await client.post("/approvals", data=form | {"answer": "maybe"})).status_code == 400
        for content in (b"\xff" * 10, b"a=b&" * 20):
            assert (await client.post("/approvals", content=content)).status_code == 400
        assert (await client.put("/approvals")).status_code == 405
        assert (await w.submit())["outcome"] == "approval_needed"
        assert w.t.placed() == []


async def test_no_other_page_can_frame_it(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browsing(w.app) as client:
        headers = (await client.get("/approvals")).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


async def test_words_that_say_something_else_than_what_is_sent_are_told(tmp_path: Path) -> None:
    words = "<b>SELL</b> nothing"
    async with waiting(tmp_path, account="DU0000000", is_paper=False, words=words) as w, browsing(w.app) as client:
        page = (await client.get(f"/approvals?ticket={w.ticket}")).text
        assert "another account: DU0000000" in page
        # IBKR's own word about the instrument and the account, whoever says something else.
        assert "AAPL, STK, USD" in page
        assert "PAPER account" in page
        assert "<b>" not in page
        assert "&lt;b&gt;SELL" in page


async def test_what_was_decided_or_never_asked_waits_no_more(tmp_path: Path) -> None:
    async with waiting(tmp_path) as w, browsing(w.app) as client:
        form = form_of((await client.get("/approvals")).text, w.ticket)
        assert "waits no more" in (await client.get("/approvals?ticket=AAAAAAAAAAAAAAAAAAAAAA")).text
        await client.post("/approvals", data=form | {"answer": "refuse"})
        again = await client.post("/approvals", data=form | {"answer": "approve"})
        assert (again.status_code, "refused before" in again.text) == (400, True)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
@pytest.mark.parametrize("javascript", [True, False])
async def test_a_person_decides_in_a_browser(tmp_path: Path, javascript: bool) -> None:
    async with waiting(tmp_path) as w, opened(w.app, javascript=javascript) as (page, complaints):
        await page.get_by_role("link", name="Orders to approve").click()
        await expect(page.get_by_text(SUMMARY["words"], exact=True)).to_be_visible()
        await expect(page.get_by_text("The limit is 50% below the market.")).to_be_visible()
        await expect(page.get_by_text("Left to decide")).to_be_visible()
        try:
            assert not javascript or await violations(page) == []
        except programs.Unavailable as reason:
            pytest.skip(str(reason))
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert not javascript or await page.evaluate(fits), "it has to be scrolled sideways"
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Approved: the agent can submit it now.")).to_be_visible()
        await expect(page.get_by_text("No order waits for you.")).to_be_visible()
        assert complaints == []
        assert (await w.submit())["outcome"] == "working"


@asynccontextmanager
async def opened(app: ASGIApp, *, javascript: bool) -> AsyncIterator[tuple[Page, list[str]]]:
    """The login port in Chromium, and what the browser complains of."""
    async with serve(app) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(java_script_enabled=javascript, viewport={"width": 360, "height": 900})
        page.set_default_timeout(20_000)
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        await page.goto(url.replace("127.0.0.1", "localhost"))
        yield page, complaints
        await browser.close()
