"""A gateway that misbehaves, on real sockets: every caller gets an honest answer in time and nothing is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from support.guard import Guarded, answering_within, asked, error_of, guarded, simulator

LEDGER = "/portfolio/DU7420001/ledger"
HISTORY = "/iserver/marketdata/history?conid=265598&period=1w&bar=1d"
PRICES = "/iserver/marketdata/snapshot?conids=265598&fields=31"
SCANNER = {"instrument": "STK", "type": "TOP_PERC_GAIN", "location": "STK.US.MAJOR"}


def fault(kind: Any, endpoint: str = "get_ledger", **more: Any) -> FaultSpec:
    return FaultSpec(kind=kind, endpoint=endpoint, **more)


def answering(status: int, body: Any = None, endpoint: str = "get_ledger", **more: Any) -> FaultSpec:
    return FaultSpec(kind="answer", endpoint=endpoint, status=status, body=body, **more)


async def assert_all_is_well(guard: Guarded) -> None:
    """Nothing is under way, and the next request gets its answer."""
    await guard.rest()
    assert guard.metrics.registry.get_sample_value("ibmcp_upstream_in_flight") == 0
    assert guard.metrics.registry.get_sample_value("ibmcp_pacing_queue_depth") == 0
    assert (await guard.get("/portfolio/DU7420001/meta")).status_code == 200


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        (fault("reset"), 502, "upstream_unreachable"),
        (fault("cut"), 502, "upstream_unreachable"),
        (fault("wrong_json"), 502, "upstream_error"),
        (fault("html"), 503, "login_required"),
        (answering(302), 503, "login_required"),
        (answering(401), 503, "login_required"),
        (answering(200, {"error": "no session"}), 503, "login_required"),
        (answering(400, {"error": "Bad Request: no bridge", "statusCode": 400}), 503, "session_reopening"),
        (answering(400, {"error": "Please query /accounts first"}), 400, "upstream_error"),
        (answering(500, {"error": "no session"}), 500, "upstream_error"),
        (answering(503, ""), 503, "upstream_error"),
        (answering(200, {"error": "Account not found"}), 502, "upstream_error"),
        (answering(200, ""), 502, "upstream_error"),
        (answering(429, {"error": "too many"}), 429, "pacing_limited"),
    ],
)
async def test_each_bad_answer_is_told_as_what_it_is(spec: FaultSpec, status: int, code: str):
    broker = simulator(spec)
    async with guarded(broker.app) as guard:
        answer = await guard.get(LEDGER)
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
        assert (
            guard.session.probes_asked == (code in ("login_required", "session_reopening"))
            or code == "upstream_unreachable"
        )
        broker.faults.remove()
        if code != "pacing_limited":
            await assert_all_is_well(guard)


@pytest.mark.parametrize(
    "spec", [fault("reset", count=1), fault("cut", count=1), answering(503, "", count=1), answering(502, "", count=1)]
)
async def test_a_passing_failure_of_a_get_is_tried_again_once(spec: FaultSpec):
    broker = simulator(spec)
    async with guarded(broker.app) as guard:
        assert (await guard.get(LEDGER)).status_code == 200
        assert asked(broker, "get_ledger") == 2


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_post_is_never_sent_twice(kind: str):
    broker = simulator(fault(kind, "run_scanner"))
    async with guarded(broker.app) as guard:
        answer = await guard.post("/iserver/scanner/run", json=SCANNER)
        assert error_of(answer)["code"] == "upstream_unreachable"
        assert asked(broker, "run_scanner") == 1
        await assert_all_is_well(guard)


async def test_a_gateway_that_is_gone_is_told_and_found_again():
    broker = simulator()
    async with guarded(broker.app) as guard:
        gone = broker.faults.add(FaultSpec(kind="refuse"))
        answer = await guard.get(LEDGER)
        assert (answer.status_code, error_of(answer)["code"]) == (502, "upstream_unreachable")
        broker.faults.remove(gone.number)
        assert (await guard.get(LEDGER)).status_code == 200


@pytest.mark.parametrize("kind", ["hang", "stall", "silence"])
async def test_a_gateway_that_never_answers_costs_our_own_limit_only(kind: Any):
    spec = FaultSpec(kind=kind) if kind == "silence" else fault(kind)
    broker = simulator()
    async with guarded(broker.app, operations=answering_within(0.3)) as guard:
        assert (await guard.get("/portfolio/accounts")).status_code == 200
        broker.faults.add(spec)
        answer = await guard.get(LEDGER)
        assert (answer.status_code, error_of(answer)["code"]) == (504, "upstream_timeout")
        broker.faults.remove()
        await assert_all_is_well(guard)


async def test_a_caller_gets_its_answer_within_its_deadline_whatever_the_gateway_does():
    broker = simulator(fault("hang"))
    async with guarded(broker.app) as guard:
        async with asyncio.timeout(5):
            answer = await guard.get(LEDGER, headers={"ib-deadline-ms": "300"})
        assert error_of(answer)["code"] == "upstream_timeout"
        broker.faults.remove()
        await assert_all_is_well(guard)


async def test_stuck_requests_do_not_stop_the_others():
    broker = simulator(fault("hang"))
    async with guarded(broker.app, operations=answering_within(0.3)) as guard:
        stuck = [guard.get(f"/portfolio/DU742000{n}/ledger") for n in range(1, 9)]
        answers = await asyncio.gather(*stuck)
        assert {(answer.status_code, error_of(answer)["code"]) for answer in answers} == {(504, "upstream_timeout")}
        # The gateway has five slots; four of them are stuck now, and it did not get more.
        assert broker.faults.held == 4
        await assert_all_is_well(guard)
        again = await guard.get(LEDGER)
        assert 0 < error_of(again)["retry_after_s"] <= 30
        assert broker.faults.held == 4


async def test_callers_that_vanish_leave_nothing_behind():
    broker = simulator(fault("hang", "get_*"), limits=False)
    async with guarded(broker.app) as guard:
        paths = [LEDGER, HISTORY, PRICES, *(f"/portfolio/DU{n}/summary" for n in range(8))]
        asking = [asyncio.create_task(guard.get(path)) for path in paths]
        while guard.pacer.running < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        broker.faults.remove()
        await assert_all_is_well(guard)
        assert broker.faults.held == 0


async def test_after_a_429_nothing_is_sent_and_everybody_is_told_how_long():
    broker = simulator(answering(429, {"error": "slow down"}))
    async with guarded(broker.app) as guard:
        first = await guard.get(LEDGER)
        assert error_of(first)["retry_after_s"] == 600
        sent = len(broker.requests)
        for path in (LEDGER, HISTORY, PRICES):
            answer = await guard.get(path)
            assert (answer.status_code, error_of(answer)["code"]) == (429, "pacing_limited")
            assert 590 <= int(answer.headers["retry-after"]) <= 600
        assert len(broker.requests) == sent
        assert (await guard.get("/iserver/auth/status")).status_code == 200


async def test_what_is_kept_is_still_answered_during_the_penalty():
    broker = simulator(answering(429, {}, "get_ledger"))
    async with guarded(broker.app) as guard:
        await guard.get("/portfolio/DU7420001/meta")
        await guard.get(LEDGER)
        assert (await guard.get("/portfolio/DU7420001/meta")).headers["ib-source"] == "cache"


async def test_a_cold_history_is_asked_for_again():
    broker = simulator(answering(500, {"error": "unknown"}, "get_price_history", count=1))
    async with guarded(broker.app) as guard:
        assert (await guard.get(HISTORY)).status_code == 200
        broker.faults.add(answering(500, {"error": "Chart data unavailable"}, "get_price_history"))
        answer = await guard.get(HISTORY.replace("1w", "2w"))
        assert error_of(answer)["message"] == "IBKR: Chart data unavailable"
        assert asked(broker, "get_price_history") == 3


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    from ib_keepalive.upstream import transport

    monkeypatch.setattr(transport, "LARGEST_ANSWER", 1000)
    async with guarded(simulator().app) as guard:
        answer = await guard.get("/iserver/scanner/params")
        assert (answer.status_code, error_of(answer)["code"]) == (502, "upstream_error")
        await guard.rest()


async def test_the_logs_and_metrics_name_no_account(capsys: pytest.CaptureFixture[str]):
    broker = simulator(answering(500, {"error": "account DU7420001 is odd"}))
    async with guarded(broker.app) as guard:
        await guard.get(LEDGER)
        await guard.get(PRICES)
        shown = guard.metrics.render().decode() + capsys.readouterr().out
    assert 'operation="get_ledger",status="500"' in shown
    assert 'ibmcp_answers_total{source="error"} 1.0' in shown
    assert "DU7420001" not in shown
    assert "guard-token" not in shown


async def test_closing_the_guard_answers_who_still_waits():
    broker: Simulator = simulator(fault("hang"))
    async with guarded(broker.app) as guard:
        waiting = asyncio.create_task(guard.get(LEDGER))
        while guard.pacer.running < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await guard.guard.__aexit__()
        assert error_of(await waiting)["code"] == "upstream_unreachable"
        assert guard.guard.busy == 0
