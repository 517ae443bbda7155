"""Quotes, history and scanners as an agent reads them through the guard."""

from __future__ import annotations

import asyncio
import base64
import io
from datetime import date
from decimal import Decimal

import pytest
from PIL import Image

from support.agent import agent

pytestmark = pytest.mark.looptime


async def test_a_quote_says_how_live_it_is_and_how_old() -> None:
    async with agent() as a:
        (row,) = (await a.read("get_price_snapshot", symbols=["AAPL"])).rows("prices")
        assert (row["symbol"], row["conid"], row["currency"]) == ("AAPL", 265598, "USD")
        assert row["timing"] == "live"
        assert row["complete"]
        assert row["bid"] <= row["last"] <= row["ask"]
        assert row["age_ms"] >= 0
        assert row["updated"].startswith("2026-11-24T17:0")


async def test_a_field_without_a_value_has_a_reason() -> None:
    async with agent() as a:
        answer = await a.read("get_price_snapshot", symbols=["AAPL@MEXI", "IBM@IBIS"], fields=["last", "bid"])
        mexico, germany = answer.rows("prices")
        assert (mexico["timing"], mexico.get("last"), mexico["complete"]) == ("not_subscribed", None, False)
        assert germany["timing"] == "frozen_delayed"
        assert {"fields": "last, bid", "of": "AAPL@MEXI"}.items() <= answer.body["missing"][0].items()
        assert "subscription" in answer.body["missing"][0]["why"]


async def test_instruments_of_one_symbol_have_reasons_of_their_own() -> None:
    async with agent() as a:
        answer = await a.read(
            "get_price_snapshot", symbols=["AAPL@NASDAQ", "AAPL@MEXI", "IBM"], fields=["last", "delta"]
        )
        assert [(each["fields"], each["of"]) for each in answer.body["missing"]] == [
            ("delta", "all"),
            ("last", "AAPL@MEXI"),
        ]
        twice = await a.read("get_price_snapshot", symbols=["EUR.USD", "EURUSD"], fields=["delta"])
        assert [(each["fields"], each["of"]) for each in twice.body["missing"]] == [("delta", "EUR.USD")]


async def test_one_wrong_name_spoils_nothing() -> None:
    async with agent() as a:
        answer = await a.read(
            "get_price_snapshot",
            symbols=["AAPL", "AAPPL", "MSFT", "?!", "AAPL 20261218 C 1"],
            fields=["last", "lsat", "pe_ratio", "sentiment"],
        )
        assert [row["symbol"] for row in answer.rows("prices")] == ["AAPL", "MSFT"]
        assert all(row["last"] and row["price_to_earnings"] for row in answer.rows("prices"))
        assert set(answer.body["unknown"]) == {"AAPPL", "?!", "AAPL 20261218 C 1"}
        assert answer.body["unknown_fields"] == {"lsat": ["last"], "sentiment": []}
        refused = await a.call("get_price_snapshot", symbols=["AAPPL"])
        assert refused.error["code"] == "invalid_request"


async def test_what_is_like_an_unknown_name_is_offered() -> None:
    async with agent() as a:
        refused = await a.call("get_price_snapshot", symbols=["Apple"])
        assert "AAPL" in [row[0] for row in refused.error["choices"]["rows"]]
        answer = await a.read("get_price_snapshot", symbols=["IBM", "Microsoft"])
        assert "MSFT" in answer.body["unknown"]["Microsoft"]["choices"]


async def test_a_quote_says_which_instrument_it_is_and_which_others_there_are() -> None:
    async with agent("odd") as a:
        answer = await a.read("get_price_snapshot", symbols=["ALV", "BTC", "SPX", "SHEL@LSE"])
        first, coin, index, london = answer.rows("prices")
        assert (first["name"], first["class"], first["exchange"], first["currency"]) == (
            "AUTOLIV INC",
            "STK",
            "NYSE",
            "USD",
        )
        assert answer.body["also"]["ALV"][0].startswith("ALV@IBIS ALLIANZ")
        assert (coin["class"], index["class"]) == ("CRYPTO", "IND")
        assert any("BTC@" in other for other in answer.body["also"][coin["symbol"]])
        assert any("SPX@LSE" in other for other in answer.body["also"]["SPX"])
        assert (london["symbol"], london["unit"]) == ("SHEL@LSE", "GBP/100")


