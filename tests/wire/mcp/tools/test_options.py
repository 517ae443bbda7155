"""Option chains: expiries, strikes and greeks within a budget of questions to IBKR."""

from __future__ import annotations

import asyncio

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.agent import Agent, agent

pytestmark = pytest.mark.looptime


def asked(a: Agent, endpoint: str) -> int:
    return sum(request.endpoint == endpoint for request in a.simulator.requests)


async def test_the_nearest_expiry_that_can_be_traded_with_strikes_around_the_money() -> None:
    async with agent() as a:
        answer = await a.read("get_option_chain", symbol="AAPL", strikes=4)
        chain, rows = answer.body, answer.rows("expiries")
        assert rows[0] == {"expiry": "2026-11-27", "days": 3, "trading_classes": "AAPL", "multiplier": "100"}
        assert chain["expiry"] == "2026-11-27"
        assert len(chain["strikes"]) == 4
        assert min(chain["strikes"]) < chain["price"] < max(chain["strikes"])
        assert (chain["currency"], chain["timing"]) == ("USD", "live")


async def test_what_has_expired_is_never_the_default() -> None:
    async with agent(prepare=lambda simulator: simulator.set_time(1795820400.0)) as a:  # Friday 27 November, 18:00
        rows = (await a.read("get_option_chain", symbol="AAPL")).rows("expiries")
        assert rows[0]["expiry"] == "2026-12-04"


async def test_expiries_are_taken_as_the_chain_writes_them() -> None:
    async with agent() as a:
        answer = await a.read("get_option_chain", symbol="AAPL", expiry="2026-12")
        days = [row["expiry"] for row in answer.rows("expiries")]
        assert days == ["2026-12-04", "2026-12-11", "2026-12-18", "2026-12-24", "2026-12-31"]
        day = days[2]
        quoted = await a.read("get_option_chain", symbol="AAPL", expiry=day, strikes=1, greeks=True)
        assert {row["expiry"] for row in quoted.rows("options")} == {day}
        assert "2026-12-24" in [row["expiry"] for row in quoted.rows("expiries")]
        assert (await a.read("get_contract_details", symbol=f"AAPL {day} C 290")).body["expiry"] == day


async def test_a_day_on_which_nothing_expires_is_remarked() -> None:
    async with agent() as a:
        answer = await a.read("get_option_chain", symbol="AAPL", expiry="20261219")
        assert "20261219" in answer.body["note"]
        assert "2026-12-18" in [row["expiry"] for row in answer.rows("expiries")]
        refused = await a.call("get_option_chain", symbol="AAPL", expiry="20261219", greeks=True)
        assert "20261218" in refused.error["action"]


async def test_greeks_of_one_expiry_within_the_budget_of_questions() -> None:
    async with agent() as a:
        answer = await a.read("get_option_chain", symbol="AAPL", expiry="20261218", strikes=24, greeks=True)
        assert asked(a, "get_derivative_contracts") <= 25
        rows = answer.rows("options")
        assert {row["expiry"] for row in rows} == {"2026-12-18"}
        assert {row["right"] for row in rows} == {"C", "P"}
        call = next(row for row in rows if row["right"] == "C")
        assert 0 < call["delta"] < 1
        assert call["timing"] == "live"
        assert call["bid"] <= call["mid"] <= call["ask"]


async def test_twenty_four_strikes_take_what_ten_questions_a_second_and_ibkrs_first_greeks_take() -> None:
    async with agent() as a:
        loop = asyncio.get_running_loop()
        started = loop.time()
        answer = await a.read("get_option_chain", symbol="AAPL", right="C", strikes=24, greeks=True)
        assert len(answer.rows("options")) == 24
        # A call for each strike; IBKR calculates the first price for a second and the first greeks for two.
        assert asked(a, "get_derivative_contracts") <= 27
        assert loop.time() - started <= 7
        started = loop.time()
        await a.read("get_option_chain", symbol="AAPL", right="C", strikes=24, greeks=True)
        assert loop.time() - started <= 1


async def test_a_chain_that_takes_too_long_is_told_as_far_as_it_is_known() -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="hang", endpoint="get_derivative_contracts", after=4))
        answer = await a.read("get_option_chain", symbol="AAPL", expiry="20261218", strikes=6, greeks=True)
        assert 1 <= len(answer.rows("options")) <= 4
        assert answer.body["complete"] is False
        assert answer.body["note"]


