"""Price rows: waiting for fields, and giving each caller its own part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.guard.memory.rows import Rows, Wish, read_wish
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr import catalogue
from ibkr.errors import InvalidRequest

SNAPSHOT = catalogue.load()["get_price_snapshot"]


def wish(conids: str, fields: str = "31") -> Wish:
    return read_wish(ApiRequest(SNAPSHOT, SNAPSHOT.path, (("conids", conids), ("fields", fields))))


def row(conid: str, **values: str) -> dict[str, Any]:
    named = {name.removeprefix("f"): value for name, value in values.items()}
    return {"conid": int(conid.partition("@")[0]), "conidEx": conid, **named}


def test_repeats_and_spaces_are_dropped_and_the_order_kept():
    assert wish(" 3,1@NYSE,3,,2 ", "84, 31,84") == Wish(("3", "1@NYSE", "2"), ("84", "31"))


@pytest.mark.parametrize("conids", ["AAPL", "-1", "0", "1.5", "1@", "@SMART", "1@A B", "9" * 13, "1;2", "", ","])
def test_what_is_no_conid_is_refused_before_ibkr_sees_it(conids: str):
    with pytest.raises(InvalidRequest):
        wish(conids)


@pytest.mark.parametrize("fields", ["last", "-31", "31.0", "123456"])
def test_what_is_no_field_number_is_refused(fields: str):
    with pytest.raises(InvalidRequest):
        wish("1", fields)


def test_each_caller_gets_its_instruments_in_its_order_with_its_fields_only():
    rows = Rows()
    rows.take(["1", "2"], ["31", "84", "86"], [row("2", f31="20", f84="19"), row("1", f31="10", f86="11")], 0)
    assert rows.answer(wish("2,1", "84,31")) == [row("2", f84="19", f31="20"), row("1", f31="10")]
    assert list(rows.answer(wish("2", "84,31"))[0]) == ["conid", "conidEx", "84", "31"]
    assert rows.answer(wish("1", "86")) == [row("1", f86="11")]


def test_without_fields_everything_known_is_answered():
    rows = Rows()
    rows.take(["1"], ["31", "84"], [row("1", f31="10", f84="9")], 0)
    assert rows.answer(wish("1", "")) == [row("1", f31="10", f84="9")]


def test_the_same_instrument_on_two_exchanges_is_two_rows():
    rows = Rows()
    rows.take(["1", "1@NYSE"], ["31"], [row("1@NYSE", f31="5"), row("1", f31="6")], 0)
    assert rows.answer(wish("1@NYSE,1")) == [row("1@NYSE", f31="5"), row("1", f31="6")]


def test_a_row_that_names_the_exchange_otherwise_still_belongs_to_its_instrument():
    rows = Rows()
    rows.take(["1@SMART"], ["31"], [{"conid": 1, "conidEx": "1", "31": "5"}], 0)
    assert rows.answer(wish("1@SMART"))[0]["31"] == "5"


def test_values_are_fresh_for_half_a_second():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f31="10")], 10.0)
    assert rows.is_fresh("1", ["31"], since=10.4)
    assert not rows.is_fresh("1", ["31"], since=10.6)
    assert not rows.is_fresh("1", ["84"], since=10.0)
    assert not rows.is_fresh("2", ["31"], since=10.0)


def test_a_field_on_its_way_is_asked_for_again_until_it_comes():
    rows = Rows()
    rows.take(["1"], ["31", "84"], [row("1")], 0.0)
    assert rows.poll_at("1", ["31", "84"], 0.0) == pytest.approx(0.3)
    rows.take(["1"], ["31", "84"], [row("1", f31="10")], 0.3)
    assert rows.poll_at("1", ["31", "84"], 0.3) == pytest.approx(0.8)
    rows.take(["1"], ["31", "84"], [row("1", f31="10", f84="9")], 0.8)
    assert rows.poll_at("1", ["31", "84"], 0.8) is None


def test_a_field_that_never_comes_is_waited_for_once():
    rows = Rows()
    now = 0.0
    rows.take(["1"], ["31", "7308"], [row("1", f31="10")], now)
    while (at := rows.poll_at("1", ["31", "7308"], now)) is not None:
        now = at
        rows.take(["1"], ["31", "7308"], [row("1", f31="10")], now)
    assert 1.5 < now < 5.5
    rows.take(["1"], ["31", "7308"], [row("1", f31="11")], 100.0)
    assert rows.poll_at("1", ["31", "7308"], 100.0) is None


def test_more_fields_of_a_known_instrument_are_looked_for_until_they_had_a_second_to_come():
    rows = Rows()
    for moment in (0.0, 0.3):
        rows.take(["1"], ["31"], [row("1", f31="10")], moment)
    now = 50.0
    rows.take(["1"], ["31", "84"], [row("1", f31="10")], now)
    while (at := rows.poll_at("1", ["31", "84"], now)) is not None:
        now = at
        if rows.poll_at("1", ["31", "84"], now) is None:
            break
        came = {"f84": "9"} if now >= 50.9 else {}
        rows.take(["1"], ["31", "84"], [row("1", f31="10", **came)], now)
    assert rows.answer(wish("1", "31,84")) == [row("1", f31="10", f84="9")]


def test_an_instrument_without_any_value_is_given_up_after_five_seconds():
    rows = Rows()
    now = 0.0
    rows.take(["1"], ["31"], [], now)
    while (at := rows.poll_at("1", ["31"], now)) is not None:
        now = at
        rows.take(["1"], ["31"], [], now)
    assert 4.5 <= now <= 5.5
    assert rows.answer(wish("1")) == []
    assert rows.blank(["1"]) == ["1"]


def test_nobody_waits_for_data_that_the_user_has_not_subscribed():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f6509="NB")], 0.0)
    assert rows.poll_at("1", ["31"], 0.0) is None


def test_a_value_that_is_gone_is_not_answered_from_memory():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f31="10")], 0.0)
    rows.take(["1"], ["31"], [row("1")], 1.0)
    assert rows.answer(wish("1")) == [row("1")]


def test_the_age_is_that_of_the_oldest_part():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f31="10")], 1.0)
    rows.take(["2"], ["31"], [row("2", f31="10")], 2.0)
    assert rows.fetched_at(wish("1,2")) == 1.0


def test_an_instrument_given_up_starts_cold_and_keeps_its_last_values_meanwhile():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f31="10")], 0.0)
    rows.renew("1")
    assert rows.answer(wish("1")) == [row("1", f31="10")]
    assert rows.fetched_at(wish("1")) == 0.0
    assert not rows.is_fresh("1", ["31"], since=0.1)
    rows.take(["1"], ["31"], [row("1")], 100.0)
    assert rows.poll_at("1", ["31"], 100.0) == pytest.approx(100.3)


@given(
    st.lists(st.tuples(st.sampled_from(["1", "2", "3@NYSE"]), st.sampled_from(["31", "84", "7308"])), min_size=1),
    st.data(),
)
def test_an_answer_never_holds_what_was_not_asked(cells: list[tuple[str, str]], data: st.DataObject):
    rows = Rows()
    for number, (conid, name) in enumerate(cells):
        rows.take([conid], [name], [row(conid) | {name: str(number)}], float(number))
    conids = data.draw(st.lists(st.sampled_from(["1", "2", "3@NYSE"]), unique=True, min_size=1))
    fields = data.draw(st.lists(st.sampled_from(["31", "84", "7308"]), unique=True, min_size=1))
    answer = rows.answer(Wish(tuple(conids), tuple(fields)))
    assert [each["conidEx"] for each in answer] == [conid for conid in conids if rows.has([conid])]
    assert all(each.keys() <= {"conid", "conidEx", *fields} for each in answer)


def test_without_fields_all_known_ones_are_read_again_and_the_age_is_theirs():
    rows = Rows()
    rows.take(["1"], ["31", "84"], [row("1", f31="10", f84="9")], 1.0)
    assert set(rows.with_known_fields(wish("1", "")).fields) == {"31", "84"}
    rows.take(["1"], ["6509"], [row("1", f6509="R")], 300.0)
    assert rows.fetched_at(wish("1", "")) == 1.0


def test_ibkrs_time_is_that_of_the_oldest_value_in_the_answer():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f31="10") | {"_updated": 1000}], 1.0)
    rows.take(["1"], ["84"], [row("1", f84="9") | {"_updated": 2000}], 2.0)
    assert rows.answer(wish("1", "31"))[0]["_updated"] == 1000
    assert rows.answer(wish("1", "84"))[0]["_updated"] == 2000
    assert rows.answer(wish("1", "84,31"))[0]["_updated"] == 1000


def test_a_feed_that_ibkr_let_go_is_warmed_up_again():
    rows = Rows()
    rows.take(["1"], ["31", "84"], [row("1", f31="10", f84="9")], 0.0)
    rows.take(["1"], ["31", "84"], [row("1", f6509="R")], 600.0)
    assert rows.poll_at("1", ["31", "84"], 600.0) == pytest.approx(600.3)
    rows.take(["1"], ["31", "84"], [row("1", f31="11", f84="9")], 600.3)
    assert rows.poll_at("1", ["31", "84"], 600.3) is None


def test_a_field_that_never_came_does_not_make_a_feed_look_let_go():
    rows = Rows()
    rows.take(["1"], ["31"], [row("1", f31="10")], 0.0)
    rows.take(["1"], ["7308"], [row("1")], 1.0)
    assert rows.answer(wish("1", "31")) == [row("1", f31="10")]
