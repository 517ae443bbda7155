"""Agents that are known by the address of a document about them, and addresses that are never called."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from ib_mcp.oauth.client_documents import ClientDocuments, ClientUnknown, PublicNames, check_address, fetch_public
from wire.mcp.auth.flow import BACK, Browser, framed, opened
from wire.mcp.http.test_http import answered

ID = "https://agent.example.com/oauth/client.json"
PUBLIC = "93.184.215.14"


def document(**given: Any) -> bytes:
    told = {"client_id": ID, "client_name": "Claude", "redirect_uris": [BACK]} | given
    return json.dumps({name: one for name, one in told.items() if one is not None}).encode()


class Web:
    """What agents publish; ``asked`` are the addresses that were fetched."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        return self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]


@asynccontextmanager
async def published(folder: Path, monkeypatch: pytest.MonkeyPatch, web: Web) -> AsyncIterator[Browser]:
    monkeypatch.setattr("ib_mcp.oauth.client_documents.fetch_public", web.fetch)
    async with opened(folder, client_documents=True) as browser:
        browser.client = ID
        yield browser


async def test_an_agent_gets_in_by_its_document_and_renews_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = Web(document())
    async with published(tmp_path, monkeypatch, web) as b:
        told = (await b.web.get("/.well-known/oauth-authorization-server")).json()
        assert told["client_id_metadata_document_supported"] is True
        page = await b.web.get((await b.authorize()).headers["location"])
        assert "agent.example.com" in page.text
        b.web.cookies.clear()
        tokens = (await b.redeem(await b.code())).json()
        assert answered(await b.call(tokens["access_token"]))
        assert web.asked == [ID]
    web.contents = [b"gone"]
    async with published(tmp_path, monkeypatch, web) as again:
        assert (await again.renew(tokens["refresh_token"])).status_code == 200
        assert (await again.authorize()).status_code == 400


async def test_what_the_document_says_today_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = "https://agent.example/elsewhere"
    async with published(tmp_path, monkeypatch, Web(document())) as b:
        assert (await b.authorize()).status_code == 302
        assert (await b.authorize(redirect_uri=moved)).status_code == 400
    async with published(tmp_path, monkeypatch, Web(document(redirect_uris=[moved]))) as b:
        assert (await b.authorize()).status_code == 400
        assert (await b.authorize(redirect_uri=moved)).status_code == 302


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"[]",
        b'{"client_id": NaN',
        document(client_id=ID + "/"),
        document(client_id=None),
        document(redirect_uris=None),
        document(redirect_uris=["http://localhost:*/callback"]),
        document(redirect_uris=["javascript:alert(1)"]),
        document(redirect_uris=["https://a.example/#x"]),
        document(client_secret="s"),
        document(token_endpoint_auth_method="client_secret_post"),
        document(client_name="x" * 101),
    ],
)
async def test_a_document_that_is_none_is_told_on_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    async with published(tmp_path, monkeypatch, Web(content)) as b:
        response = await b.authorize()
        assert response.status_code == 400
        assert "location" not in response.headers
        framed(response)


@pytest.mark.parametrize(
    "url",
    [
        "http://agent.example.com/client.json",
        "https://agent.example.com",
        "https://agent.example.com/",
        "https://agent.example.com:8443/client.json",
        "https://agent.example.com:0x1/client.json",
        "https://me:secret@agent.example.com/client.json",
        "https://agent.example.com/client.json#part",
        "https://agent.example.com/a/../client.json",
        "https://agent.example.com/a/%2e%2e/client.json",
        "https://agent.example.com\\@10.0.0.1/client.json",
        "https://agent.example.com/ client.json",
        "https://agent.example.com/" + "x" * 600,
        "https://127.0.0.1/client.json",
        "https://10.0.0.1/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/client.json",
        "https://[::ffff:10.0.0.1]/client.json",
        "https://2130706433/client.json",
        "https://0x7f.1/client.json",
        "https://127.1/client.json",
        "https://localhost/client.json",
        "https://kubernetes/client.json",
        "https://kubernetes.default.svc/client.json",
        "https://kubernetes.default.svc.cluster.local/client.json",
        "https://metadata.google.internal/computeMetadata",
        "https://agent.example.com./client.json",
    ],
)
async def test_no_address_that_may_be_inside_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    web = Web(document(client_id=url))
    with pytest.raises(ClientUnknown):
        check_address(url)
    async with published(tmp_path, monkeypatch, web) as b:
        assert (await b.authorize(client_id=url)).status_code == 400
    assert web.asked == []


