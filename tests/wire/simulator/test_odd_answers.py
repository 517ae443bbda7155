"""Answers as IBKR has been seen to give them, each a fault by its name."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ib_simulator.app import Simulator
from support.serve import InProcess, serve

POSITIONS = "/v1/api/portfolio/DU7420001/positions/0"
TRADES = "/v1/api/iserver/account/trades?days=7"  # also on a weekend there are some
HISTORY = "/v1/api/iserver/marketdata/history?conid=265598&period=1w&bar=1d"


@asynccontextmanager
async def asked(**fault: Any) -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    simulator = Simulator(signed_in="paper", limits=False)
    async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway") as client:
        await client.get("/v1/api/portfolio/accounts")
        await client.get("/v1/api/iserver/accounts")
        await client.get(TRADES)
        if fault:
            simulator.do("fault", **fault)
        yield simulator, client


@pytest.mark.parametrize(("kind", "is_it"), [("nan", math.isnan), ("infinity", math.isinf)])
async def test_one_figure_is_none(kind: str, is_it: Any) -> None:
    async with asked(kind=kind) as (_, client):
        rows = (await client.get(POSITIONS)).json()
        odd = [name for name, value in rows[0].items() if isinstance(value, float) and is_it(value)]
        assert len(odd) == 1
        assert not any(isinstance(value, float) and is_it(value) for row in rows[1:] for value in row.values())


async def test_every_figure_of_a_name_may_be_none() -> None:
    async with asked(kind="nan", field="mktPrice") as (_, client):
        rows = (await client.get(POSITIONS)).json()
        assert all(math.isnan(row["mktPrice"]) for row in rows)
        assert not any(math.isnan(row["mktValue"]) for row in rows)


async def test_a_byte_is_no_utf8() -> None:
    async with asked(kind="not_utf8") as (_, client):
        body = (await client.get(POSITIONS)).content
        with pytest.raises(UnicodeDecodeError):
            body.decode()
        assert len(json.loads(body.decode("utf-8", "replace"))) == 100


async def test_a_surrogate_stands_alone() -> None:
    async with asked(kind="lone_surrogate", field="name") as (_, client):
        answer = await client.get(POSITIONS)
        assert answer.content.isascii()
        assert all(row["name"].endswith("\ud83d") for row in answer.json())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_an_answer_is_packed_though_nobody_asked(encoding: str) -> None:
    async with asked(kind=encoding) as (_, client):
        answer = await client.get(POSITIONS, headers={"accept-encoding": "identity"})
        assert answer.headers["content-encoding"] == encoding
        assert len(answer.json()) == 100


async def test_trades_lack_their_time_in_milliseconds() -> None:
    async with asked(kind="no_trade_time", endpoint="list_trades") as (_, client):
        rows = (await client.get(TRADES)).json()
        assert rows
        assert all("trade_time_r" not in row and row["trade_time"] for row in rows)


async def test_volumes_of_bars_are_negative() -> None:
    async with asked(kind="negative_volume") as (_, client):
        assert {bar["v"] for bar in (await client.get(HISTORY)).json()["data"]} == {-1}


async def test_conids_are_text() -> None:
    async with asked(kind="text_conids") as (_, client):
        row = (await client.get(POSITIONS)).json()[0]
        assert isinstance(row["conid"], str)
        assert isinstance(row["undConid"], str)


async def test_an_answer_is_empty() -> None:
    async with asked(kind="empty", endpoint="get_ledger") as (_, client):
        answer = await client.get("/v1/api/portfolio/DU7420001/ledger")
        assert (answer.status_code, answer.content) == (204, b"")


async def test_one_row_of_many_is_bad() -> None:
    async with asked(kind="bad_row") as (_, client):
        rows = (await client.get(POSITIONS)).json()
        (bad,) = (row for row in rows if "error" in row)
        assert set(bad) == {"acctId", "conid", "error"}
        assert len(rows) == 100


async def test_the_accounts_are_to_be_asked_for_again_in_the_middle_of_a_session() -> None:
    async with asked(kind="accounts_first", endpoint="get_price_snapshot", count=1) as (_, client):
        asking = "/v1/api/iserver/marketdata/snapshot?conids=265598&fields=31"
        first = await client.get(asking)
        assert (first.status_code, first.json()["error"]) == (500, "Please query /accounts first")
        assert (await client.get(asking)).status_code == 400
        await client.get("/v1/api/iserver/accounts")
        assert (await client.get(asking)).status_code == 200


async def test_maintenance_is_a_page_with_status_200() -> None:
    async with asked(kind="maintenance_page") as (_, client):
        answer = await client.get(POSITIONS)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "maintenance" in answer.text.lower()


@pytest.mark.looptime
async def test_requests_are_received_later_than_they_were_sent() -> None:
    async with asked() as (simulator, client):
        simulator.do("fault", kind="receive_delay", seconds=0.6)
        late = []
        for _ in range(30):
            sent = simulator.clock.now()
            await client.get("/v1/api/portfolio/accounts")
            late.append(simulator.requests[-1].at - sent)
        assert 0 <= min(late) < 0.2
        assert 0.4 < max(late) <= 0.6


async def test_odd_answers_arrive_over_sockets_as_well() -> None:
    simulator = Simulator(signed_in="paper", limits=False)
    simulator.do("fault", kind="gzip", endpoint="list_portfolio_accounts")
    async with serve(simulator.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/v1/api/portfolio/accounts")).json()[0]["id"] == "DU7420001"