async def test_options_on_a_future_are_told_apart_by_class_and_asked_for_at_once() -> None:
    async with agent() as a:
        answer = await a.read("get_option_chain", symbol="ES 202612", expiry="20261218", strikes=2, greeks=True)
        assert (answer.body["symbol"], answer.body["options_are"]) == ("ES@CME", "on futures")
        rows = answer.rows("options")
        assert len(rows) == 4
        assert {(row["trading_class"], row["multiplier"]) for row in rows} == {("ES", 50)}
        assert asked(a, "get_derivative_contracts") <= 6


async def test_options_on_futures_are_asked_for_by_day_though_listed_under_a_later_month() -> None:
    async with agent() as a:
        whole = await a.read("get_option_chain", symbol="/CL")
        assert whole.rows("expiries")[0]["expiry"] == "2026-12-16"
        by_day = await a.read("get_option_chain", symbol="/CL", expiry="20261216", strikes=1, greeks=True)
        assert {row["trading_class"] for row in by_day.rows("options")} == {"LO"}
        by_month = await a.read("get_option_chain", symbol="/CL", expiry="202701")
        assert by_month.body["expiry"] == "2026-12-16"


async def test_classes_and_multipliers_of_one_strike_and_day_are_told_apart() -> None:
    async with agent("odd") as a:
        index = await a.read("get_option_chain", symbol="SPX", expiry="20261218", right="C", strikes=1, greeks=True)
        assert {row["trading_class"] for row in index.rows("options")} == {"SPX", "SPXW"}
        adjusted = await a.read("get_option_chain", symbol="PFE", expiry="20261218", right="C", strikes=1, greeks=True)
        assert {row["multiplier"] for row in adjusted.rows("options")} == {100, 150}


async def test_an_option_means_its_underlying() -> None:
    async with agent() as a:
        assert (await a.read("get_option_chain", symbol="AAPL 20261218 C 290")).body["conid"] == 265598


async def test_the_option_nearest_to_a_delta_for_each_expiry() -> None:
    async with agent() as a:
        answer = await a.read(
            "get_option_chain", symbol=["AAPL", "MSFT", "NVDA", "NOSUCH"], days="20-40", right="C", delta=0.3
        )
        rows = answer.rows("options")
        assert {row["underlying"] for row in rows} == {"AAPL", "MSFT", "NVDA"}
        assert all(20 <= row["days"] <= 40 for row in rows)
        assert all(abs(row["delta"] - 0.3) < 0.06 for row in rows)
        assert "NOSUCH" in answer.body["unknown"]
        puts = (await a.read("get_option_chain", symbol="SPX", delta=0.25, right="P")).rows("options")
        assert all(abs(row["delta"] + 0.25) < 0.1 for row in puts)
        found = await a.read("get_contract_details", symbol=rows[0]["symbol"])
        assert found.body["conid"] == rows[0]["conid"]


async def test_five_holdings_are_one_call_so_that_sixty_are_twelve() -> None:
    async with agent() as a:
        names = ["AAPL", "MSFT", "NVDA", "TSLA", "META"]
        answer = await a.read("get_option_chain", symbol=names, days="25-35", delta=0.3)
        assert {row["underlying"] for row in answer.rows("options")} == set(names)
        assert len(answer.text) < 2500


async def test_a_month_or_an_instrument_without_options_is_refused() -> None:
    async with agent() as a:
        refused = await a.call("get_option_chain", symbol="AAPL", expiry="203011")
        assert "202612" in refused.error["action"]
        assert (await a.call("get_option_chain", symbol="EUR.USD")).error["code"] == "invalid_request"
        assert (await a.call("get_option_chain", symbol="AAPL", expiry="202613")).error["code"] == "invalid_request"
        assert (await a.call("get_option_chain", symbol="AAPL", days="soon")).error["code"] == "invalid_request"
        assert "delta" in (await a.call("get_option_chain", symbol=["AAPL", "MSFT"])).error["action"]


async def test_a_listed_month_without_strikes_is_to_be_asked_again() -> None:
    async with agent() as a:
        a.simulator.faults.add(
            FaultSpec(kind="answer", status=200, endpoint="list_strikes", body={"call": [], "put": []})
        )
        refused = await a.call("get_option_chain", symbol="AAPL", expiry="202701")
        assert refused.error["code"] == "upstream_error"
        assert "Ask again" in refused.error["action"]
        a.simulator.faults.remove()
        # What was empty is not remembered for longer than a moment.
        await asyncio.sleep(60)
        assert (await a.read("get_option_chain", symbol="AAPL", expiry="202701")).body["strikes"]
