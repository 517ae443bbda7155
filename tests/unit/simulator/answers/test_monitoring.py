"""Orders and trades whose rows are easily misread: for money, with stops, in combinations, for groups, expired."""

from __future__ import annotations

from typing import Any

import pytest

from support.simulator import PAPER, Asker, utc

Row = dict[str, Any]


def order_of(ask: Asker, conid: int, **fields: Any) -> Row:
    rows = ask.twice("list_live_orders")["orders"]
    return next(row for row in rows if row["conid"] == conid and fields.items() <= row.items())


def trades(ask: Asker) -> list[Row]:
    rows: list[Row] = ask.twice("list_trades", days=7)
    return rows


def test_an_order_for_money_counts_its_fill_in_money() -> None:
    row = order_of(Asker(), 750000033)
    assert (row["totalSize"], row["totalCashSize"], row["cashCcy"]) == (2806.46, 2500, "CAD")
    assert (row["filledQuantity"], row["remainingQuantity"], row["status"]) == (2499.99, 0.0, "Filled")


def test_a_share_order_for_money_has_no_size_in_units() -> None:
    ask = Asker()
    row = order_of(ask, 4815747)
    assert (row["totalCashSize"], row["filledQuantity"]) == (500, 0.0)
    assert "totalSize" not in row
    assert ask("get_order_status", path={"orderId": str(row["orderId"])})["total_size"] == "0"


@pytest.mark.parametrize(
    ("conid", "kind", "has_price", "has_aux"),
    [
        (8314, "Limit", True, False),
        (272093, "Stop", False, True),
        (3691937, "Stop Limit", True, True),
        (107113386, "Trailing Stop", False, True),
    ],
)
def test_limits_stops_and_distances_have_fields_of_their_own(
    conid: int, kind: str, has_price: bool, has_aux: bool
) -> None:
    ask = Asker()
    row = order_of(ask, conid)
    assert row["orderType"] == kind
    assert (row["price"] != "", "auxPrice" in row) == (has_price, has_aux)
    status = ask("get_order_status", path={"orderId": str(row["orderId"])})
    assert (status["limit_price"] != "", "stop_price" in status) == (has_price, has_aux)


def test_an_inactive_order_may_be_part_filled() -> None:
    row = order_of(Asker(), 4391)
    assert (row["status"], row["filledQuantity"], row["remainingQuantity"]) == ("Inactive", 40, 60)


def test_a_combination_is_named_by_its_legs_alone() -> None:
    ask = Asker()
    row = order_of(ask, 28812380, status="Submitted")
    assert (row["secType"], row["ticker"], row["price"]) == ("BAG", "QQQ", "-3.20")
    legs = row["conidex"].removeprefix("28812380;;;").split(",")
    assert [leg.partition("/")[2] for leg in legs] == ["1", "-1"]
    conids = ",".join(leg.partition("/")[0] for leg in legs)
    assert {one["assetClass"] for one in ask("get_security_definitions", conids=conids)["secdef"]} == {"OPT"}
    trade = next(trade for trade in trades(ask) if trade["sec_type"] == "BAG")
    assert (trade["symbol"], trade["net_amount"]) == ("QQQ", 830.0)
    assert trade["conidEx"].startswith("28812380;;;")


def test_a_limit_in_london_is_in_pence() -> None:
    ask = Asker()
    last = float(ask.snapshot(29611902, fields="31")[0]["31"].lstrip("C"))
    assert 0.5 * last < float(order_of(ask, 29611902)["price"]) < last


def test_trades_carry_the_alias_as_account_and_the_id_as_code() -> None:
    rows = trades(Asker("odd"))
    assert {(row["account"], row["accountCode"]) for row in rows} == {("AccountAlias", "U7430001")}
    assert {(row["account"], row["accountCode"]) for row in trades(Asker())} == {(PAPER, PAPER)}


def test_orders_of_an_adviser_may_be_for_a_group() -> None:
    ask = Asker("odd")
    row = order_of(ask, 37018770)
    assert row["acct"] == "Income"
    assert order_of(ask, 8314)["account"] == "AccountAlias"
    assert order_of(ask, 8314)["acct"] == "U7430001"
    assert [row["conid"] for row in ask.twice("list_live_orders", accountId="Income")["orders"]] == [37018770]


def test_an_option_expires_with_a_trade_and_is_described_no_more() -> None:
    ask = Asker(now=utc("2026-11-24 15:00:00"))
    rows = trades(ask)
    (expired,) = (row for row in rows if row["side"] == "X")
    (bought,) = (row for row in rows if row["conid"] == expired["conid"] and row is not expired)
    assert (bought["side"], expired["side"], expired["price"]) == ("B", "X", "0.00")
    assert bought["symbol"] == "AAPL"
    assert bought["contract_description_1"].startswith("AAPL   NOV2026")
    assert ask("get_security_definitions", conids=str(bought["conid"]))["secdef"] == []


@pytest.mark.parametrize(
    ("conid", "moment", "availability", "delay"),
    [
        (265598, "2026-11-24 15:00:00", "RpB", 0),
        (265598, "2026-11-24 04:00:00", "ZB", 0),
        (14204, "2026-11-24 12:00:00", "DPB", 0),
        (14204, "2026-11-24 20:00:00", "YPB", 0),
        (416904, "2026-11-24 15:00:00", "S", 0),
    ],
)
def test_history_tells_its_availability_by_letters_and_not_by_its_delay(
    conid: int, moment: str, availability: str, delay: int
) -> None:
    body = Asker(now=utc(moment))("get_price_history", conid=conid, period="1d", bar="1h")
    assert (body["mdAvailability"], body["mktDataDelay"]) == (availability, delay)


def test_the_delay_of_real_time_history_is_what_the_answer_took() -> None:
    ask = Asker(now=utc("2026-11-24 15:00:00"))
    conid = ask("list_futures", symbols="ES")["ES"][0]["conid"]
    body = ask("get_price_history", conid=conid, period="1d", bar="1h")
    assert (body["mdAvailability"], body["mktDataDelay"]) == ("RpB", 500)
