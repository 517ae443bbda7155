"""Market scanners: rankings with prices, and codes found by words."""

from __future__ import annotations

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.agent import agent

pytestmark = pytest.mark.looptime


async def test_a_ranking_has_prices_and_names_that_lead_back() -> None:
    async with agent() as a:
        rows = (await a.read("run_scanner", type="TOP_PERC_GAIN", limit=5)).rows("contracts")
        assert len(rows) == 5
        changes = [row["change_percent"] for row in rows]
        assert changes == sorted(changes, reverse=True)
        assert all(row["last"] and row["currency"] == "USD" and row["timing"] == "live" for row in rows)
        found = await a.read("get_contract_details", symbol=rows[0]["symbol"])
        assert found.body["conid"] == rows[0]["conid"]


async def test_a_ranking_is_told_without_prices_where_there_are_none() -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_price_snapshot", status=500))
        answer = await a.read("run_scanner", limit=2)
        assert answer.body["quotes_missing"]
        assert all("#" in row["symbol"] for row in answer.rows("contracts"))


async def test_what_is_ranked_by_has_ibkrs_name() -> None:
    body = {
        "scan_data_column_name": "Trades",
        "contracts": [
            {"symbol": "AAPL", "con_id": 265598, "sec_type": "STK", "scan_data": "163.773K"},
            {"symbol": "MSFT", "con_id": 272093, "sec_type": "STK", "scan_data": "98.2K"},
        ],
    }
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="run_scanner", status=200, body=body))
        first, second = (await a.read("run_scanner", type="TOP_TRADE_COUNT")).rows("contracts")
        assert (first["ranked_by Trades"], second["ranked_by Trades"]) == ("163.773K", "98.2K")


async def test_codes_are_found_by_any_word() -> None:
    async with agent() as a:
        codes = (await a.read("run_scanner", find="gainers open")).rows("codes")
        assert (codes[0]["use_as"], codes[0]["code"]) == ("type", "TOP_OPEN_PERC_GAIN")
        assert codes[1]["code"] == "TOP_PERC_GAIN"
        filters = (await a.read("run_scanner", find="price above")).rows("codes")
        assert filters[0]["use_as"] == "filters"
        europe = (await a.read("run_scanner", find="europe ETF")).rows("codes")
        assert {"STOCK.EU", "ETF.EQ.US"} <= {row["code"] for row in europe}
        assert (await a.read("run_scanner", find="xyzzy")).body["note"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "TOP_GAINERS"}, "TOP_PERC_GAIN"),
        ({"location": "STK.NASDAK"}, "STK.NASDAQ"),
        ({"filters": {"marketCapAbove": "1"}}, "marketCapAbove1e6"),
        ({"instrument": "ETF"}, "ETF.EQ.US"),
        ({"location": "FUT.CME"}, "STK.US.MAJOR"),
        ({"instrument": "FUT.US"}, "FUT.CME"),
    ],
)
async def test_what_cannot_be_scanned_is_refused_with_what_is_wrong(wrong: dict[str, object], said: str) -> None:
    async with agent() as a:
        refused = await a.call("run_scanner", **wrong)
        assert refused.error["code"] == "invalid_request"
        assert said in refused.error["message"]
        assert "find=" in refused.error["action"]


async def test_a_refusal_that_the_codes_do_not_explain_stays_ibkrs() -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="run_scanner", status=500, body={"error": "no"}))
        refused = await a.call("run_scanner")
        assert refused.error["code"] == "upstream_error"
        assert "find=" in refused.error["action"]


async def test_nothing_that_passes_the_filters_is_said() -> None:
    async with agent() as a:
        answer = await a.read("run_scanner", filters={"priceAbove": 500_000})
        assert answer.rows("contracts") == []
        assert answer.body["note"]
