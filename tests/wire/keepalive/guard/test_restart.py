"""A restarted keepalive remembers what IBKR counts: it earns no penalty by asking too early."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from support.guard import Guarded, asked, error_of, guarded_in_process, simulator

pytestmark = pytest.mark.looptime

WALL = 1_795_539_600.0
PERFORMANCE = {"acctIds": ["DU7420001"], "period": "1M"}


def before(gateway: Any, record: Path, wall: float) -> AbstractAsyncContextManager[Guarded]:
    return guarded_in_process(gateway.app, record_file=record, wall=lambda: wall)


async def test_a_limit_of_fifteen_minutes_holds_over_a_restart(tmp_path: Path) -> None:
    gateway, record = simulator(), tmp_path / "record.json"
    async with before(gateway, record, WALL) as guard:
        assert (await guard.client.post("/v1/api/pa/performance", json=PERFORMANCE)).status_code == 200
    async with before(gateway, record, WALL + 60) as guard:
        refused = await guard.client.post("/v1/api/pa/performance", json=PERFORMANCE)
    assert refused.status_code == 429
    assert 800 < error_of(refused)["retry_after_s"] <= 841
    assert asked(gateway, "get_performance") == 1


async def test_after_the_limits_time_it_is_asked_again(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    for wall in (WALL, WALL + 1000):
        gateway = simulator()
        async with before(gateway, record, wall) as guard:
            assert (await guard.client.post("/v1/api/pa/performance", json=PERFORMANCE)).status_code == 200
        assert asked(gateway, "get_performance") == 1


async def test_a_penalty_outlasts_a_restart(tmp_path: Path) -> None:
    gateway, record = simulator(), tmp_path / "record.json"
    record.write_text(f'{{"calls": {{}}, "penalty_until": {WALL + 300}}}')
    async with before(gateway, record, WALL) as guard:
        refused = await guard.client.get("/v1/api/portfolio/accounts")
    assert refused.status_code == 429
    assert error_of(refused)["retry_after_s"] == pytest.approx(300, abs=1)
    assert asked(gateway, "list_portfolio_accounts") == 0


@pytest.mark.parametrize(
    "content", ["", "[]", '{"calls": []}', '{"calls": {"get_performance": ["x"]}, "penalty_until": 0}']
)
async def test_a_record_that_cannot_be_read_stops_nothing(tmp_path: Path, content: str) -> None:
    record = tmp_path / "record.json"
    record.write_text(content)
    async with before(simulator(), record, WALL) as guard:
        assert (await guard.client.get("/v1/api/portfolio/accounts")).status_code == 200


async def test_a_record_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    async with before(simulator(), tmp_path / "nowhere" / "record.json", WALL) as guard:
        assert (await guard.client.get("/v1/api/portfolio/accounts")).status_code == 200
