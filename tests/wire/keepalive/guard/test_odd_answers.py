"""What the gateway may answer and nobody expects, byte for byte on a socket: the guard answers cleanly and lives on."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.pacer import Pacer
from ib_service.http.caller_gone import CallerGone, unless_gone
from ibkr import catalogue
from support.guard import TOKEN, Session, error_of, guard_before
from support.keepalive import settings
from support.serve import serve

LEDGER = "/v1/api/portfolio/DU1/ledger"
# No time for a second try of what may be a passing trouble.
_HEADERS = {"Authorization": f"Bearer {TOKEN}", "ib-deadline-ms": "900"}


def response(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    head = [b"HTTP/1.1 " + status, b"content-type: application/json", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*head, b"connection: close", b"", body])


@asynccontextmanager
async def gateway(answer: bytes) -> AsyncIterator[str]:
    """A gateway that says ``answer`` to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def asking(answer: bytes) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        gateway(answer) as gateway_url,
        guard_before(gateway_url, Session(), Metrics()) as guard,
        serve(guard) as url,
        httpx.AsyncClient(base_url=url, headers=_HEADERS, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"BASE": {"a": NaN, "b": -Infinity, "c": 1e999, "d": 5}}', {"a": None, "b": None, "c": None, "d": 5}),
        (rb'{"BASE": {"name": "a\ud800b"}}', {"name": "a�b"}),
        (b'{"BASE": {"name": "a\xffb"}}', {"name": "a�b"}),
        (b'{"BASE": {"a": ' + b"9" * 400 + b', "d": 5}}', {"a": None, "d": 5}),
    ],
)
async def test_a_figure_or_character_that_is_none_costs_no_more_than_itself(body: bytes, shown: Any) -> None:
    async with asking(response(body)) as client:
        answered = await client.get(LEDGER)
        assert answered.status_code == 200
        assert json.loads(answered.content)["BASE"] == shown
        answered.content.decode("utf-8")
        assert b"NaN" not in answered.content


async def test_what_is_packed_without_being_asked_is_unpacked() -> None:
    async with asking(response(gzip.compress(b'{"BASE": {"d": 5}}'), b"content-encoding: gzip")) as client:
        assert (await client.get(LEDGER)).json() == {"BASE": {"d": 5}}


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (response(b"[" * 900 + b"]" * 900), 502, "upstream_error"),
        (response(b"[" * 900 + b"]" * 900, status=b"500 Internal Server Error"), 500, "upstream_error"),
        (response(gzip.compress(bytes(64 << 20)), b"content-encoding: gzip"), 502, "upstream_error"),
        (response(b"{}", b"content-encoding: br"), 502, "upstream_error"),
        (response(status=b"999 Odd"), 502, "upstream_error"),
        (response(status=b"600 Odd"), 502, "upstream_error"),
        (response(b'{"error": "\\ud800"}', status=b"400 Bad"), 400, "upstream_error"),
        (response(b"", "retry-after: ²".encode(), status=b"429 Too Many"), 429, "pacing_limited"),
        (response(b"", b"retry-after: " + b"9" * 300, status=b"429 Too Many"), 429, "pacing_limited"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\n{}", 502, "upstream_unreachable"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n{}", 502, "upstream_unreachable"),
        (b"\x00\x01\x02", 502, "upstream_unreachable"),
    ],
    ids=[
        "deep", "deep error", "bomb", "unknown packing", "999", "600", "half a character in an error", "odd wait",
        "endless wait", "length", "headers", "no http",
    ],
)  # fmt: skip
async def test_an_answer_that_cannot_be_used_is_an_error_of_the_envelope(answer: bytes, status: int, code: str) -> None:
    async with asking(answer) as client:
        answered = await client.get(LEDGER)
        assert (answered.status_code, error_of(answered)["code"]) == (status, code)
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        response(b"", "retry-after: ²".encode(), status=b"429 Too Many"),
        response(b"[" * 900 + b"]" * 900),
        response(b'{"ssoExpires": ' + b"9" * 400 + b', "iserver": {"authStatus": {"authenticated": NaN}}}'),
        response(gzip.compress(bytes(64 << 20)), b"content-encoding: gzip"),
        response(b"{}", b"content-encoding: br"),
        response(rb'{"error": "\ud800"}'),
        response(status=b"999 Odd"),
    ],
)
async def test_the_keeper_lives_on_with_what_its_probes_are_answered(answer: bytes) -> None:
    async with gateway(answer) as url:
        keepalive = Keepalive(settings(gateway_url=url))
        async with (
            keepalive,
            httpx.AsyncClient(transport=httpx.ASGITransport(keepalive.control), base_url="http://127.0.0.1") as ask,
        ):
            async with asyncio.timeout(10):
                while b"ibmcp_upstream_requests_total{" not in keepalive.metrics.render():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert (await ask.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    "journal",
    [
        b"[" * 900 + b"]" * 900,
        b"[" * 100_000,
        b'{"calls": {"get_scanner_parameters": [' + b"9" * 400 + b']}, "penalty_until": 0}',
        b'{"calls": {}, "penalty_until": ' + b"9" * 400 + b"}",
        b'{"calls": {}, "penalty_until": NaN}',
        b'{"calls": {"get_scanner_parameters": 5}, "penalty_until": 0}',
        b"\xff\xfe",
    ],
)
async def test_a_journal_that_nobody_can_have_written_is_no_penalty(tmp_path: Path, journal: bytes) -> None:
    (tmp_path / "journal").write_bytes(journal)
    pacer = Pacer(catalogue.load(), Metrics(), journal=tmp_path / "journal")
    pacer.remember()
    pacer.close()


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": 1e999}', rb'{"a": "\ud800"}', b'{"a":' * 900, b"\xff"])
async def test_a_callers_odd_body_is_an_invalid_request(body: bytes) -> None:
    async with asking(response()) as client:
        answered = await client.post("/v1/api/iserver/secdef/search", content=body)
        assert (answered.status_code, error_of(answered)["code"]) == (400, "invalid_request")


async def test_a_length_with_thousands_of_zeros_is_a_number() -> None:
    """In process: on sockets the listener refuses it."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-length", b"0" * 5000 + b"2")]
    path = "/v1/api/iserver/secdef/search"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
    async with gateway(response()) as url, guard_before(url, Session(), Metrics()) as guard:
        await guard(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_who_leaves_in_the_moment_of_the_answer_breaks_nothing() -> None:
    """The callback of leaving comes after the end of the work that it would have ended."""
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    left = asyncio.Event()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def work(turns: int, leave_at: int) -> str:
        for turn in range(turns):
            if turn == leave_at:
                left.set()
            await asyncio.sleep(0)
        return "done"

    for turns in range(6):
        for leave_at in range(6):
            left.clear()
            try:
                assert await unless_gone(receive, work(turns, leave_at)) == "done"
            except CallerGone:
                assert left.is_set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert not problems
