"""Reading documents: whatever is given ends soon, and with a sentence."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ib_mcp.openapi import fetch
from ib_mcp.openapi.errors import DocumentUnreachable, DocumentUnreadable
from ib_mcp.openapi.load import load, parse

START = '{"openapi": "3.0.0", "paths": {}, "x": '
BOMB = "\n".join(
    ["openapi: 3.0.0", "a0: &a0 [1, 1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (START + "[" * 10_000 + "]" * 10_000 + "}", "deeper than 100"),
        ("openapi: 3.0.0\nx: " + "[" * 10_000, "deeper than 100"),
        ("openapi: 3.0.0\nx: " + "{a: " * 10_000, "deeper than 100"),
        (START + '{"a":' * 150 + "1" + "}" * 150 + "}", "deeper than 100"),
        (START + "[" + "1," * 2_000_001 + "1]}", "more than 1,000,000"),
        (BOMB, "more values"),
        ("openapi: 3.0.0\na: &a [*a]", "contains itself"),
        ("openapi: 3.0.0\na: *b", "without defining"),
        ("openapi: 3.0.0\n? [a]\n: 1", "key that is no text"),
        (START + "1e999}", "too large"),
        ("\x00\x01 no text", "neither JSON nor YAML"),
        ("openapi: 3.0.0\npaths: {}\n---\nopenapi: 3.0.0\npaths: {/a: {get: {}}}", "several YAML documents"),
        ("<html><body>Sign in</body></html>", "no object"),
        ("- a", "no object"),
        ("[]", "no object"),
        ("", "no object"),
        ('{"title": "x"}', "no OpenAPI document"),
    ],
)
def test_what_is_no_document_within_bounds_is_refused_with_a_sentence(content: str, said: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DocumentUnreadable, match=said) as refused:
            parse(content.encode())
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert refused.value.action


def test_yaml_is_read_with_the_types_of_json() -> None:
    text = """
openapi: 3.0.0
paths: {}
x-base: &base {a: 1, b: yes}
x: {<<: *base, b: no, 200: ~, n: -1.5e2, t: 'true', f: true, d: 2020-01-01, o: 0x10, e: "", again: *base}
"""
    assert parse(text.encode()).root["x"] == {
        "a": 1, "b": "no", "200": None, "n": -150.0, "t": "true", "f": True, "d": "2020-01-01", "o": "0x10", "e": "",
        "again": {"a": 1, "b": "yes"},
    }  # fmt: skip


def test_bytes_that_are_no_text_are_named() -> None:
    with pytest.raises(DocumentUnreadable, match="byte 41 is not utf-8"):
        parse(START.encode() + b'"\xe9"}')
    with pytest.raises(DocumentUnreadable, match="no text"):
        parse(gzip.compress(START.encode()))


def test_markers_around_one_document_are_read_over() -> None:
    assert parse(b"%YAML 1.1\n---\nopenapi: 3.0.0\n...\n---\n").root == {"openapi": "3.0.0"}


def test_json_and_yaml_of_one_document_are_the_same() -> None:
    root = {
        "openapi": "3.1.0",
        "paths": {"/a": {"get": {"responses": {"200": {"description": "ü"}}, "n": [1, 2.5, None]}}},
    }
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert parse(json.dumps(root, ensure_ascii=False).encode(encoding)).root == root
    assert (
        parse(
            b"openapi: 3.1.0\npaths: {/a: {get: {responses: {200: {description: \xc3\xbc}}, n: [1, 2.5, null]}}}"
        ).root
        == root
    )


def test_keys_that_stand_twice_are_named() -> None:
    assert parse(b'{"openapi": "3", "a": {"b": 1}, "a": {"c": 2, "b": 3}}').repeated == ("a", "b")
    assert parse(b"openapi: '3'\na: 1\na: 2").repeated == ("a",)


def test_files_that_cannot_be_read_or_are_too_large_are_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), ("a\0b", "no path")):
        with pytest.raises(DocumentUnreadable, match=said):
            load(str(path))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(fetch.MOST_BYTES + 1)
    with pytest.raises(DocumentUnreadable, match="larger than 50 MB"):
        load(str(large))


@pytest.fixture
def server() -> Iterator[Any]:
    """``server(parts)`` answers the next connection with these bytes, ``None`` for silence; the address."""
    ends: list[Any] = []

    def answering(*parts: bytes | None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        ends.append(listener)

        def serve() -> None:
            connection, _ = listener.accept()
            ends.append(connection)
            connection.recv(65536)
            for part in parts:
                if part is None:
                    return
                try:
                    connection.sendall(part)
                except OSError:
                    return
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/spec"

    yield answering
    for end in ends:
        with closing(end):
            pass


def test_a_document_is_read_from_an_address(server: Any) -> None:
    body = b'{"openapi": "3.0.0", "paths": {}}'
    url = server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert load(url).root["openapi"] == "3.0.0"


@pytest.mark.parametrize(
    ("parts", "error", "said"),
    [
        ((None,), DocumentUnreachable, "within 0.5 s"),
        ((b"HTTP/1.1 200 OK\r\nX: ", None), DocumentUnreachable, "within 0.5 s"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", None), DocumentUnreachable, "within 0.5 s"),
        ((b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",), DocumentUnreachable, "HTTP 503"),
        (
            (b"HTTP/1.1 302 No\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n",),
            DocumentUnreachable,
            "does not send",
        ),
        ((b"no http\r\n\r\n",), DocumentUnreachable, "does not send"),
        ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",), DocumentUnreadable, "packed"),
    ],
)
def test_an_address_that_does_not_send_a_document_is_given_up_on(
    server: Any, parts: Any, error: Any, said: str
) -> None:
    with pytest.raises(error, match=said):
        fetch.fetch(server(*parts), within_s=0.5)


def test_an_address_that_sends_too_much_is_given_up_on(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MOST_BYTES", 1000)
    url = server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 2000)
    with pytest.raises(DocumentUnreadable, match="larger than"):
        fetch.fetch(url)


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(DocumentUnreachable):
        fetch.fetch("http://127.0.0.1:1/x", within_s=5)
    with pytest.raises(DocumentUnreachable, match="The address"):
        fetch.fetch("http://[", within_s=5)
