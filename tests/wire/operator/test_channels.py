"""Webhooks on sockets: addresses however they are written, and answers that nobody reads."""

from __future__ import annotations

import gzip
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from ib_operator.decision.policy import Channel
from ib_operator.http_client import open_client, sockets
from ib_operator.notify import channels
from ib_operator.notify.channels import Notification
from support.operator import HINT, NOON
from support.sockets import receiver

_NOTIFICATION = Notification("needed", "ns1", "demo", "AwaitingLogin", "LoginRequired", "Sign in.", HINT, None, "now")


@pytest.mark.parametrize("url", ["HTTP://{}/x", "http://someone:pä@{}/x", "http://{}/ö?q=ö"])
async def test_an_address_is_used_however_it_is_written(tmp_path: Path, url: str) -> None:
    (tmp_path / "home").mkdir()
    async with receiver(b"HTTP/1.1 204 No Content\r\n\r\n") as (place, came), aclosing(sockets(reuse=False)) as way:
        (tmp_path / "home/url").write_text(url.format(place))
        channel = Channel("home", "webhook", "home")
        await channels.send(open_client(way), tmp_path, channel, _NOTIFICATION, NOON)
    assert len(came) == 1


async def test_a_packed_answer_of_a_webhook_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    bomb = gzip.compress(bytes(64 << 20))
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    before = psutil.Process().memory_info().rss
    async with receiver(head + bomb) as (place, _), aclosing(sockets(reuse=False)) as way:
        (tmp_path / "home/url").write_text(f"http://{place}/")
        await channels.send(open_client(way), tmp_path, Channel("x", "webhook", "home"), _NOTIFICATION, NOON)
    assert psutil.Process().memory_info().rss - before < 32 << 20
