"""What a pod may answer in the place of its keepalive: read within 64 KiB, unpacked never, and told in a few words."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import psutil
import pytest

from ib_operator import sidecar
from ib_operator.http_client import open_client, sockets
from support.operator import says
from support.sockets import receiver


@asynccontextmanager
async def pod(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    async with receiver(answer) as (place, came):
        yield f"http://{place}", came


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""])
    return head.encode() + body


BOMB = ok(gzip.compress(bytes(64 << 20)), "content-encoding: gzip")
STATUS = json.dumps(says("authenticated").to_json()).encode()
ODD = {
    "bomb": BOMB,
    "packed": ok(gzip.compress(STATUS), "content-encoding: gzip"),
    "endless": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (1 << 20),
    "deep": ok(b'{"schema": ' + b"[" * 900 + b"]" * 900 + b"}"),
    "long number": ok(STATUS[:-1] + b', "age_seconds": ' + b"9" * 400 + b"}"),
    "NaN": ok(STATUS[:-1] + b', "age_seconds": NaN}'),
    "999": ok(STATUS, status="999 Odd"),
    "no http": b"\x00\x01\r\n\r\n",
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
async def test_an_odd_answer_is_no_status_and_costs_no_memory(answer: bytes) -> None:
    before = psutil.Process().memory_info().rss
    async with pod(answer) as (base, came), aclosing(sockets(reuse=False)) as way:
        with pytest.raises(sidecar.NoStatus):
            await sidecar.read_status(open_client(way), base)
    assert b"accept-encoding: identity" in came[0].lower()
    assert psutil.Process().memory_info().rss - before < 32 << 20


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
async def test_an_odd_answer_to_an_opening_is_lost_and_not_asked_for_again(answer: bytes) -> None:
    async with pod(answer) as (base, came), aclosing(sockets(reuse=False)) as way:
        opened = await sidecar.reauthenticate(open_client(way), base, instance="uid", is_person=False)
    assert opened.result == "lost"
    assert len(came) == 1


async def test_a_usual_status_is_read() -> None:
    async with pod(ok(STATUS)) as (base, _), aclosing(sockets(reuse=False)) as way:
        assert (await sidecar.read_status(open_client(way), base)).state == "authenticated"
