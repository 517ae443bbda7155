"""Snapshots: an empty first answer, values that arrive over polls, availability, limits."""

from __future__ import annotations

import pytest

from ib_simulator.answers.fields import EVERY
from ibkr.fields import FIELDS
from support.simulator import AAPL, ES_INDEX, EUR_USD, IBM, Asker, utc

NESTLE, SAP_XETRA, HALTED = 387289, 14204, 344439401
UNSUBSCRIBED_EVENTS = {"7683", "7684", "7685", "7686", "7687", "7688", "7689", "7690"}


def test_the_first_answer_only_names_the_instruments() -> None:
    rows = Asker()("get_price_snapshot", conids=f"{AAPL},{IBM}", fields="31,84")
    assert rows == [{"conidEx": str(AAPL), "conid": AAPL}, {"conidEx": str(IBM), "conid": IBM}]


def test_values_arrive_with_time_and_slow_ones_later() -> None:
    ask = Asker()
    ask("get_price_snapshot", conids=AAPL, fields="31,7293")
    ask.now += 0.3
    assert "31" not in ask("get_price_snapshot", conids=AAPL, fields="31,7293")[0]
    ask.now += 0.7
    row = ask("get_price_snapshot", conids=AAPL, fields="31,7293")[0]
    assert "31" in row
    assert "7293" not in row
    ask.now += 1.5
    assert "7293" in ask("get_price_snapshot", conids=AAPL, fields="31,7293")[0]


def test_values_arrive_over_polls_when_the_clock_stands_still() -> None:
    ask = Asker()
    rows = [ask("get_price_snapshot", conids=AAPL, fields="31,7293")[0] for _ in range(7)]
    assert ["31" in row for row in rows] == [False, False, True, True, True, True, True]
    assert ["7293" in row for row in rows] == [False] * 5 + [True] * 2


def test_a_later_call_needs_no_fields_and_a_new_field_starts_again() -> None:
    ask = Asker()
    ask.snapshot(AAPL, fields="31,84")
    assert {"31", "84"} <= set(ask("get_price_snapshot", conids=AAPL)[0])
    assert "86" not in ask("get_price_snapshot", conids=AAPL, fields="31,86")[0]
    ask.now += 1
    assert "86" in ask("get_price_snapshot", conids=AAPL, fields="86")[0]


def test_only_the_fields_of_the_call_come_back() -> None:
    ask = Asker()
    ask.snapshot(AAPL, fields="31,84,86")
    row = ask("get_price_snapshot", conids=AAPL, fields="84")[0]
    assert "84" in row
    assert "31" not in row


def test_values_are_text_and_every_row_tells_its_availability() -> None:
    ask = Asker()
    rows = ask.snapshot(AAPL, EUR_USD, SAP_XETRA, fields="31,55,84,85,86,87,88,7762,83")
    for row in rows:
        assert all(isinstance(row[name], str) for name in row if name.isdigit())
        assert row["6509"]
        assert row["_updated"] % 500 == 0
    assert rows[0]["7762"].isdigit()
    assert rows[0]["87"].endswith("M")
    assert rows[0]["83"].endswith("%")
    assert "," in ask.snapshot(EUR_USD, fields="88")[0]["88"]


@pytest.mark.parametrize(
    ("conid", "moment", "availability"),
    [
        (AAPL, "2026-11-20 15:00:00", "R"),
        (AAPL, "2026-11-21 15:00:00", "Z"),
        (SAP_XETRA, "2026-11-20 15:00:00", "D"),
        (SAP_XETRA, "2026-11-21 15:00:00", "Y"),
        (NESTLE, "2026-11-20 15:00:00", "N"),
    ],
)
def test_availability_follows_subscription_and_hours(conid: int, moment: str, availability: str) -> None:
    row = Asker(now=utc(moment)).snapshot(conid, fields="31,55,7051")[0]
    assert row["6509"][0] == availability
    assert ("31" in row) == (availability != "N")
    assert "55" in row


def test_a_closed_market_marks_its_price_and_a_halted_instrument_too() -> None:
    assert Asker(now=utc("2026-11-21 15:00:00")).snapshot(AAPL, fields="31")[0]["31"].startswith("C")
    row = Asker().snapshot(HALTED, fields="31,84,82")[0]
    assert row["31"].startswith("H")
    assert "84" not in row
    assert float(row["82"]) == 0


