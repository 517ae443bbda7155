"""Requests to IBKR by OAuth on real connections: callers' reads and previews, each signed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.app import Simulator
from support.oauth1 import register
from support.serve import serve

TOKEN = "token-of-tests"


async def _until_open(keepalive: Keepalive, simulator: Simulator) -> None:
    simulator.session.timing.establish = 0
    async with asyncio.timeout(60):
        while keepalive.keeper.status().state.value != "authenticated":  # noqa: ASYNC110 - the keeper tells nobody
            await asyncio.sleep(0.05)


async def test_reads_with_a_query_and_posts_are_signed_as_ibkr_takes_them(tmp_path: Path) -> None:
    simulator = Simulator(role="backend")
    directory = register(simulator).write(tmp_path)
    async with serve(simulator.app) as url:
        settings = KeepaliveSettings(
            backend="oauth1", oauth1_dir=directory, gateway_url=url, token=TOKEN, maintenance_hours=False
        )
        keepalive = Keepalive(settings)
        async with (
            keepalive,
            serve(keepalive.data) as guard,
            httpx.AsyncClient(base_url=guard, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as agent,
        ):
            await _until_open(keepalive, simulator)
            for method, path, body in (
                ("GET", "/iserver/accounts", None),
                ("GET", "/iserver/secdef/search?symbol=AAPL&name=false", None),
                ("GET", "/iserver/marketdata/history?conid=265598&period=1d&bar=1h", None),
                ("POST", "/pa/performance", {"acctIds": ["DU7420001"], "period": "1M"}),
            ):
                answer = await agent.request(method, f"/v1/api{path}", json=body)
                assert answer.status_code == 200, (path, answer.text)
        assert 401 not in {status for _, status in simulator.request_log.statuses}


async def test_nothing_of_the_keys_is_logged_whether_ibkr_takes_them_or_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    simulator = Simulator(role="backend")
    directory = register(simulator).write(tmp_path)
    caplog.set_level("DEBUG")
    async with serve(simulator.app) as url:
        settings = KeepaliveSettings(
            backend="oauth1", oauth1_dir=directory, gateway_url=url, token=TOKEN, maintenance_hours=False
        )
        simulator.do("fault", kind="answer", status=401, body={"error": "x"}, path="*/oauth/*")
        keepalive = Keepalive(settings)
        async with keepalive, asyncio.timeout(60):
            while keepalive.keeper.tracker.trouble() is None:  # noqa: ASYNC110 - the keeper tells nobody
                await asyncio.sleep(0.05)
        simulator.do("clear-faults")
        keepalive = Keepalive(settings)
        async with keepalive:
            await _until_open(keepalive, simulator)
    said = "".join(capfd.readouterr()) + caplog.text
    assert "IBKR gives no live session token" in said
    assert "IBKR gave a live session token" in said
    for name in ("private_signature.pem", "private_encryption.pem", "access_token_secret", "access_token"):
        for line in (directory / name).read_text().splitlines():
            assert not line or line.startswith("-----") or line not in said