async def test_without_the_setting_nothing_is_fetched(tmp_path: Path) -> None:
    async with opened(tmp_path) as b:
        told = (await b.web.get("/.well-known/oauth-authorization-server")).json()
        assert told["client_id_metadata_document_supported"] is False
        assert (await b.authorize(client_id=ID)).status_code == 400


async def test_strangers_make_this_server_fetch_little() -> None:
    web = Web(document())

    async def fetch(url: str) -> bytes:
        await web.fetch(url)
        return document(client_id=url)

    now = [0.0]
    documents = ClientDocuments(lambda: now[0], fetch)
    for number in range(20):
        for _ in range(3):
            await documents.find(f"{ID}?{number}")
    with pytest.raises(ClientUnknown, match="minute"):
        await documents.find(f"{ID}?20")
    now[0] = 61.0
    await documents.find(f"{ID}?20")
    assert len(web.asked) == 21


def lookup(*addresses: str, seen: list[str] | None = None) -> Callable[..., Any]:
    async def look(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if seen is not None:
            seen.append(host)
        kinds = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in addresses]
        return [(kind, socket.SOCK_STREAM, 6, "", (one, port)) for kind, one in zip(kinds, addresses, strict=True)]

    return look


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
    ],
)
async def test_a_name_that_leads_inside_is_refused_also_beside_a_public_address(address: str) -> None:
    with pytest.raises(OSError, match="not public"):
        await PublicNames(lookup(PUBLIC, address)).resolve("agent.example.com", 443)


async def test_search_domains_of_a_cluster_do_not_count() -> None:
    seen: list[str] = []
    await PublicNames(lookup(PUBLIC, seen=seen)).resolve("agent.example.com", 443)
    assert seen == ["agent.example.com."]


class Towards(AbstractResolver):
    """Every name is at a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        return None


@asynccontextmanager
async def host(answer: bytes) -> AsyncIterator[tuple[int, list[bytes], ssl.SSLContext]]:
    """A host of documents: its port, what it was asked, and who trusts it; without an answer it keeps silent."""
    authority = trustme.CA()
    asked: list[bytes] = []
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("agent.example.com").configure_cert(server)
    authority.configure_trust(client)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if answer:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with running:
        yield running.sockets[0].getsockname()[1], asked, client


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (http("302 Found", b"", "Location: https://127.0.0.1/"), "answers 302"),
        (http("404 Not Found", b""), "answers 404"),
        (http("200 OK", b" " * 6000), "more than 5120"),
        (http("200 OK", document(), "Content-Encoding: gzip"), None),
        (b"", "does not answer"),
    ],
)
async def test_a_document_that_redirects_is_large_packed_or_slow_is_not_taken(
    answer: bytes, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ib_mcp.oauth.client_documents._TIMEOUT_S", 0.5)
    async with host(answer) as (port, asked, trusted):
        connector = aiohttp.TCPConnector(resolver=Towards(port), ssl=trusted)
        if problem is None:
            # What comes is taken as it is: nothing is unpacked.
            assert await fetch_public(ID, connector) == document()
        else:
            with pytest.raises(ClientUnknown, match=problem):
                await fetch_public(ID, connector)
    assert len(asked) == 1
    assert b"host: agent.example.com\r\n" in asked[0].lower()


async def test_whoever_answers_has_to_be_the_host() -> None:
    async with host(http("200 OK", document())) as (port, asked, trusted):
        with pytest.raises(ClientUnknown):
            await fetch_public(ID, aiohttp.TCPConnector(resolver=Towards(port)))
        other = "https://other.example.com/client.json"
        with pytest.raises(ClientUnknown):
            await fetch_public(other, aiohttp.TCPConnector(resolver=Towards(port), ssl=trusted))
    assert asked == []


async def test_a_name_of_this_machine_is_not_connected_to() -> None:
    async with host(http("200 OK", document())) as (_, asked, trusted):
        connector = aiohttp.TCPConnector(resolver=PublicNames(lookup("127.0.0.1")), ssl=trusted)
        with pytest.raises(ClientUnknown, match="not public"):
            await fetch_public(ID, connector)
    assert asked == []
