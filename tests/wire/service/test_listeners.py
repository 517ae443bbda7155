"""What anybody without a token can do to a port: nothing. Every listener of every part, as a process, on sockets."""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.listeners import NAMES, Port, restarts, running

MEBIBYTE = 1024 * 1024
# What reading a few requests at their bounds may cost, allocator and all.
ROOM = 24 * MEBIBYTE

each_listener = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Port]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        with running(tmp_path_factory.mktemp("parts")) as started:
            yield started
            assert not restarts(started)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Status and error of what the peer says until it closes."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            said += part
    head, _, body = said.partition(b"\r\n\r\n")
    error: dict[str, object] = json.loads(body)["error"]
    return int(head.split()[1]), error


def refused(port: Port, request: bytes) -> tuple[int, object]:
    with port.connect() as connection:
        connection.sendall(request)
        status, error = answer(connection)
    return status, error["code"]


@each_listener
def test_headers_larger_than_32_kib_are_refused(ports: Mapping[str, Port], name: str) -> None:
    large = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 33 * 1024
    assert refused(ports[name], large) == (431, "invalid_request")
    long = b"GET /" + b"a" * 33 * 1024 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"
    assert refused(ports[name], long) == (431, "invalid_request")


@each_listener
def test_more_than_a_hundred_headers_are_refused(ports: Mapping[str, Port], name: str) -> None:
    many = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + b"a: b\r\n" * 100 + b"\r\n"
    assert refused(ports[name], many) == (431, "invalid_request")


@each_listener
def test_two_hundred_megabytes_of_headers_cost_nothing(ports: Mapping[str, Port], name: str) -> None:
    port = ports[name]
    before = port.memory
    sent = 0
    with port.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: ")
        with contextlib.suppress(ConnectionError):
            while sent < 200 * MEBIBYTE:
                sent += connection.send(b"a" * MEBIBYTE)
    assert sent < 64 * MEBIBYTE
    assert port.memory - before < ROOM
    assert port.is_well()


@each_listener
@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/api/tickle HTTP/1.1\r\nhost: localhost\r\ncontent-length: " + b"0" * 5000 + b"\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n",
    ],
    ids=["tls", "http2", "negative length", "long length", "connect", "no ascii", "no colon"],
)
def test_what_is_no_request_is_answered_with_the_envelope(
    ports: Mapping[str, Port], name: str, request_: bytes
) -> None:
    assert refused(ports[name], request_) == (400, "invalid_request")


@each_listener
def test_a_thousand_half_sent_requests_do_not_close_a_port(ports: Mapping[str, Port], name: str) -> None:
    port = ports[name]
    before = port.memory
    with contextlib.ExitStack() as held:
        for _ in range(1024):
            connection = held.enter_context(port.connect())
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
        began = time.monotonic()
        assert port.is_well()
        assert time.monotonic() - began < 2
        assert port.memory - before < ROOM


def test_what_comes_too_slowly_is_given_up_everywhere(ports: Mapping[str, Port]) -> None:
    """Half a head on each port, and half a body where one may be sent without a token; ten seconds for all of them."""
    with contextlib.ExitStack() as held:
        begun = {}
        for name, port in ports.items():
            begun[name] = held.enter_context(port.connect())
            begun[name].sendall(b"GET /healthz HTTP/1.1\r\n")
        slow = held.enter_context(ports["login"].connect())
        slow.sendall(b"POST /sso/Login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nuser")
        silent = held.enter_context(ports["mcp"].connect())
        began = time.monotonic()
        while time.monotonic() - began < 9:
            # A byte now and then makes no difference.
            for connection in begun.values():
                connection.sendall(b"x")
            assert not select.select(list(begun.values()), [], [], 1)[0]
        assert {name: answer(connection)[0] for name, connection in begun.items()} == dict.fromkeys(NAMES, 408)
        assert answer(slow)[0] == 408
        assert silent.recv(1) == b""
        assert time.monotonic() - began < 15


def test_malformed_input_writes_one_line(ports: Mapping[str, Port], tmp_path_factory: pytest.TempPathFactory) -> None:
    for _ in range(50):
        refused(ports["control"], b"nonsense\r\n\r\n")
    logs = [path.read_text() for path in Path(tmp_path_factory.getbasetemp()).glob("parts*/*.log")]
    lines = [json.loads(line) for text in logs for line in text.splitlines()]
    refusals = [line for line in lines if line["event"] == "request refused before it was read"]
    # One a minute; the whole file takes less than two.
    assert len([line for line in refusals if line["port"] == "control"]) in (1, 2)
    assert not [line for line in lines if "exception" in line or line["level"] == "error"]
