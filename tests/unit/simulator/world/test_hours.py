"""Trading sessions: time zones, weekends, holidays and evenings."""

from __future__ import annotations

from datetime import date

import pytest

from ib_simulator.world.hours import CRYPTO, FOREX, US_FUTURES, US_STOCKS, market_of
from support.simulator import utc


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-20 15:00:00", "2026-11-20 14:30:00"),
        ("2026-07-20 15:00:00", "2026-07-20 13:30:00"),
        ("2026-11-22 12:00:00", "2026-11-20 14:30:00"),
        ("2026-11-26 15:00:00", "2026-11-25 14:30:00"),
        ("2026-12-25 15:00:00", "2026-12-24 14:30:00"),
        ("2026-11-20 08:59:59", "2026-11-19 14:30:00"),
        ("2026-11-20 09:00:00", "2026-11-20 14:30:00"),
    ],
    ids=["winter", "summer", "Sunday", "Thanksgiving", "Christmas", "night", "pre-market"],
)
def test_the_session_of_a_moment(moment: str, opens: str) -> None:
    assert US_STOCKS.at(utc(moment)).open == utc(opens)


@pytest.mark.parametrize(
    ("day", "closes"),
    [
        ("2026-04-03", None),
        ("2026-07-03", None),
        ("2027-07-05", None),
        ("2027-12-24", None),
        ("2026-11-27", "18:00"),
        ("2028-07-03", "17:00"),
        ("2026-12-24", "18:00"),
        ("2026-11-30", "21:00"),
    ],
)
def test_new_york_keeps_its_holidays_and_half_days(day: str, closes: str | None) -> None:
    found = US_STOCKS.trading_day(US_STOCKS.number_of(date.fromisoformat(day)))
    assert found.closed is (closes is None)
    assert closes is None or found.close == utc(f"{day} {closes}:00")


def test_futures_of_monday_begin_on_sunday_evening() -> None:
    session = US_FUTURES.at(utc("2026-11-22 23:30:00"))
    assert session.date == date(2026, 11, 23)
    assert session.close - session.open == 23 * 3600


def test_forex_rests_from_friday_to_sunday_evening() -> None:
    assert FOREX.is_open(utc("2026-11-20 21:59:00"))
    assert not FOREX.is_open(utc("2026-11-20 22:01:00"))
    assert not FOREX.is_open(utc("2026-11-22 22:14:00"))
    assert FOREX.is_open(utc("2026-11-22 22:16:00"))


def test_crypto_never_closes() -> None:
    assert all(CRYPTO.is_open(utc("2026-12-24 00:00:00") + hour * 3600) for hour in range(72))


def test_extended_hours_surround_the_regular_ones() -> None:
    evening = utc("2026-11-20 22:00:00")
    assert not US_STOCKS.is_open(evening)
    assert US_STOCKS.is_open(evening, extended=True)


def test_sessions_lead_to_each_other_over_holidays() -> None:
    wednesday = US_STOCKS.at(utc("2026-11-25 15:00:00"))
    friday = US_STOCKS.after(wednesday)
    assert friday.date == date(2026, 11, 27)
    assert US_STOCKS.before(friday) == wednesday


def test_exchanges_keep_their_own_time() -> None:
    moment = utc("2026-11-20 08:30:00")
    assert market_of("STK", "IBIS").is_open(moment)
    assert not market_of("STK", "NASDAQ").is_open(moment)


def test_going_back_in_time_finds_the_earlier_session() -> None:
    later = US_STOCKS.at(utc("2027-03-01 15:00:00"))
    assert US_STOCKS.at(utc("2026-11-20 15:00:00")).date < later.date
