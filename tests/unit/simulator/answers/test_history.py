"""Price history: every bar size and period, windows that end at startTime, and what IBKR refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise, product
from typing import Any

import pytest

from support.simulator import AAPL, ES_INDEX, EUR_USD, FRIDAY, Asker, utc

BARS = ["1min", "2min", "3min", "5min", "10min", "15min", "30min", "1h", "2h", "3h", "4h", "8h", "1d", "1w", "1m"]
SECONDS = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "m": 30 * 86400}
RANGES = {
    "30min": ("1min", "8h"),
    "1h": ("1min", "8h"),
    "8h": ("1min", "8h"),
    "1d": ("1min", "8h"),
    "5d": ("1min", "1w"),
    "1w": ("10min", "1w"),
    "1m": ("1h", "1m"),
    "3m": ("2h", "1m"),
    "6m": ("4h", "1m"),
    "1y": ("8h", "1m"),
    "2y": ("1d", "1m"),
    "15y": ("1w", "1m"),
}


def is_offered(period: str, bar: str) -> bool:
    smallest, largest = RANGES[period]
    return BARS.index(smallest) <= BARS.index(bar) <= BARS.index(largest)


def seconds_of(bar: str) -> int:
    unit = bar.lstrip("0123456789")
    return int(bar.removesuffix(unit)) * SECONDS[unit]


def stamp(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y%m%d-%H:%M:%S}"


@pytest.mark.parametrize(("period", "bar"), list(product(RANGES, BARS)))
def test_each_period_offers_its_bars(period: str, bar: str) -> None:
    ask = Asker(now=utc("2026-11-20 20:45:00"))

    body = ask("get_price_history", conid=AAPL, period=period, bar=bar)

    if not is_offered(period, bar):
        assert (ask.status, body["error"]) == (500, "Chart data unavailable")
        return
    assert ask.status == 200
    times = [row["t"] / 1000 for row in body["data"]]
    assert 0 < len(times) <= 1000
    assert all(later - earlier >= seconds_of(bar) * 0.02 for earlier, later in pairwise(times))
    assert times == sorted(times)
    assert times[-1] < ask.now
    assert body["barLength"] == seconds_of(bar)
    assert body["timePeriod"] == period
    for row in body["data"]:
        assert row["l"] <= min(row["o"], row["c"]) <= max(row["o"], row["c"]) <= row["h"]
        assert row["v"] >= 0


@pytest.mark.parametrize(
    ("period", "bar", "count"),
    [
        ("1d", "5min", 78),
        ("1d", "1h", 7),
        ("2d", "30min", 26),
        ("30min", "1min", 30),
        ("10d", "8h", 10),
        ("6m", "1m", 7),
    ],
)
def test_windows_hold_as_many_bars_as_they_should(period: str, bar: str, count: int) -> None:
    ask = Asker(now=utc("2026-11-20 21:00:00"))
    assert len(ask("get_price_history", conid=AAPL, period=period, bar=bar)["data"]) == count


@pytest.mark.parametrize("bar", ["1min", "5min", "1h", "8h"])
@pytest.mark.parametrize("conid", [AAPL, EUR_USD, 479624278])
def test_the_last_close_is_the_last_price(conid: int, bar: str) -> None:
    ask = Asker()
    row = ask.snapshot(conid, fields="31,70,71,7295")[0]
    body = ask("get_price_history", conid=conid, period="1d", bar=bar)
    assert body["data"][-1]["c"] == float(row["31"])
    if len(body["data"]) < 1000:
        assert max(bar["h"] for bar in body["data"]) == float(row["70"])
        assert min(bar["l"] for bar in body["data"]) == float(row["71"])
        assert body["data"][0]["o"] == float(row["7295"])


def test_longer_bars_are_made_of_shorter_ones() -> None:
    ask = Asker(now=utc("2026-11-20 21:00:00"))
    days = ask("get_price_history", conid=AAPL, period="2m", bar="1d")["data"]
    weeks = ask("get_price_history", conid=AAPL, period="2m", bar="1w")["data"]
    inside = [day for day in days if weeks[3]["t"] <= day["t"] < weeks[4]["t"]]
    assert weeks[3]["h"] == max(day["h"] for day in inside)
    assert weeks[3]["l"] == min(day["l"] for day in inside)
    assert (weeks[3]["o"], weeks[3]["c"]) == (inside[0]["o"], inside[-1]["c"])
    assert weeks[3]["v"] == pytest.approx(sum(day["v"] for day in inside), abs=0.1)


def test_start_time_ends_the_window() -> None:
    ask = Asker()
    end = utc("2026-11-18 18:00:00")
    body = ask("get_price_history", conid=AAPL, period="1d", bar="5min", startTime=stamp(end))
    times = [row["t"] / 1000 for row in body["data"]]
    assert times[0] == utc("2026-11-18 14:30:00")
    assert times[-1] == end - 300


def test_giving_now_as_start_time_loses_the_running_bar() -> None:
    ask = Asker()
    whole = ask("get_price_history", conid=AAPL, period="1d", bar="5min")["data"]
    cut = ask("get_price_history", conid=AAPL, period="1d", bar="5min", startTime=stamp(FRIDAY))["data"]
    assert cut == whole[:-1]


def test_paging_backwards_meets_the_page_before() -> None:
    ask = Asker(now=utc("2026-11-20 21:00:00"))
    arguments = {"conid": EUR_USD, "period": "1000d", "bar": "1d"}
    newest = ask("get_price_history", **arguments)["data"]
    older = ask("get_price_history", **arguments, startTime=stamp(newest[0]["t"] / 1000))["data"]
    assert len(newest) == len(older) == 1000
    assert 0 < (newest[0]["t"] - older[-1]["t"]) / 86_400_000 <= 4


def test_an_empty_window_holds_one_bar_without_a_time() -> None:
    body = Asker()("get_price_history", conid=AAPL, period="1d", bar="5min", startTime="19990105-15:00:00")
    assert body["points"] == 0
    assert len(body["data"]) == 1
    assert "t" not in body["data"][0]


def test_extended_hours_come_on_request() -> None:
    ask = Asker(now=utc("2026-11-20 23:00:00"))
    regular = ask("get_price_history", conid=AAPL, period="1d", bar="30min")["data"]
    extended = ask("get_price_history", conid=AAPL, period="1d", bar="30min", outsideRth="true")["data"]
    assert len(regular) == 13
    assert extended[0]["t"] == utc("2026-11-20 09:00:00") * 1000
    assert len(extended) == 11 + 13 + 4
    assert regular[0] in extended


@pytest.mark.parametrize("moment", ["2026-11-22 12:00:00", "2026-11-23 13:00:00", "2026-11-26 18:00:00"])
def test_a_closed_market_shows_its_last_day(moment: str) -> None:
    body = Asker(now=utc(moment))("get_price_history", conid=AAPL, period="1d", bar="1h")
    assert len(body["data"]) == 7
    assert body["data"][-1]["t"] / 1000 < utc(moment) - 10 * 3600


def test_volume_comes_in_units_of_the_factor() -> None:
    ask = Asker(now=utc("2026-11-20 20:59:59"))
    exact = ask.snapshot(AAPL, 4391, fields="7762")
    for row in exact:
        body = ask("get_price_history", conid=row["conid"], period="1d", bar="1h")
        total = sum(bar["v"] for bar in body["data"]) * body["volumeFactor"]
        assert total == pytest.approx(int(row["7762"]), rel=1e-3)


def test_delayed_instruments_end_a_quarter_of_an_hour_ago() -> None:
    ask = Asker(now=utc("2026-11-20 15:00:00"))
    body = ask("get_price_history", conid=14204, period="1d", bar="1min")
    assert (body["mdAvailability"], body["mktDataDelay"]) == ("DPB", 0)
    assert body["data"][-1]["t"] / 1000 == ask.now - 960


def test_halted_instruments_have_no_bars_of_today() -> None:
    ask = Asker()
    row = ask.snapshot(344439401, fields="31")[0]
    body = ask("get_price_history", conid=344439401, period="1d", bar="1h")
    assert row["31"].startswith("H")
    assert body["data"][-1]["t"] / 1000 < utc("2026-11-20 00:00:00")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"bar": "7min"}, 400),
        ({"bar": ""}, 400),
        ({"bar": "5m"}, 400),
        ({"period": "99y"}, 400),
        ({"period": "0d"}, 400),
        ({"period": "week"}, 400),
        ({"startTime": "yesterday"}, 400),
        ({"source": "guess"}, 400),
        ({"direction": "1"}, 500),
        ({"conid": 1}, 500),
        ({"conid": "AAPL"}, 400),
        ({"conid": 387289}, 500),
    ],
    ids=str,
)
def test_bad_questions_are_refused(arguments: dict[str, Any], status: int) -> None:
    ask = Asker()
    body = ask("get_price_history", **({"conid": AAPL, "period": "1d", "bar": "5min"} | arguments))
    assert ask.status == status
    assert body["error"]


def test_options_have_no_daily_bars_and_expired_ones_none() -> None:
    ask = Asker()
    expiry = ask.world.contracts.expiries(ask.world.contracts[AAPL], datetime(2026, 11, 20, tzinfo=UTC).date())[1]
    option = ask.world.contracts.option(ask.world.contracts[AAPL], expiry, 280.0, "C")
    assert len(ask("get_price_history", conid=option.conid, period="1d", bar="5min")["data"]) == 13
    ask("get_price_history", conid=option.conid, period="1m", bar="1d")
    assert ask.status == 500
    ask.now = option.expires_at + 86400
    ask("get_price_history", conid=option.conid, period="1d", bar="5min")
    assert ask.status == 500


def test_futures_trade_on_sunday_evening() -> None:
    ask = Asker(now=utc("2026-11-23 01:00:00"))
    future = ask("list_futures", symbols="ES")["ES"][0]
    assert future["underlyingConid"] == ES_INDEX
    body = ask("get_price_history", conid=future["conid"], period="1d", bar="30min")
    assert [row["t"] / 1000 for row in body["data"]] == [
        utc("2026-11-22 23:00:00") + 1800 * place for place in range(4)
    ]