async def test_what_is_held_under_a_ticker_that_means_another_instrument_is_named() -> None:
    async with agent("odd") as a:
        before = await a.read("get_price_snapshot", symbols=["SAP"], fields=["last"])
        assert "held_instead" not in before.body
        await a.read("get_account_positions", account="U7430001", limit=1)
        a.simulator.requests.clear()
        answer = await a.read("get_price_snapshot", symbols=["SAP", "AAPL", "SAP@IBIS"], fields=["last"])
        assert answer.body["held_instead"] == {"SAP": ["SAP@IBIS"]}
        # The name goes on meaning what it meant.
        assert answer.rows("prices")[0]["exchange"] == "NYSE"
        for tool, more in (("get_price_history", {}), ("get_option_chain", {}), ("get_option_chain", {"delta": 0.3})):
            assert (await a.read(tool, symbol="SPX", **more)).body["held_instead"] == {"SPX": ["SPX@LSE"]}
        assert not any(request.endpoint == "list_positions" for request in a.simulator.requests)
        a.simulator.sign_in("paper")
        await asyncio.sleep(120)
        other = await a.read("get_price_snapshot", symbols=["SAP"], fields=["last"])
        assert "held_instead" not in other.body


async def test_letters_of_futures_mean_their_index_and_the_future_is_named_beside_it() -> None:
    async with agent() as a:
        answer = await a.read("get_price_snapshot", symbols=["ES", "SPX"], fields=["last"])
        index, _ = answer.rows("prices")
        assert (index["symbol"], index["class"]) == ("ES@CME", "IND")
        assert answer.body["also"]["ES@CME"] == ["ES 202612 the future"]
        (future,) = (await a.read("get_price_snapshot", symbols=["ES 202612"], fields=["last"])).rows("prices")
        assert future["class"] == "FUT"


async def test_prices_say_their_unit_where_it_is_not_the_currency() -> None:
    async with agent("odd") as a:
        rows = (await a.read("get_price_snapshot", symbols=["ZC 202703", "NPN@JSE", "AAPL", "ES 202612"])).rows(
            "prices"
        )
        assert [row.get("unit") for row in rows] == ["USD/100", "ZAR/100", None, None]
        assert [row.get("multiplier") for row in rows] == [5000, None, None, 50]


async def test_the_middle_of_bid_and_ask_can_be_asked_for() -> None:
    async with agent() as a:
        (row,) = (await a.read("get_price_snapshot", symbols=["AAPL"], fields=["mid", "spread"])).rows("prices")
        bid, ask = Decimal(str(row["bid"])), Decimal(str(row["ask"]))
        assert Decimal(str(row["mid"])) == (bid + ask) / 2
        assert Decimal(str(row["spread"])) == ask - bid


async def test_names_and_meanings_of_fields_can_be_asked_for() -> None:
    async with agent(None) as a:
        found = (await a.read("get_price_snapshot", find="dividend yield")).rows("fields")
        assert found[0]["name"] == "dividend_yield"
    async with agent() as a:
        meanings = (await a.read("get_price_snapshot", symbols=["AAPL"], fields=["iv", "bid_size"], explain=True)).body
        assert "percent" in meanings["fields"]["implied_volatility"]
        assert "lots of 100" in meanings["fields"]["bid_size"]


async def test_a_hundred_symbols_are_one_call() -> None:
    async with agent() as a:
        names = [f"#{row[1]}" for row in (await a.read("get_account_positions", limit=100)).body["positions"]["rows"]]
        assert len(names) == 100
        answer = await a.read("get_price_snapshot", symbols=names, fields=["last"])
        assert len(answer.rows("prices")) == 100


async def test_fields_go_by_name_and_unknown_ones_are_refused_with_near_ones() -> None:
    async with agent() as a:
        (row,) = (await a.read("get_price_snapshot", symbols="AAPL", fields="market_cap,beta")).rows("prices")
        assert {"market_cap", "beta"} <= set(row)
        assert "7289" not in str(row.keys())
        refused = await a.call("get_price_snapshot", symbols=["AAPL"], fields=["lsat"])
        assert "last" in refused.error["message"]


async def test_derivatives_pairs_and_indices_are_quoted_at_once() -> None:
    async with agent() as a:
        answer = await a.read("get_price_snapshot", symbols=["ES 202612", "EUR.USD", "SPX", "AAPL 20261218 C 290"])
        assert all(row["last"] for row in answer.rows("prices"))


async def test_one_instrument_on_two_exchanges_has_a_quote_of_each() -> None:
    async with agent() as a:
        rows = (await a.read("get_price_snapshot", symbols=["AAPL", "265598@IEX", "AAPL"])).rows("prices")
        assert [row["conid"] for row in rows] == [265598, 265598]
        assert all(row["last"] for row in rows)


async def test_history_is_oldest_first_and_goes_on_backwards() -> None:
    async with agent() as a:
        newest = await a.read("get_price_history", symbol="AAPL", period="5d", bar="1h", limit=10)
        rows = newest.rows("bars")
        assert len(rows) == 10
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
        assert newest.body["timing"] == "live"
        earlier = await a.read(
            "get_price_history", symbol="AAPL", period="5d", bar="1h", limit=10, end=newest.body["bars"]["more"]
        )
        assert earlier.rows("bars")[-1]["time"] < rows[0]["time"]