def test_derivatives_have_no_data_before_their_underlying_was_searched() -> None:
    ask = Asker()
    conid = ask("list_futures", symbols="ES")["ES"][0]["conid"]
    assert set(ask.snapshot(conid, fields="31")[0]) == {"conid", "conidEx"}
    ask("search_contracts", symbol="ES")
    assert "31" in ask("get_price_snapshot", conids=conid, fields="31")[0]


def test_greeks_agree_with_the_price_of_the_underlying() -> None:
    ask = Asker()
    ask("search_contracts", symbol="AAPL")
    chain = ask("get_derivative_contracts", conid=AAPL, sectype="OPT", month="JAN27", strike=280)
    call, put = sorted((row for row in chain if row["maturityDate"] == "20270115"), key=lambda row: row["right"])
    rows = {row["conid"]: row for row in ask.snapshot(call["conid"], put["conid"], AAPL, fields="31,7308,7633")}
    deltas = float(rows[call["conid"]]["7308"]) - float(rows[put["conid"]]["7308"])
    assert deltas == pytest.approx(1, abs=0.002)
    carried = float(rows[AAPL]["31"]) - 280 * (1 - 0.038 * 56 / 365)
    assert float(rows[call["conid"]]["31"]) - float(rows[put["conid"]]["31"]) == pytest.approx(carried, abs=0.1)
    assert "7308" not in rows[AAPL]


def test_a_position_is_valued_at_the_price_shown() -> None:
    ask = Asker(now=utc("2026-11-20 15:30:00"))
    row = ask.snapshot(AAPL, fields="31,73,76,75")[0]
    ask("refresh_positions", path={"accountId": "DU7420001"})
    position = ask("list_positions", path={"accountId": "DU7420001", "pageId": "0"})[0]
    assert position["conid"] == AAPL
    assert position["mktPrice"] == float(row["31"])
    assert float(row["76"]) == position["position"]
    assert float(row["73"].replace(",", "")) == pytest.approx(position["mktValue"], abs=1)


@pytest.mark.parametrize(
    ("conids", "fields"),
    [(",".join(map(str, range(101))), "31"), (str(AAPL), ",".join(map(str, range(51)))), ("", "31"), ("x", "31")],
    ids=["101 conids", "51 fields", "no conid", "no number"],
)
def test_too_much_is_refused(conids: str, fields: str) -> None:
    ask = Asker()
    body = ask("get_price_snapshot", conids=conids, fields=fields)
    assert ask.status == 400
    assert body["statusCode"] == 400


def test_accounts_must_be_asked_for_first() -> None:
    ask = Asker(ready=False)
    body = ask("get_price_snapshot", conids=AAPL, fields="31")
    assert (ask.status, body["error"]) == (400, "Please query /accounts first")


def test_an_unknown_instrument_stays_without_values() -> None:
    assert set(Asker().snapshot(999_999_999, fields="31,55")[0]) == {"conid", "conidEx"}


def test_lines_are_finite_until_someone_unsubscribes() -> None:
    ask = Asker()
    conids = [contract.conid for contract in ask.world.contracts][:101]
    ask.snapshot(*conids[:100], fields="55")
    assert "55" not in ask.snapshot(conids[100], fields="55")[0]
    assert ask("unsubscribe_market_data", body={"conid": conids[0]}) == {"success": True}
    assert "55" in ask.snapshot(conids[100], fields="55")[0]
    assert ask("unsubscribe_all_market_data") == {"unsubscribed": True}
    assert set(ask("get_price_snapshot", conids=conids[1], fields="55")[0]) == {"conid", "conidEx"}


def test_every_known_field_is_delivered_for_some_instrument() -> None:
    ask = Asker()
    ask("search_contracts", symbol="AAPL")
    ask("search_contracts", symbol="ES")
    future = ask("list_futures", symbols="ES")["ES"][0]["conid"]
    option = ask("get_derivative_contracts", conid=AAPL, sectype="OPT", month="JAN27", strike=280)[0]["conid"]
    numbers = [field.number for field in FIELDS]
    seen: set[str] = set()
    for start in range(0, len(numbers), 50):
        for row in ask.snapshot(AAPL, option, future, 254867301, fields=",".join(numbers[start : start + 50])):
            seen |= set(row)
    assert set(numbers) - seen == UNSUBSCRIBED_EVENTS | {"58"}
    assert set(EVERY) <= set(numbers)


def test_an_index_has_no_bid() -> None:
    row = Asker().snapshot(ES_INDEX, fields="31,84,88")[0]
    assert "31" in row
    assert not {"84", "88"} & set(row)
