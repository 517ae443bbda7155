"""Instruments by name: resolved inside the tools, ambiguous ones answered with choices."""

from __future__ import annotations

from typing import Any

import pytest

from support.agent import Agent, agent

pytestmark = pytest.mark.looptime


async def found(a: Agent, symbol: str) -> dict[str, Any]:
    return (await a.read("get_contract_details", symbol=symbol)).body


async def test_a_us_listing_is_meant_unless_an_exchange_is_named() -> None:
    async with agent() as a:
        assert (await found(a, "AAPL"))["conid"] == 265598
        assert (await found(a, "aapl"))["exchange"] == "NASDAQ"
        assert (await found(a, "AAPL@EBS"))["currency"] == "CHF"
        assert (await found(a, "265598"))["symbol"] == "AAPL"


SPELLINGS = {
    "AAPL": ("AAPL", "aapl", "$AAPL", "NASDAQ:AAPL", "AAPL US", "AAPL@NASDAQ", "US0378331005", "037833100", "#265598"),
    "SHEL@LSE": ("SHEL@LSE", "LSE:SHEL", "SHEL.L", "SHEL LN", "SHEL@LON"),
    "SAP@IBIS": ("SAP.DE", "SAP GY", "XETRA:SAP", "SAP@XETRA"),
    "7203@TSEJ": ("7203.T", "7203 JP", "TSE:7203", "7203@TSEJ", "7203"),
    "700@SEHK": ("0700.HK", "700 HK", "0700", "700@SEHK", "700"),
    "BRK B": ("BRK.B", "BRK B", "BRK-B", "BRK/B"),
    "EUR.USD": ("EUR.USD", "EUR USD", "EURUSD=X", "EUR/USD", "EURUSD", "FX:EURUSD"),
    "BTC.USD@PAXOS": ("BTC", "BTC.USD", "BTCUSD", "BTC-USD", "BTC/USD", "BTC.USD@PAXOS"),
    "SPX": ("SPX", "^GSPC", "^SPX", "$SPX"),
    "VIX": ("^VIX", "VIX"),
    "ES 202612": ("ES 202612", "ES DEC26", "ESZ6", "ESZ26", "/ES", "/ESZ6", "ES=F", "ES     DEC2026"),
    "AAPL 20261218 C 290": (
        "AAPL 20261218 C 290",
        "AAPL 18DEC26 290 C",
        "AAPL 261218C00290000",
        "AAPL  261218C00290000",
        "AAPL Dec18'26 290 CALL",
        "AAPL   DEC2026 290 C [AAPL  261218C00290000 100]",
    ),
    "AAPL 4.3 05/10/33 #254867302": ("AAPL 4.3 05/10/33", "AAPL 4.3 2033-05-10", "AAPL 4.3 05/10/33 #254867302"),
}


@pytest.mark.parametrize("symbol", SPELLINGS)
async def test_every_spelling_of_an_instrument_means_it(symbol: str) -> None:
    async with agent("odd") as a:
        for spelling in SPELLINGS[symbol]:
            assert (await found(a, spelling)).get("symbol") == symbol, spelling


async def test_a_listing_that_does_not_exist_is_answered_with_those_that_do() -> None:
    async with agent() as a:
        refused = await a.call("get_contract_details", symbol="AAPL@LSE")
        choices = refused.error["choices"]
        assert choices["columns"] == ["symbol", "conid", "class", "exchange", "currency", "name"]
        assert ["AAPL", 265598, "STK", "NASDAQ", "USD", "APPLE INC"] in choices["rows"]
        assert refused.error["message"] == "AAPL is not listed on LSE."
        assert "AAPL@EBS" in [row[0] for row in choices["rows"]]


async def test_futures_pairs_indices_and_options_have_names() -> None:
    async with agent() as a:
        future = await found(a, "ES 202612")
        assert (future["symbol"], future["class"], future["expiry"]) == ("ES 202612", "FUT", "2026-12-18")
        assert (await found(a, "ES 20261218"))["conid"] == future["conid"]
        assert (await found(a, "EUR.USD"))["class"] == "CASH"
        assert (await found(a, "SPX"))["class"] == "IND"
        option = await found(a, "AAPL 20261218 C 290")
        assert (option["class"], option["strike"], option["right"]) == ("OPT", 290, "C")


async def test_an_expiry_that_does_not_exist_is_answered_with_those_that_do() -> None:
    async with agent() as a:
        refused = await a.call("get_contract_details", symbol="ES 202701")
        assert "202612" in refused.error["action"]
        refused = await a.call("get_contract_details", symbol="AAPL 20261217 C 290")
        assert "20261218" in refused.error["action"]


async def test_options_that_fit_several_or_none_are_answered_with_the_way_to_one() -> None:
    async with agent() as a:
        several = await a.call("get_contract_details", symbol="AAPL 202612 C 290")
        assert "symbol" in several.error["action"]
        symbols = [row[0] for row in several.error["choices"]["rows"]]
        assert symbols == sorted(symbols)
        assert "AAPL 20261218 C 290" in symbols
        for unlisted in ("AAPL 20261218 C 1", "AAPL 20261218 C 290.01"):
            refused = await a.call("get_contract_details", symbol=unlisted)
            assert "get_option_chain" in refused.error["action"]


@pytest.mark.parametrize("symbol", ["ZZZZZ", "999999999", "EUR.ZAR", "ZZZZZ 202612", "AAPL 20261218 C 1"])
async def test_an_unknown_instrument_is_an_error_that_says_where_to_look(symbol: str) -> None:
    async with agent() as a:
        refused = await a.call("get_price_snapshot", symbols=[symbol])
        assert refused.error["code"] == "invalid_request"
        assert refused.error["action"]


