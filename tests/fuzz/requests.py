"""Anybody sends anything to any port: well-formed requests, mutated as values and as bytes, on raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fuzz.mutations import BYTES, in_json
from support.listeners import TOKEN, Port, running

Way = Literal["whole", "pieces", "a part", "gone at once", "gone soon"]
_WAYS: tuple[Way, ...] = ("whole",) * 8 + ("pieces", "a part", "gone at once", "gone soon")
_AT_ONCE = 24
_PATIENCE_S = 30.0
# How long an answer to what was sent in part only is waited for.
_GLANCE_S = 0.02
_VERSION = b"2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": _VERSION.decode(),
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_BEARER = b"authorization: Bearer " + TOKEN.encode()
_MCP = (_BEARER, b"accept: application/json, text/event-stream", b"content-type: application/json")
_ODD_HEADERS = (
    b"content-length: 0", b"content-length: 5", b"content-length: -1", b"content-length: 9999999999",
    b"content-length: " + b"0" * 5000, "content-length: ²".encode(), b"transfer-encoding: chunked",
    b"transfer-encoding: identity", b"transfer-encoding: chunked, chunked", b"expect: 100-continue", b"expect: x",
    b"connection: upgrade\r\nupgrade: websocket", b"connection: upgrade\r\nupgrade: h2c", b"connection: keep-alive",
    b"host: evil.example", b"host: ", b"host: [::1", b"host: localhost:99999", b"origin: https://evil.example",
    b"origin: null", b"sec-fetch-site: cross-site", b"cookie: " + b"a=b; " * 500, b"authorization: Basic !!!",
    b"authorization: Bearer", b"authorization: Bearer \xff\xfe", b"x: " + b"y" * 30_000, b"ib-deadline-ms: -5",
    b"ib-deadline-ms: " + b"9" * 300, "ib-deadline-ms: ²".encode(), b"ib-caller: \xff", b"ib-caller: " + b"c" * 5000,
    b"accept: nonsense", b"content-type: text/plain", b"content-encoding: gzip", b"range: bytes=0-5",
    b"mcp-protocol-version: 1999-01-01", b"mcp-protocol-version: \xff", b"mcp-method: tools/call", b"mcp-name: \xff",
    b"mcp-session-id: x", b"forwarded: for=1.2.3.4", b"te: trailers", b"a: b\r\n" * 120 + b"c: d", b"no colon", b"",
)  # fmt: skip
# After these more is to come than comes here.
_MEANS_MORE = (b"content-length", b"transfer-encoding", b"expect", b"connection: upgrade")
# Whose answers wait for nobody else.
_PROMPT = ("control", "operator")
_METHODS = (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"BREW")
_CALLS = (
    ("get_account_positions", {"account": "DU7420001", "limit": 5}),
    ("get_price_snapshot", {"symbols": ["AAPL"], "fields": ["last"]}),
    ("get_price_history", {"symbol": "AAPL", "period": "1w", "end": "2026-06-01"}),
    ("get_option_chain", {"symbol": "AAPL", "strikes": 3}),
    ("search_contracts", {"query": "apple", "limit": 3}),
    ("find_endpoint", {"words": "positions"}),
    ("call_endpoint", {"endpoint": "get_ledger", "parameters": {"accountId": "DU7420001"}, "pick": "USD.0"}),
    ("get_order_status", {"order_id": "5"}),
    ("get_session_status", {}),
)
_API = (
    (b"GET", b"/v1/api/portfolio/accounts", b""),
    (b"GET", b"/v1/api/portfolio/DU7420001/ledger", b""),
    (b"GET", b"/v1/api/iserver/marketdata/snapshot?conids=265598,8314&fields=31,84", b""),
    (b"GET", b"/v1/api/iserver/marketdata/history?conid=265598&period=1w&bar=1d", b""),
    (b"GET", b"/v1/api/trsrv/stocks?symbols=AAPL,MSFT", b""),
    (b"POST", b"/v1/api/iserver/secdef/search", b'{"symbol": "AAPL", "name": false}'),
    (b"POST", b"/v1/api/iserver/account/DU7420001/orders", b'{"orders": [{"conid": 265598}]}'),
    (b"POST", b"/v1/api/pa/transactions", b'{"acctIds": ["DU7420001"], "conids": [265598], "currency": "USD"}'),
    (b"DELETE", b"/v1/api/iserver/account/DU7420001/order/5", b""),
    (b"GET", b"/v1/api/tickle", b""),
    (b"GET", b"/v1/api/../sso/Login", b""),
)


@dataclass
class Outcome:
    """``grown``: bytes by which a process grew after its first quarter of the requests."""

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    grown: dict[str, int] = field(default_factory=dict)


def requests(name: str, chance: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Requests for the port of this name, without end, and whether each has to be answered as it is."""
    while True:
        method, path, headers, body = _well_formed(name, chance)
        given = list(headers)
        if chance.random() < 0.3 and body:
            body = in_json(chance, body)
        if chance.random() < 0.1:
            method = chance.choice(_METHODS)
        if chance.random() < 0.15:
            path = chance.choice(BYTES)(chance, path)
        for _ in range(chance.choice((0, 0, 1, 1, 3))):
            given.insert(chance.randint(0, len(given)), chance.choice(_ODD_HEADERS))
        if chance.random() < 0.1 and given:
            given.pop(chance.randrange(len(given)))
        if body or method != b"GET":
            given.append(b"content-length: %d" % len(body))
        lines = (b"%s %s HTTP/1.1" % (method, path), b"host: localhost", *given, b"connection: close")
        request = b"\r\n".join(lines) + b"\r\n\r\n" + body
        is_whole = name in _PROMPT and not any(odd.lower().startswith(_MEANS_MORE) for odd in given[:-1])
        if chance.random() < 0.2:
            request, is_whole = chance.choice(BYTES)(chance, request), False
        if chance.random() < 0.03:
            request, is_whole = request * chance.randint(2, 20), False
        yield request, is_whole


