"""Whatever Apprise speaks, through the real library and a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from ib_operator.background import TryLater
from ib_operator.decision.policy import Channel
from ib_operator.notify import channels
from ib_operator.notify.channels import Notification

# Apprise looks for modules that newer Pythons do without.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

_NOTIFICATION = Notification(
    "needed", "ns1", "demo", "AwaitingLogin", "LoginRequired", "Sign in at the pod.", None, None, "now"
)
_CHANNEL = Channel("mail", "apprise", "mail")


def _secret(folder: Path, url: str) -> Path:
    (folder / "mail").mkdir()
    (folder / "mail/url").write_text(url)
    return folder


async def test_apprise_delivers_title_and_sentence(tmp_path: Path) -> None:
    received: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        folder = _secret(tmp_path, f"json://127.0.0.1:{runner.addresses[0][1]}/hook")
        async with httpx.AsyncClient() as client:
            await channels.send(client, folder, _CHANNEL, _NOTIFICATION, 0)
    finally:
        await runner.cleanup()
    assert (received[0]["title"], received[0]["message"]) == ("ib-mcp: ns1/demo needs you", "Sign in at the pod.")


async def test_a_service_that_is_away_is_tried_again(tmp_path: Path) -> None:
    folder = _secret(tmp_path, "json://127.0.0.1:9/hook")
    async with httpx.AsyncClient() as client:
        with pytest.raises(TryLater):
            await channels.send(client, folder, _CHANNEL, _NOTIFICATION, 0)


async def test_a_url_that_apprise_does_not_know_is_told(tmp_path: Path) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(channels.Misconfigured, match="no Apprise URL"):
            await channels.send(client, _secret(tmp_path, "pigeon://loft"), _CHANNEL, _NOTIFICATION, 0)
