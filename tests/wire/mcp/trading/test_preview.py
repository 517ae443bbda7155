"""What a preview tells, and what it refuses before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.agent import Agent, agent
from support.trading import PAPER_POLICY

pytestmark = pytest.mark.looptime

AAPL = {"symbol": "AAPL", "side": "BUY", "quantity": 3, "limit": 251.25}


def sent(a: Agent) -> int:
    return sum(request.endpoint in ("place_orders", "modify_order") for request in a.simulator.requests)


async def test_a_preview_tells_what_the_order_is_costs_and_does(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        answer = (await a.read("preview_order", **AAPL)).body
        assert (answer["mode"], answer["account"]) == ("paper", "DU7420001")
        assert answer["order"] == "BUY 3 AAPL, limit 251.25 USD, for the day"
        assert answer["price"]["timing"] == "live"
        assert answer["price"]["bid"] < answer["price"]["ask"]
        assert answer["price"]["age_ms"] >= 0
        assert answer["price"]["updated"].startswith("2026-11-24T17:")
        assert answer["notional"] == {"amount": 753.75, "currency": "USD"}
        assert answer["cost"]["commission"] == {"amount": 1, "currency": "USD"}
        initial = answer["margin"]["initial"]
        assert initial["before"] + initial["change"] == initial["after"]
        assert answer["position"] == {"before": 200, "after": 203}
        assert "below the market" in answer["warnings"][0]
        assert "short_selling" in answer["limits"]["passed"]
        assert answer["expires_in_s"] == 120
        assert "Nothing was sent" in answer["next"]
        assert sent(a) == 0


async def test_the_position_is_asked_for_only_where_the_what_if_does_not_tell_it(tmp_path: Path) -> None:
    def asked(a: Agent) -> bool:
        return any(request.endpoint == "get_position" for request in a.simulator.requests)

    async with agent(trading=tmp_path) as a:
        await a.read("preview_order", **AAPL)
        assert not asked(a)
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="preview_orders", status=500))
        answer = (await a.read("preview_order", **AAPL)).body
        assert asked(a)
        assert answer["position"] == {"before": 200, "after": 203}


async def test_worth_is_told_in_the_base_currency_too_and_pence_are_pence(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        answer = (await a.read("preview_order", symbol="SHEL@LSE", side="BUY", quantity=10, limit=2500)).body
        assert answer["price"]["unit"] == "GBP/100"
        worth = answer["notional"]
        assert (worth["amount"], worth["currency"], worth["base_currency"]) == (250, "GBP", "USD")
        assert worth["base_amount"] > 250
        assert "limit 2500 GBP/100" in answer["order"]
        assert any("market is closed" in warning for warning in answer["warnings"])


async def test_a_live_account_is_called_live(tmp_path: Path) -> None:
    policy = PAPER_POLICY.replace('"paper"', '"preview"')
    async with agent("live", trading=tmp_path, policy=policy) as a:
        answer = (await a.read("preview_order", **AAPL, account="U7420002")).body
        assert answer["mode"] == "live"
        assert answer["ticket"] is None
        assert "mode is preview" in answer["next"]
        assert answer["cost"]["commission"]["amount"] > 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"limit": None}, "A limit order needs limit"),
        ({"limit": 251.255}, "give 251.25 or 251.26"),
        ({"tif": "PAX"}, "it takes DAY, GTC, IOC, OPG, OVT, OND"),
        ({"quantity": 0.00001}, "the least is 0.0001"),
        ({"quantity": -1}, "quantity"),
        ({"type": "market", "limit": None, "outside_hours": True}, "not taken outside regular hours; only limit"),
        ({"symbol": None}, "Name the instrument"),
        ({"symbol": "SPX"}, "SPX is an index"),
        ({"algo": "adaptiv"}, "has no algo 'adaptiv'"),
        ({"algo": "Vwap"}, "needs maxPctVol"),
        ({"algo": "Adaptive", "algo_parameters": {"priority": 1}}, "does not know priority"),
        ({"legs": ["1 AAPL", "-1 MSFT"]}, "named by its legs"),
        ({"take_profit": 200}, "take_profit 200 has to be above"),
        ({"oca": [{"limit": 250.001}]}, "limit 250.001 is not a multiple"),
        ({"oca": [{"limit": 250}], "stop_loss": 200}, "oca goes neither with"),
        ({"account": "DU1"}, "There is no account"),
    ],
)
async def test_what_cannot_be_ordered_is_told_with_what_can(tmp_path: Path, words: dict[str, Any], hint: str) -> None:
    given = {name: value for name, value in {**AAPL, **words}.items() if value is not None}
    async with agent(trading=tmp_path) as a:
        refused = await a.call("preview_order", **given)
        assert hint in json.dumps(refused.error), refused.text
        assert not any(request.endpoint == "preview_orders" for request in a.simulator.requests)


async def test_the_limits_say_why_there_is_no_ticket(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, policy=PAPER_POLICY + "[limits]\nquantity = 2\n") as a:
        answer = (await a.read("preview_order", **AAPL)).body
        assert answer["ticket"] is None
        (refused,) = answer["limits"]["refused"]
        assert "quantity" in refused
        assert refused in answer["next"]
        # The limits are read again with every preview.
        (tmp_path / "policy.toml").write_text(PAPER_POLICY + "[limits]\nquantity = 3\n")
        assert (await a.read("preview_order", **AAPL)).body["ticket"]


async def test_an_order_that_ibkr_would_refuse_gets_no_ticket(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        answer = (await a.read("preview_order", **{**AAPL, "quantity": 100_000})).body
        assert answer["ticket"] is None
        assert "enough funds" in answer["next"]
        assert answer["margin"]["initial"]["after"] > 0


async def test_without_a_what_if_the_preview_says_so(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="preview_orders", status=500, body={"error": "no"}))
        answer = (await a.read("preview_order", **AAPL)).body
        assert answer["ticket"]
        assert "margin" not in answer
        assert any("gave no what-if" in warning for warning in answer["warnings"])


async def test_a_combination_is_priced_by_its_legs(tmp_path: Path) -> None:
    legs = ["1 AAPL 20261218 C 280", "-1 AAPL 20261218 C 290"]
    async with agent(trading=tmp_path) as a:
        quotes = (await a.read("get_price_snapshot", symbols=[leg.split(" ", 1)[1] for leg in legs])).rows("prices")
        answer = (await a.read("preview_order", legs=legs, side="BUY", quantity=2, limit=0.5)).body
        bought, sold = quotes
        assert answer["price"]["ask"] == pytest.approx(bought["ask"] - sold["bid"], abs=0.2)
        assert answer["notional"]["amount"] == 100


async def test_a_group_over_several_instruments_says_what_was_not_looked_at(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        answer = (await a.read("preview_order", **AAPL, oca=[{"symbol": "MSFT", "limit": 500}])).body
        assert [line.split(",")[0] for line in answer["order"]] == [
            "one cancels all: BUY 3 AAPL",
            "one cancels all: BUY 3 MSFT",
        ]
        assert "Price, hours and position of MSFT were not looked at." in answer["warnings"]


async def test_a_session_that_is_lost_meanwhile_is_told_as_such(tmp_path: Path) -> None:
    async with agent(trading=tmp_path) as a:
        await a.read("preview_order", **AAPL)
        for operation in ("get_price_snapshot", "get_position", "preview_orders"):
            a.simulator.faults.add(FaultSpec(kind="answer", endpoint=operation, status=401))
        refused = await a.call("preview_order", **{**AAPL, "symbol": "MSFT", "limit": 500})
        assert refused.error["code"] in ("login_required", "session_reopening")


async def test_without_trading_there_are_no_order_tools(tmp_path: Path) -> None:
    async with agent() as a:
        assert "preview_order" not in {tool.name for tool in await a.client.list_tools()}
        assert (await a.call("preview_order", **AAPL)).error["code"] == "operation_unknown"
        refused = await a.call("call_endpoint", endpoint="place_orders", parameters={})
        assert refused.error["code"] == "operation_forbidden"


async def test_where_the_owner_permits_nothing_a_preview_says_so(tmp_path: Path) -> None:
    async with agent(trading=tmp_path, policy="") as a:
        refused = await a.call("preview_order", **AAPL)
        assert refused.error["code"] == "operation_forbidden"
        assert "mode is off" in refused.error["message"]