def _well_formed(name: str, chance: random.Random) -> tuple[bytes, bytes, tuple[bytes, ...], bytes]:
    match name:
        case "guard" | "simulator":
            paths = ((b"GET", b"/healthz", b""), (b"GET", b"/status", b""), (b"POST", b"/reauthenticate", b"{}"))
            method, path, body = chance.choice((*_API, *paths))
            # Nobody waits for a turn under IBKR's limits here.
            return method, path, (_BEARER, b"ib-deadline-ms: 40", b"content-type: application/json"), body
        case "control":
            paths = ((b"GET", b"/status"), (b"GET", b"/metrics"), (b"GET", b"/livez"), (b"GET", b"/readyz"))
            method, path = chance.choice((*paths, (b"POST", b"/reauthenticate"), (b"PUT", b"/policy")))
            body = b'{"paused": false, "reopen": true, "max_attempts": 5, "instance": "x", "person": false}'
            return method, path, (b"content-type: application/json",), b"" if method == b"GET" else body
        case "login":
            paths = (b"/", b"/login-status", b"/favicon.ico", b"/sso/Login?RL=1", b"/css/x.css", b"/sso/Dispatcher")
            is_form = chance.random() < 0.2
            return b"POST" if is_form else b"GET", chance.choice(paths), (), b"user=a&password=b" if is_form else b""
        case "mcp":
            return _mcp(chance)
        case "operator":
            return b"GET", chance.choice((b"/livez", b"/readyz", b"/metrics", b"/")), (), b""
    # What the control port of the simulator is told to do it does, so that it is only asked.
    return b"GET", chance.choice((b"/control/state", b"/control/requests", b"/control/nothing", b"/")), (), b""


