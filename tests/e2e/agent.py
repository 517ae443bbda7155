"""What an agent and its owner do: sign in with a browser, call tools over MCP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from playwright.async_api import async_playwright

from support import programs

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def agent(url: str, token: str, authority: Path | None = None) -> AsyncIterator[Client[Any]]:
    """A connected MCP client; ``authority`` is the CA of a TLS front."""
    verify = ssl.create_default_context(cafile=str(authority)) if authority else True

    def factory(**options: Any) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(verify=verify, **{**options, "timeout": 30})

    transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {token}"}, httpx_client_factory=factory)
    async with Client(transport) as client:
        yield client


async def sign_in(landing: str, user: str = "robin-paper", password: str = "paper") -> None:
    """Sign in by the landing page as a person does, until the page says that it is done."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=programs.chromium(), args=_QUIET)
        try:
            page = await browser.new_page()
            await page.goto(landing)
            await page.get_by_role("link", name="Sign in").click()
            await page.fill("[name=user_name]", user)
            await page.fill("[name=password]", password)
            await page.get_by_role("button", name="Login").click()
            await page.locator("main[data-tone=good]").wait_for(timeout=30_000)
        finally:
            await browser.close()


async def approve(landing: str, words: str) -> None:
    """Approve the one order that waits, as a person does on the page that the landing page leads to."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=programs.chromium(), args=_QUIET)
        try:
            page = await browser.new_page()
            await page.goto(landing)
            await page.get_by_role("link", name="Orders to approve").click()
            await page.get_by_text(words).first.wait_for(timeout=30_000)
            await page.get_by_role("button", name="Approve").click()
            await page.get_by_text("Approved: the agent can submit it now.").wait_for(timeout=30_000)
        finally:
            await browser.close()