async def test_a_whole_period_is_answered_and_a_cut_is_said_before_the_rows() -> None:
    async with agent() as a:
        whole = await a.read("get_price_history", symbol="NVDA", period="1y")
        assert len(whole.rows("bars")) > 240
        assert "more" not in whole.body["bars"]
        assert "omitted" not in whole.body
        cut = await a.read("get_price_history", symbol="NVDA", period="1y", limit=50)
        assert list(cut.body).index("omitted") < list(cut.body).index("bars")
        assert f"{len(whole.rows('bars')) - 50} older bars" in cut.body["omitted"]
        earlier = await a.read("get_price_history", symbol="NVDA", period="1y", end=cut.body["bars"]["more"])
        assert earlier.rows("bars")[-1]["date"] == whole.rows("bars")[-51]["date"]


async def test_daily_bars_have_the_exchanges_date_and_its_zone() -> None:
    async with agent("odd") as a:
        sydney = await a.read("get_price_history", symbol="BHP@ASX", period="1w", bar="1d")
        assert sydney.body["time_zone"] == "Australia/Sydney"
        dates = [row["date"] for row in sydney.rows("bars")]
        assert dates[-1] == "2026-11-24"
        assert not any(date.fromisoformat(day).weekday() > 4 for day in dates)
        euro = await a.read("get_price_history", symbol="EUR.USD", period="1w", bar="1d", outside_hours=True)
        assert not any(date.fromisoformat(row["date"]).weekday() > 4 for row in euro.rows("bars"))


async def test_the_running_bar_is_called_unfinished() -> None:
    async with agent() as a:
        assert (await a.read("get_price_history", symbol="AAPL")).body["last_bar"] == "unfinished"
        assert "last_bar" not in (await a.read("get_price_history", symbol="AAPL", end="2026-11-20")).body


async def test_an_end_without_a_time_holds_that_day() -> None:
    async with agent() as a:
        rows = (await a.read("get_price_history", symbol="AAPL", end="2026-11-20")).rows("bars")
        assert rows[-1]["date"] == "2026-11-20"


async def test_a_period_is_taken_as_people_write_it() -> None:
    async with agent() as a:
        five = await a.read("get_price_history", symbol="AAPL", period="5d", bar="1d")
        assert [row["date"] for row in five.rows("bars")][-1] == "2026-11-24"
        assert len(five.rows("bars")) == 5
        year = (await a.read("get_price_history", symbol="AAPL", period="YTD")).rows("bars")
        assert year[0]["date"] == "2026-01-02"
        assert len((await a.read("get_price_history", symbol="AAPL", period="6 months")).rows("bars")) > 100


async def test_history_says_what_it_is_of_and_what_was_done_to_it() -> None:
    async with agent("odd") as a:
        body = (await a.read("get_price_history", symbol="VOD.L", source="bid_ask")).body
        assert (body["symbol"], body["exchange"], body["currency"], body["unit"]) == (
            "VOD@LSE",
            "LSE",
            "GBP",
            "GBP/100",
        )
        assert body["adjusted"] == "for splits, not for dividends"
        assert body["bars"]["columns"][1:] == ["average_bid", "highest_ask", "lowest_bid", "average_ask", "volume"]
        assert (await a.read("get_price_history", symbol="ALV")).body["also"][0].startswith("ALV@IBIS")
        assert (await a.read("get_price_history", symbol="SPX")).body["timing"] == "unknown"


async def test_several_are_their_closes_side_by_side() -> None:
    async with agent() as a:
        answer = await a.read("get_price_history", symbol=["AAPL", "MSFT", "NOSUCH"], period="1m")
        first, second = answer.rows("summary")
        assert (first["symbol"], second["symbol"]) == ("AAPL", "MSFT")
        closes = answer.rows("closes")
        assert closes[0]["AAPL"] == first["first"]
        assert closes[-1]["MSFT"] == second["last"]
        change = (Decimal(str(first["last"])) / Decimal(str(first["first"])) - 1) * 100
        assert abs(Decimal(str(first["change_percent"])) - change) <= Decimal("0.005")
        assert "NOSUCH" in answer.body["unknown"]
        picture = await a.read("get_price_history", symbol=["AAPL", "MSFT"], chart=True)
        assert [part.type for part in picture.content] == ["image", "text"]
        assert "closes" not in picture.body


