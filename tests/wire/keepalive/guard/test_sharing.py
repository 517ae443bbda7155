"""Answers shared between callers: kept for a while, joined on their way, prices merged into few requests."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ib_simulator.faults.faults import FaultSpec
from ibkr.session import SessionState
from support.guard import asked, error_of, guarded_in_process, simulator
from support.serve import InProcess

pytestmark = pytest.mark.looptime

LEDGER = "/portfolio/DU7420001/ledger"
AAPL, IBM, MSFT = "265598", "8314", "272093"


def prices(*conids: str, fields: str = "31,7051") -> str:
    return f"/iserver/marketdata/snapshot?conids={','.join(conids)}&fields={fields}"


def history(conid: str, weeks: int = 1) -> str:
    return f"/iserver/marketdata/history?conid={conid}&period={weeks}w&bar=1d"


async def test_a_fresh_answer_is_given_again_with_its_age():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        first = await guard.get(LEDGER)
        await asyncio.sleep(1.5)
        second = await guard.get(LEDGER)
        assert second.json() == first.json()
        assert second.headers["ib-source"] == "cache"
        assert 1500 <= int(second.headers["ib-age-ms"]) < 1700
        await asyncio.sleep(2)
        assert (await guard.get(LEDGER)).headers["ib-source"] == "upstream"
        assert asked(broker, "get_ledger") == 2


async def test_the_same_question_at_the_same_time_is_asked_once():
    broker = simulator(FaultSpec(kind="latency", endpoint="get_ledger", seconds=1))
    async with guarded_in_process(broker.app) as guard:
        answers = await asyncio.gather(*(guard.get(LEDGER) for _ in range(10)))
        assert sorted(answer.headers["ib-source"] for answer in answers) == ["coalesced"] * 9 + ["upstream"]
        assert len({answer.content for answer in answers}) == 1
        assert asked(broker, "get_ledger") == 1


async def test_questions_that_differ_in_a_body_are_not_the_same():
    broker = simulator(limits=False)
    async with guarded_in_process(broker.app) as guard:
        bodies: list[dict[str, Any]] = [{"symbol": "AAPL"}, {"symbol": "IBM"}, {"name": False, "symbol": "AAPL"}]
        answers = [await guard.post("/iserver/secdef/search", json=body) for body in bodies]
        assert answers[0].json() != answers[1].json()
        assert asked(broker, "search_contracts_by_body") == 3
        await guard.post("/iserver/secdef/search", content=b'{ "symbol" :"AAPL","name":false}')
        assert asked(broker, "search_contracts_by_body") == 3


async def test_errors_are_not_kept():
    broker = simulator(FaultSpec(kind="answer", endpoint="get_ledger", status=500, body={"error": "sorry"}, count=1))
    async with guarded_in_process(broker.app) as guard:
        refused = await guard.get(LEDGER)
        assert (refused.status_code, error_of(refused)["message"]) == (500, "IBKR: sorry")
        assert (await guard.get(LEDGER)).status_code == 200


async def test_a_caller_that_leaves_does_not_take_the_answer_from_the_others():
    broker = simulator(FaultSpec(kind="latency", endpoint="get_ledger", seconds=3))
    async with guarded_in_process(broker.app) as guard:
        first = asyncio.create_task(guard.get(LEDGER))
        await asyncio.sleep(1)
        second = asyncio.create_task(guard.get(LEDGER))
        await asyncio.sleep(1)
        first.cancel()
        assert (await second).status_code == 200
        assert asked(broker, "get_ledger") == 1


async def test_an_answer_that_nobody_waited_for_is_kept_for_the_next():
    broker = simulator(FaultSpec(kind="latency", endpoint="get_ledger", seconds=3))
    async with guarded_in_process(broker.app) as guard:
        hurried = await guard.get(LEDGER, headers={"ib-deadline-ms": "1000"})
        assert (hurried.status_code, error_of(hurried)["code"]) == (504, "upstream_timeout")
        await asyncio.sleep(2.5)
        assert guard.guard.busy == 0
        assert (await guard.get(LEDGER)).headers["ib-source"] == "cache"


async def test_a_quarter_hour_operation_tells_when_it_may_be_asked_again():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard, httpx.AsyncClient(transport=InProcess(broker.app)) as keeper:
        one, other = ({"acctIds": ["DU7420001"], "period": period} for period in ("1M", "1Y"))
        assert (await guard.post("/pa/performance", json=one)).status_code == 200
        assert (await guard.post("/pa/performance", json=one)).headers["ib-source"] == "cache"
        refused = await guard.post("/pa/performance", json=other)
        assert (refused.status_code, error_of(refused)["code"]) == (429, "pacing_limited")
        assert error_of(refused)["retry_after_s"] == pytest.approx(900, abs=1)
        for _ in range(15):
            await asyncio.sleep(error_of(refused)["retry_after_s"] / 15)
            await keeper.post("http://gateway.test/v1/api/tickle")
        assert (await guard.post("/pa/performance", json=other)).status_code == 200
        assert not broker.limits.refused


async def test_the_first_snapshot_already_has_its_values():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        answer = await guard.get(prices(AAPL, IBM, fields="7051,31"))
        assert [row["conid"] for row in answer.json()] == [int(AAPL), int(IBM)]
        assert all({"31", "7051", "6509"} <= row.keys() for row in answer.json())
        assert asked(broker, "list_brokerage_accounts") == 1
        again = await guard.get(prices(IBM))
        assert again.headers["ib-source"] == "cache"


async def test_a_caller_that_comes_while_the_feed_wakes_gets_the_values_too():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:

        async def ask(after_s: float) -> httpx.Response:
            await asyncio.sleep(after_s)
            return await guard.get(prices(AAPL))

        answers = await asyncio.gather(*(ask(number / 10) for number in range(8)))
        assert all("31" in answer.json()[0] for answer in answers)
        assert asked(broker, "get_price_snapshot") < 8


async def test_prices_are_never_older_than_half_a_second():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        await guard.get(prices(AAPL))
        await asyncio.sleep(0.45)
        assert (await guard.get(prices(AAPL))).headers["ib-source"] == "cache"
        await asyncio.sleep(0.1)
        fresh = await guard.get(prices(AAPL))
        assert (fresh.headers["ib-source"], fresh.headers["ib-age-ms"]) == ("upstream", "0")


async def test_callers_at_the_same_time_share_requests_and_get_their_own_part():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        wishes = [((AAPL, IBM), "31"), ((IBM, MSFT), "31,7051"), ((MSFT,), "7221,31"), ((AAPL,), "31")]
        answers = await asyncio.gather(
            *(
                guard.get(prices(*conids, fields=fields), headers={"ib-caller": str(number)})
                for number, (conids, fields) in enumerate(wishes)
            )
        )
        for (conids, fields), answer in zip(wishes, answers, strict=True):
            assert answer.headers["ib-source"] == "batch"
            assert [str(row["conid"]) for row in answer.json()] == list(conids)
            for row in answer.json():
                assert {name for name in row if name.isdecimal()} <= {*fields.split(","), "6119", "6509"}
                assert set(fields.split(",")) <= row.keys()
        assert asked(broker, "get_price_snapshot") < 8


async def test_a_field_that_never_comes_is_absent_and_waited_for_once():
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        loop = asyncio.get_running_loop()
        [row] = (await guard.get(prices(AAPL, fields="31,7308"))).json()
        assert "31" in row
        assert "7308" not in row
        began = loop.time()
        await asyncio.sleep(1)
        await guard.get(prices(AAPL, fields="31,7308"))
        assert loop.time() - began < 1.1


async def test_a_short_deadline_gives_what_there_is():
    async with guarded_in_process(simulator().app) as guard:
        answer = await guard.get(prices(AAPL), headers={"ib-deadline-ms": "400"})
        assert answer.status_code == 200
        assert [row["conid"] for row in answer.json()] == [int(AAPL)]


async def test_an_option_gets_prices_although_nobody_searched_for_its_underlying():
    broker = simulator()
    contracts = broker.backend.worlds["paper"].contracts
    async with guarded_in_process(broker.app) as guard:
        search = (await guard.get("/iserver/secdef/search?symbol=AAPL")).json()
        month = next(s["months"] for s in search[0]["sections"] if s["secType"] == "OPT").split(";")[1]
        info = f"/iserver/secdef/info?conid={AAPL}&sectype=OPT&month={month}&strike=260&right=C"
        option = str((await guard.get(info)).json()[0]["conid"])
        guard.session.become(SessionState.AUTHENTICATED)
        broker.session.memory.notes.clear()
        [row] = (await guard.get(prices(option, fields="6509,7308"))).json()
        assert "7308" in row
    assert contracts


REFUSALS = [(400, "no such conid"), (500, "unknown"), (200, "Invalid conid")]


@pytest.mark.parametrize(("status", "words"), REFUSALS)
async def test_an_instrument_that_ibkr_refuses_does_not_spoil_the_others(status: int, words: str):
    broker = simulator(limits=False)

    async def strict(scope: Any, receive: Any, send: Any) -> None:
        query = scope.get("query_string", b"")
        if b"/marketdata/snapshot" in scope.get("raw_path", b"") and b"666" in query.partition(b"&")[0]:
            answer = httpx.Response(status, json={"error": words})
            await send({"type": "http.response.start", "status": status, "headers": answer.headers.raw})
            await send({"type": "http.response.body", "body": answer.content})
            return
        await broker.app(scope, receive, send)

    async with guarded_in_process(strict) as guard:
        wishes = [(AAPL,), (IBM, MSFT), ("666",), (MSFT,)]
        calls = [guard.get(prices(*wish), headers={"ib-caller": str(n)}) for n, wish in enumerate(wishes)]
        answers = await asyncio.gather(*calls)
        refused = 502 if status == 200 else status
        assert [answer.status_code for answer in answers] == [200, 200, refused, 200]
        assert error_of(answers[2])["message"] == f"IBKR: {words}"
        mixed = await guard.get(prices(AAPL, "666"))
        assert mixed.status_code == refused


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("get_price_snapshot", prices(AAPL)),
        ("get_brokerage_account_summary", "/iserver/account/DU7420001/summary"),
    ],
)
async def test_when_ibkr_forgot_that_it_was_asked_for_accounts_it_is_asked_again(operation: str, path: str):
    broker = simulator()
    async with guarded_in_process(broker.app) as guard:
        assert (await guard.get(path)).status_code == 200
        words = {"error": "Please query /accounts first"}
        broker.faults.add(FaultSpec(kind="answer", endpoint=operation, status=400, body=words, count=1))
        await asyncio.sleep(4)
        assert (await guard.get(path)).status_code == 200
        assert asked(broker, "list_brokerage_accounts") == 2


async def test_more_instruments_than_ibkr_has_lines_for_still_get_prices():
    broker = simulator(limits=False)
    contracts = broker.backend.worlds["paper"].contracts
    conids = [str(c.conid) for c in contracts if c.kind in ("STK", "CASH") and c.feed == "R"]
    lines = [*conids, *(f"{conid}@{exchange}" for exchange in ("SMART", "NYSE", "ISLAND", "ARCA") for conid in conids)]
    assert len(lines) > 130
    async with guarded_in_process(broker.app) as guard:
        for start in range(0, 140, 35):
            answer = await guard.get(prices(*lines[start : start + 35]), headers={"ib-deadline-ms": "60000"})
            rows = answer.json()
            assert len(rows) == 35
            assert all("31" in row for row in rows)


async def test_rounds_of_prices_leave_room_for_other_questions():
    broker = simulator()
    contracts = broker.backend.worlds["paper"].contracts
    conids = [str(c.conid) for c in contracts if c.kind == "STK" and c.feed == "R"][:20]
    async with guarded_in_process(broker.app) as guard:

        async def watch(conid: str) -> None:
            for _ in range(10):
                await guard.get(prices(conid), headers={"ib-caller": conid})
                await asyncio.sleep(0.1)

        watching = [asyncio.create_task(watch(conid)) for conid in conids]
        loop = asyncio.get_running_loop()
        for weeks in range(2, 8):
            began = loop.time()
            assert (await guard.get(history(AAPL, weeks), headers={"ib-caller": "analyst"})).status_code == 200
            assert loop.time() - began < 1.2
        await asyncio.gather(*watching)
        assert not broker.limits.refused