def _mcp(chance: random.Random) -> tuple[bytes, bytes, tuple[bytes, ...], bytes]:
    if chance.random() < 0.15:
        return b"GET", chance.choice((b"/healthz", b"/readyz", b"/metrics", b"/mcp")), _MCP, b""
    tool, arguments = chance.choice(_CALLS)
    method = chance.choice(
        ("tools/call", "tools/call", "tools/call", "tools/list", "initialize", "resources/list", "x")
    )
    params: dict[str, object] = {"name": tool, "arguments": arguments} if method == "tools/call" else {}
    is_modern = chance.random() < 0.6
    headers = (*_MCP, b"mcp-protocol-version: " + (_VERSION if is_modern else b"2025-11-25"))
    if is_modern:
        headers += (b"mcp-method: " + method.encode(),)
        headers += (b"mcp-name: " + tool.encode(),) if method == "tools/call" else ()
        params["_meta"] = _META
    body = json.dumps({"jsonrpc": "2.0", "id": chance.randint(1, 9), "method": method, "params": params})
    return b"POST", b"/mcp", headers, body.encode()


def run(seed: int, count: int, folder: Path) -> Outcome:
    """Send ``count`` requests to the ports of all parts, which run as processes with their state in ``folder``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    outcome = Outcome()
    try:
        with running(folder) as ports:
            asyncio.run(_run(seed, count, ports, outcome))
            outcome.faults += [f"{port.name} has ended" for port in ports.values() if port.process.poll() is not None]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for log in sorted(folder.glob("*.log")):
        outcome.faults += [f"{log.stem} logged {line[:1500]}" for line in _tracebacks(log)]
    return outcome


def _tracebacks(log: Path) -> Iterator[str]:
    for line in log.read_text("utf-8", "replace").splitlines():
        try:
            written = json.loads(line)
        except ValueError:
            yield line
        else:
            if "exception" in written:
                yield f"{written['event']}: {written['exception'][-1200:]}"


async def _run(seed: int, count: int, ports: Mapping[str, Port], outcome: Outcome) -> None:
    chance = random.Random(seed)
    sources = {name: requests(name, random.Random(f"{seed} {name}")) for name in ports}
    before: dict[str, int] = {}

    async def send() -> None:
        while outcome.sent < count:
            outcome.sent += 1
            if outcome.sent == count // 4:
                before.update({name: port.memory for name, port in ports.items()})
            name = chance.choice(list(ports))
            request, is_whole = next(sources[name])
            way = chance.choice(_WAYS)
            status = await _exchange(ports[name].number, request, way, is_whole)
            outcome.statuses[status] += 1
            if status in ("500", "501", "505", "silence") and not name.startswith("simulator"):
                outcome.faults.append(f"{name} answered {status} to {request[:3000]!r} ({way})")

    await asyncio.gather(*(send() for _ in range(_AT_ONCE)))
    await asyncio.sleep(0.5)
    outcome.grown = {name: port.memory - before[name] for name, port in ports.items() if name in before}


async def _exchange(port: int, request: bytes, way: Way, is_whole: bool) -> str:
    """The status of the answer; ``left`` where nobody waited for it, ``silence`` where none came though one had to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            match way:
                case "pieces":
                    writer.write(request[: len(request) // 2])
                    await asyncio.sleep(0.001)
                    writer.write(request[len(request) // 2 :])
                case "gone at once" | "gone soon":
                    writer.write(request)
                    await asyncio.sleep(0.01 if way == "gone soon" else 0)
                    writer.transport.abort()
                    return "left"
                case "a part":
                    writer.write(request[: len(request) * 2 // 3])
                    return await _status(reader, _GLANCE_S, "left")
                case _:
                    writer.write(request)
            await writer.drain()
            return await _status(reader, _PATIENCE_S if is_whole else 0.5, "silence" if is_whole else "unanswered")
        return "reset"
    finally:
        writer.transport.abort()


async def _status(reader: asyncio.StreamReader, within_s: float, otherwise: str) -> str:
    try:
        async with asyncio.timeout(within_s):
            line = await reader.readline()
    except (TimeoutError, ConnectionError, ValueError):
        return otherwise
    words = line.split()
    return words[1].decode("latin-1") if len(words) > 1 and words[0].startswith(b"HTTP/") else "closed"