async def test_text_that_names_nothing_is_refused_without_asking_ibkr() -> None:
    async with agent() as a:
        before = len(a.simulator.requests)
        refused = await a.call("get_price_snapshot", symbols=["what is this?"])
        assert refused.error["code"] == "invalid_request"
        assert "EUR.USD" in refused.error["action"]
        assert len(a.simulator.requests) == before


async def test_stocks_resolve_with_the_portal_session_alone_and_other_symbols_say_why_not() -> None:
    async with agent(brokerage=False) as a:
        assert (await found(a, "AAPL"))["conid"] == 265598
        assert (await found(a, "ES 202612"))["class"] == "FUT"
        refused = await a.call("get_contract_details", symbol="SPX")
        assert refused.error["code"] == "session_reopening"
        assert "SPX" in refused.error["message"]


async def test_many_symbols_cost_two_questions_and_none_the_second_time() -> None:
    symbols = ["AAPL", "MSFT", "IBM", "NVDA", "AMZN", "TSLA", "META", "NFLX"]
    looked_up = {"search_stocks", "get_security_definitions"}
    async with agent() as a:

        def lookups() -> int:
            return sum(request.endpoint in looked_up for request in a.simulator.requests)

        await a.read("get_price_snapshot", symbols=symbols)
        assert lookups() == 2
        await a.read("get_price_snapshot", symbols=list(reversed(symbols)))
        assert lookups() == 2


async def test_search_by_symbol_by_name_and_for_nothing() -> None:
    async with agent() as a:
        rows = (await a.read("search_contracts", query="aapl")).rows("contracts")
        assert rows[0]["symbol"] == "AAPL"
        assert (rows[0]["currency"], rows[0]["class"]) == ("USD", "STK")
        assert "OPT" in rows[0]["derivatives"]
        assert (await a.read("search_contracts", query="apple")).rows("contracts")[0]["conid"] == 265598
        assert (await a.read("search_contracts", query="ES", type="FUT")).rows("contracts")[0][
            "derivatives"
        ] == "FUT FOP"
        nothing = await a.read("search_contracts", query="zzzzqq")
        assert nothing.rows("contracts") == []
        assert "zzzzqq" in nothing.body["note"]


@pytest.mark.parametrize(
    ("query", "symbol"),
    [
        ("BRK.B", "BRK B"),
        ("SAP@IBIS", "SAP@IBIS"),
        ("7203.T", "7203@TSEJ"),
        ("NESN.SW", "NESN@EBS"),
        ("^GSPC", "SPX"),
        ("US0378331005", "AAPL"),
        ("037833100", "AAPL"),
        ("ESZ6", "ES 202612"),
        ("BTC-USD", "BTC.USD@PAXOS"),
        ("AAPL 3.85 05/04/43", "AAPL 3.85 05/04/43 #254867301"),
        ("trust of invesco", "QQQ"),
    ],
)
async def test_search_takes_every_spelling(query: str, symbol: str) -> None:
    async with agent("odd") as a:
        assert (await a.read("search_contracts", query=query)).rows("contracts")[0]["symbol"] == symbol


async def test_search_without_a_brokerage_session_finds_stocks_and_says_so() -> None:
    async with agent(brokerage=False) as a:
        answer = await a.read("search_contracts", query="AAPL")
        assert 265598 in [row["conid"] for row in answer.rows("contracts")]
        assert "Only stocks" in answer.body["note"]


async def test_rules_and_hours_come_when_asked_for() -> None:
    async with agent() as a:
        plain = await found(a, "AAPL")
        assert "rules" not in plain
        assert "hours" not in plain
        full = await a.read("get_contract_details", symbol="AAPL", rules=True, hours=True)
        assert "limit" in full.body["rules"]["order_types"]
        assert full.rows("hours")[0]["opens"].endswith("14:30:00Z")
        assert full.rows("hours")[0]["extended_opens"].endswith("09:00:00Z")
        assert full.body["open_now"]
        assert full.body["next_close"] == "2026-11-24T21:00:00Z"
        assert full.body["next_open"] == "2026-11-25T14:30:00Z"
        assert [row["date"] for row in full.rows("hours") if row.get("early_close")] == ["2026-11-27"]


async def test_an_exchange_has_hours_without_an_instrument() -> None:
    async with agent("odd") as a:
        tokyo = (await a.read("get_contract_details", symbol="TSEJ", hours=True)).body
        assert (tokyo["time_zone"], tokyo["open_now"], tokyo["next_open"]) == (
            "Asia/Tokyo",
            False,
            "2026-11-25T00:00:00Z",
        )
        assert (await a.read("get_contract_details", symbol="xetra", hours=True)).body["exchange"] == "XETRA"
        assert (await a.read("get_contract_details", symbol="FX", hours=True)).body["open_now"]


async def test_details_hold_what_tells_an_instrument_from_others() -> None:
    async with agent("odd") as a:
        future = await found(a, "CL 202701")
        assert (future["contract_month"], future["expiry"], future["multiplier"]) == ("2027-01", "2026-12-21", 1000)
        assert future["also"] == ["CL 202702 (expires 20270120)"]
        option = await found(a, "SPX 20261218 C 6950 SPXW")
        assert (option["trading_class"], option["underlying"]) == ("SPXW", "SPX")
        assert (await found(a, "SHEL@LSE"))["price_unit"] == "GBP/100"
        rules = (await a.read("get_contract_details", symbol="SHEL@LSE", rules=True)).body["rules"]
        assert rules["price_magnifier"] == 100
        assert (await found(a, "AAPL 3.85 05/04/43"))["price_unit"] == "% of par"
