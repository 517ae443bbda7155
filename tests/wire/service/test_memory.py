"""Large answers of IBKR, many at once, stay within the memory that the chart gives the keepalive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from support.keepalive import OPEN

VALUES = Path(__file__).resolve().parents[3] / "charts/ib-mcp/values.yaml"
TOKEN = "token-of-tests"
MEBIBYTE = 1024 * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak of memory")
@pytest.mark.parametrize(("megabytes", "status"), [(15, 502), (3.9, 200)])
async def test_eight_large_answers_at_once_fit(megabytes: float, status: int) -> None:
    row = json.dumps({"conid": 265598, "symbol": "AAPL", "name": "APPLE INC", "exchange": "NASDAQ", "a": 1.25})
    large = f"[{','.join([row] * int(megabytes * 1_000_000 / len(row)))}]".encode()
    session = json.dumps(OPEN | {"ssoExpires": 460_000, "iserver": {"authStatus": OPEN}}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = large if b"/trsrv/" in head else b"[]" if b"/portfolio/" in head else session
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as gateway:
        environment = {**os.environ, "IB_KEEPALIVE_TOKEN": TOKEN, "IB_KEEPALIVE_MAINTENANCE_HOURS": "false"}
        environment |= {f"IB_KEEPALIVE_{name}_PORT": "0" for name in ("DATA", "CONTROL", "LOGIN")}
        environment["IB_KEEPALIVE_GATEWAY_URL"] = f"http://127.0.0.1:{gateway.sockets[0].getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ib_keepalive", env=environment, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        try:
            while (said := json.loads(await process.stderr.readline()))["event"] != "listening":
                pass
            log = asyncio.create_task(process.stderr.read())
            url = f"http://127.0.0.1:{said['data']}"
            async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as ask:
                async with asyncio.timeout(30):
                    while (await ask.get("/status")).json()["state"] != "authenticated":  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                paths = (f"/v1/api/trsrv/stocks?symbols=A{number}" for number in range(8))
                answers = await asyncio.gather(*map(ask.get, paths))
            assert [each.status_code for each in answers] == [status] * 8
            peak = _peak(process.pid)
        finally:
            process.terminate()
            await process.wait()
            await log
    limit = yaml.safe_load(VALUES.read_text())["keepalive"]["resources"]["limits"]["memory"]
    assert peak < int(limit.removesuffix("Mi")) * MEBIBYTE


def _peak(pid: int) -> int:
    """The most bytes that the process had in memory."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024