async def test_the_change_over_months_has_the_first_month_in_it() -> None:
    async with agent() as a:
        months = await a.read("get_price_history", symbol=["SPY", "QQQ"], period="YTD", bar="1m")
        days = await a.read("get_price_history", symbol=["SPY", "QQQ"], period="YTD", bar="1d")
        assert months.body["dates"] == "the first day of each bar"
        assert "open of the first bar" in months.body["change"]
        for coarse, fine in zip(months.rows("summary"), days.rows("summary"), strict=True):
            # A day's move apart: one counts from the open of the first day, the other from its close.
            assert abs(coarse["change_percent"] - fine["change_percent"]) < 4
            assert coarse["first"] != months.rows("closes")[0][coarse["symbol"]]
        picture = await a.read("get_price_history", symbol=["SPY", "QQQ"], period="YTD", bar="1m", chart=True)
        assert [part.type for part in picture.content] == ["image", "text"]


async def test_a_stock_is_asked_for_the_volatility_that_it_has() -> None:
    async with agent() as a:
        (missing,) = (await a.read("get_price_snapshot", symbols=["TSLA"], fields=["iv"])).body["missing"]
        assert "implied_volatility_underlying" in missing["why"]
        found = await a.read("get_price_snapshot", symbols=["TSLA"], fields=["implied_volatility_underlying"])
        assert found.rows("prices")[0]["implied_volatility_underlying"]


async def test_a_search_by_name_says_that_it_does_not_know_the_futures() -> None:
    async with agent() as a:
        assert "FUT" in (await a.read("search_contracts", query="gold", type="FUT")).body["note"]
        assert "note" not in (await a.read("search_contracts", query="ES", type="FUT")).body


async def test_a_pair_that_is_not_traded_has_a_rate_all_the_same() -> None:
    async with agent() as a:
        refused = await a.call("get_price_snapshot", symbols=["EUR.JPY"])
        assert "get_exchange_rate" in refused.error["action"]
        rate = await a.read(
            "call_endpoint", endpoint="get_exchange_rate", parameters={"source": "EUR", "target": "JPY"}
        )
        assert rate.body["result"]["rate"] > 0


async def test_volume_is_in_shares_not_in_units_of_ibkrs_factor() -> None:
    async with agent() as a:
        (day,) = (await a.read("get_price_history", symbol="IBM", period="1m", limit=1)).rows("bars")
        (row,) = (await a.read("get_price_snapshot", symbols=["IBM"], fields=["volume_exact"])).rows("prices")
        assert abs(Decimal(str(day["volume"])) - row["volume_exact"]) < row["volume_exact"] / 50


async def test_options_have_bars_below_a_day_unless_others_are_asked_for() -> None:
    async with agent() as a:
        answer = await a.read("get_price_history", symbol="AAPL 20261218 C 290")
        assert answer.body["bar"] == "8h"
        assert answer.rows("bars")
        for asked in ({"bar": "1d"}, {"period": "3y"}):
            refused = await a.call("get_price_history", symbol="AAPL 20261218 C 290", **asked)
            assert refused.error["code"] == "upstream_error"
            assert "8h" in refused.error["action"]


async def test_delayed_history_says_so() -> None:
    async with agent() as a:
        assert (await a.read("get_price_history", symbol="IBM@IBIS")).body["timing"] == "frozen_delayed"
        assert (await a.read("get_price_history", symbol="SPX")).body["timing"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"bar": "7min"}, "1h"),
        ({"period": "1y", "bar": "1min"}, "8h"),
        ({"period": "nonsense"}, "3m"),
        ({"period": "2000d"}, "1000d"),
        ({"end": "yesterday"}, "2026-11-20T15:30:00Z"),
    ],
)
async def test_a_window_that_ibkr_does_not_have_is_refused_with_what_it_has(
    arguments: dict[str, str], hint: str
) -> None:
    async with agent() as a:
        refused = await a.call("get_price_history", symbol="AAPL", **arguments)
        assert refused.error["code"] == "invalid_request"
        assert hint in refused.error["action"]


async def test_a_time_without_bars_is_an_empty_answer() -> None:
    async with agent() as a:
        answer = await a.read("get_price_history", symbol="AAPL", period="1d", bar="1h", end="1990-01-01T00:00:00Z")
        assert answer.rows("bars") == []
        assert answer.body["note"]


async def test_a_chart_is_a_picture_with_the_same_facts_in_words() -> None:
    async with agent() as a:
        answer = await a.read("get_price_history", symbol="AAPL", period="3m", chart=True)
        picture = next(part for part in answer.content if part.type == "image")
        assert picture.mime_type == "image/png"
        with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
            assert image.size == (960, 540)
            assert len(set(image.convert("RGB").getcolors(1_000_000) or ())) > 5
        rows = (await a.read("get_price_history", symbol="AAPL", period="3m")).rows("bars")
        assert answer.body["high"] == max(row["high"] for row in rows)
        assert answer.body["bars"] == len(rows)
