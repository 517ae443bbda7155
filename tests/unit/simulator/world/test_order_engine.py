"""What the market makes of orders: fills, triggers, ends, and what fills do to an account."""

from __future__ import annotations

from typing import Any

import pytest

from ib_simulator.world.market import today
from support.simulator import AAPL, EUR_USD, FRIDAY, PAPER, SAVINGS, Asker, utc

PATH = {"accountId": PAPER}
CLOSE = utc("2026-11-20 21:00:00")
KO = 8894


class Desk(Asker):
    """Places orders and says yes to every question."""

    def place(self, *tickets: dict[str, Any], account: str = PAPER) -> Any:
        answer = self("place_orders", path={"accountId": account}, body={"orders": list(tickets)})
        while isinstance(answer, list) and "id" in answer[0]:
            answer = self("answer_order_question", path={"replyId": answer[0]["id"]}, body={"confirmed": True})
        return answer

    def order(self, ticket: dict[str, Any]) -> str:
        """Place it; its id."""
        answer = self.place(ticket)
        assert isinstance(answer, list), answer
        return str(answer[0]["order_id"])

    def told(self, order_id: str) -> tuple[str, float]:
        """Status and what is filled."""
        body = self("get_order_status", path={"orderId": order_id})
        return body["order_status"], float(body["cum_fill"])

    def price(self, conid: int = AAPL) -> float:
        return self.world.market.price(self.world.contracts[conid], self.now)

    def move(self, percent: float, conid: int = AAPL) -> None:
        self.now += 1
        self.world.market.move(self.world.contracts[conid], 1 + percent / 100, self.now)

    def held(self, conid: int, account: int = 0) -> tuple[float, float]:
        """Quantity and average cost."""
        rows = self.world.holdings(self.world.accounts[account], self.now)
        found = next((row for row in rows if row.contract.conid == conid), None)
        return (0.0, 0.0) if found is None else (found.quantity, found.cost)


def ticket(**more: Any) -> dict[str, Any]:
    return {"conid": AAPL, "orderType": "MKT", "side": "BUY", "quantity": 5, "tif": "DAY"} | more


def tick(price: float) -> float:
    return round(price, 2)


def test_a_fill_changes_position_cash_margin_and_trades() -> None:
    desk = Desk()
    account = desk.world.accounts[0]
    before, held = desk.world.valuation(account, desk.now), desk.held(AAPL)[0]
    order_id = desk.order(ticket(quantity=10))
    after = desk.world.valuation(account, desk.now)
    trade = next(row for row in desk.twice("list_trades") if row["order_id"] == int(order_id))
    paid = 10 * float(trade["price"]) + float(trade["commission"])
    assert desk.held(AAPL)[0] == held + 10
    assert before.account.cash["USD"] - after.account.cash["USD"] == pytest.approx(paid)
    assert after.maintenance_margin - before.maintenance_margin == pytest.approx(2.5 * desk.price(), abs=0.01)
    # What was paid above the last price, and the commission, is the loss; of the day too.
    lost = after.net_liquidation - before.net_liquidation
    assert lost == pytest.approx(10 * desk.price() - paid)
    assert after.daily_pnl - before.daily_pnl == pytest.approx(lost)
    ledger = desk("get_ledger", path=PATH)["USD"]
    assert ledger["cashbalance"] == round(after.account.cash["USD"], 2)


def test_a_sale_realizes_the_gain_against_the_average_cost() -> None:
    desk = Desk()
    desk.order(ticket(conid=KO, quantity=20))
    held, cost = desk.held(KO)
    before = desk.world.valuation(desk.world.accounts[0], desk.now)
    order_id = desk.order(ticket(conid=KO, side="SELL", quantity=15))
    sold = desk.world.valuation(desk.world.accounts[0], desk.now)
    trade = next(row for row in desk.twice("list_trades") if row["order_id"] == int(order_id))
    gain = 15 * (float(trade["price"]) - cost) - float(trade["commission"])
    assert desk.held(KO) == (held - 15, cost)
    assert sold.realized_pnl - before.realized_pnl == pytest.approx(gain)
    body = {"acctIds": [PAPER], "conids": [KO], "currency": "USD", "days": 1825}
    booked = [row["qty"] for row in desk("list_transactions", body=body)["transactions"]]
    assert sum(booked) == pytest.approx(held - 15)


def test_what_the_preview_says_is_what_the_fill_does() -> None:
    desk = Desk()
    shown = desk("preview_orders", path=PATH, body={"orders": [ticket(quantity=400)]})
    desk.order(ticket(quantity=400))
    value = desk.world.valuation(desk.world.accounts[0], desk.now)
    for name, figure in (
        ("initial", value.initial_margin),
        ("maintenance", value.maintenance_margin),
        ("equity", value.net_liquidation),
    ):
        assert float(shown[name]["after"].replace(",", "")) == pytest.approx(figure, abs=1)


def test_more_than_there_is_is_filled_in_parts() -> None:
    desk = Desk()
    desk.world.market.set_size(desk.world.contracts[AAPL], 40)
    order_id = desk.order(ticket(quantity=100))
    assert desk.told(order_id) == ("Submitted", 40)
    desk.now += 1
    assert desk.told(order_id) == ("Submitted", 80)
    row = next(row for row in desk.twice("list_live_orders")["orders"] if row["orderId"] == int(order_id))
    assert (row["filledQuantity"], row["remainingQuantity"], row["sizeAndFills"]) == (80, 20, "80/100")
    desk.now += 1
    assert desk.told(order_id) == ("Filled", 100)
    assert [row["size"] for row in desk.twice("list_trades") if row["order_id"] == int(order_id)] == [20, 40, 40]


def test_all_or_none_waits_and_ioc_does_not() -> None:
    desk = Desk()
    desk.world.market.set_size(desk.world.contracts[AAPL], 40)
    whole = desk.order(ticket(quantity=100, allOrNone=True))
    assert desk.told(whole) == ("Submitted", 0)
    at_once = desk.order(ticket(quantity=100, tif="IOC"))
    assert desk.told(at_once) == ("Cancelled", 40)
    desk.world.market.set_size(desk.world.contracts[AAPL], 100)
    assert desk.told(whole) == ("Filled", 100)


@pytest.mark.parametrize(
    ("kind", "prices", "down", "up"),
    [
        ("LMT", {"price": 0.95}, ("Filled", 5), ("Submitted", 0)),
        ("STP", {"price": 1.05}, ("PreSubmitted", 0), ("Filled", 5)),
        ("STOP_LIMIT", {"auxPrice": 1.05, "price": 1.2}, ("PreSubmitted", 0), ("Filled", 5)),
        ("STOP_LIMIT", {"auxPrice": 1.05, "price": 1.06}, ("PreSubmitted", 0), ("Submitted", 0)),
        ("MIT", {"price": 0.95}, ("Filled", 5), ("PreSubmitted", 0)),
        ("LIT", {"auxPrice": 0.95, "price": 0.96}, ("Filled", 5), ("PreSubmitted", 0)),
        ("MIDPRICE", {"price": 0.95}, ("Filled", 5), ("Submitted", 0)),
    ],
)
@pytest.mark.parametrize("percent", [-10, 10], ids=["down", "up"])
def test_orders_wait_for_their_price(
    kind: str, prices: dict[str, float], down: tuple[str, float], up: tuple[str, float], percent: int
) -> None:
    desk = Desk()
    here = desk.price()
    named = {name: tick(here * share) for name, share in prices.items()}
    order_id = desk.order(ticket(orderType=kind, **named))
    assert desk.told(order_id)[1] == 0
    desk.move(percent)
    assert desk.told(order_id) == (down if percent < 0 else up)


def test_a_trailing_stop_follows_in_one_direction() -> None:
    desk = Desk()
    order_id = desk.order(ticket(side="SELL", orderType="TRAIL", trailingAmt=3, trailingType="%"))
    desk.move(10)
    assert desk.told(order_id) == ("PreSubmitted", 0)
    desk.move(-2)
    assert desk.told(order_id) == ("PreSubmitted", 0)
    desk.move(-2)
    assert desk.told(order_id) == ("Filled", 5)


def test_a_trailing_stop_limit_sells_no_lower_than_its_limit() -> None:
    desk = Desk()
    here = tick(desk.price())
    prices = {"trailingAmt": 5, "trailingType": "amt", "auxPrice": tick(here - 5), "price": tick(here - 6)}
    order_id = desk.order(ticket(side="SELL", orderType="TRAILLMT", **prices))
    desk.move(-20)
    assert desk.told(order_id) == ("Submitted", 0)
    desk.move(24)
    assert desk.told(order_id) == ("Filled", 5)


def test_a_relative_order_is_taken_after_a_while() -> None:
    desk = Desk()
    order_id = desk.order(ticket(orderType="REL", auxPrice=0.01))
    assert desk.told(order_id) == ("Submitted", 0)
    desk.now += 6
    assert desk.told(order_id)[0] == "Filled"


@pytest.mark.parametrize(("kind", "more"), [("MOC", {}), ("LOC", {"price": 900.0}), ("MARKETONCLOSE", {})])
def test_orders_for_the_close_are_filled_at_the_close(kind: str, more: dict[str, float]) -> None:
    desk = Desk()
    order_id = desk.order(ticket(orderType=kind, **more))
    assert desk.told(order_id) == ("PreSubmitted", 0)
    desk.now = CLOSE + 600
    assert desk.told(order_id) == ("Filled", 5)
    trade = desk.twice("list_trades")[0]
    assert CLOSE - 2 < trade["trade_time_r"] / 1000 < CLOSE


def test_orders_for_the_open_wait_for_the_next_one() -> None:
    desk = Desk()
    filled = desk.order(ticket(tif="OPG"))
    missed = desk.order(ticket(tif="OPG", orderType="LMT", price=10.0))
    desk.now = utc("2026-11-23 14:00:00")
    assert desk.told(filled) == ("PreSubmitted", 0)
    desk.now = utc("2026-11-23 15:00:00")
    assert desk.told(filled) == ("Filled", 5)
    assert desk.told(missed) == ("Cancelled", 0)


def test_a_day_order_ends_with_the_day_and_gtc_goes_on() -> None:
    desk = Desk()
    day, lasting = (
        desk.order(ticket(orderType="LMT", price=10.0)),
        desk.order(ticket(orderType="LMT", price=10.0, tif="GTC")),
    )
    desk.now = CLOSE - 2
    assert desk.told(day)[0] == "Submitted"
    desk.now = CLOSE + 1
    assert desk.told(day)[0] == "Cancelled"
    desk.now = utc("2027-03-30 15:00:00")
    assert desk.told(lasting)[0] == "Submitted"
    desk.now = utc("2027-04-01 15:00:00")
    assert desk.told(lasting)[0] == "Cancelled"


def test_outside_regular_hours_only_what_may_is_filled() -> None:
    desk = Desk(now=CLOSE + 600)
    inside = desk.order(ticket(orderType="LMT", price=900.0))
    outside = desk.order(ticket(orderType="LMT", price=900.0, outsideRTH=True))
    market = desk.order(ticket(outsideRTH=True))
    night = desk.order(ticket(orderType="LMT", price=900.0, tif="OND"))
    assert [desk.told(order_id)[0] for order_id in (inside, outside, market, night)] == [
        "PreSubmitted",
        "Filled",
        "PreSubmitted",
        "PreSubmitted",
    ]
    desk.now = utc("2026-11-23 02:00:00")
    assert desk.told(night)[0] == "Filled"


def test_a_cancel_takes_a_moment_in_which_the_order_may_be_filled() -> None:
    desk = Desk()
    first, second = (desk.order(ticket(orderType="LMT", price=tick(desk.price() * 0.95))) for _ in range(2))
    assert desk("cancel_order", path=PATH | {"orderId": first})["conid"] == AAPL
    assert desk.told(first)[0] == "PendingCancel"
    desk.now += 1
    assert desk.told(first)[0] == "Cancelled"
    desk("cancel_order", path=PATH | {"orderId": second})
    desk.world.market.move(desk.world.contracts[AAPL], 0.9, desk.now)
    assert desk.told(second) == ("Filled", 5)


def test_where_the_market_is_closed_a_cancel_is_done_at_once() -> None:
    desk = Desk(now=CLOSE + 7 * 3600)
    order_id = desk.order(ticket(orderType="LMT", price=10.0))
    assert desk("cancel_order", path=PATH | {"orderId": order_id}) == {
        "msg": "Request was submitted",
        "order_id": int(order_id),
        "conid": -1,
        "account": None,
    }
    assert desk.told(order_id)[0] == "Cancelled"


def bracket(desk: Desk) -> list[str]:
    here = desk.price()
    placed = desk.place(
        ticket(cOID="entry", orderType="LMT", price=tick(here * 0.97)),
        ticket(parentId="entry", side="SELL", orderType="LMT", price=tick(here * 1.1), tif="GTC"),
        ticket(parentId="entry", side="SELL", orderType="STP", price=tick(here * 0.9), tif="GTC"),
    )
    return [row["order_id"] for row in placed]


def test_a_bracket_waits_for_its_entry_and_ends_with_one_exit() -> None:
    desk = Desk()
    entry, profit, loss = bracket(desk)
    held = desk.held(AAPL)[0]
    assert [desk.told(one)[0] for one in (entry, profit, loss)] == ["Submitted", "PreSubmitted", "PreSubmitted"]
    desk.move(-4)
    assert [desk.told(one)[0] for one in (entry, profit, loss)] == ["Filled", "Submitted", "PreSubmitted"]
    assert desk.held(AAPL)[0] == held + 5
    desk.move(20)
    assert [desk.told(one)[0] for one in (profit, loss)] == ["Filled", "Cancelled"]
    assert desk.held(AAPL)[0] == held


def test_a_bracket_is_cancelled_with_its_entry() -> None:
    desk = Desk()
    entry, profit, loss = bracket(desk)
    desk("cancel_order", path=PATH | {"orderId": entry})
    desk.now += 1
    assert [desk.told(one)[0] for one in (entry, profit, loss)] == ["Cancelled"] * 3


def test_of_a_group_one_is_filled() -> None:
    desk = Desk()
    here = desk.price()
    placed = desk.place(
        ticket(orderType="LMT", price=tick(here * 0.95), isSingleGroup=True),
        ticket(conid=KO, orderType="LMT", price=1.0, isSingleGroup=True),
    )
    desk.move(-10)
    assert [desk.told(row["order_id"])[0] for row in placed] == ["Filled", "Cancelled"]


def test_a_part_filled_order_of_a_group_leaves_the_others_as_much() -> None:
    desk = Desk()
    here = desk.price()
    placed = desk.place(
        ticket(quantity=50, orderType="LMT", price=tick(here * 0.95), isSingleGroup=True),
        ticket(quantity=50, orderType="LMT", price=tick(here * 0.85), isSingleGroup=True),
    )
    desk.world.market.set_size(desk.world.contracts[AAPL], 20)
    desk.move(-7)
    assert desk.told(placed[0]["order_id"]) == ("Submitted", 20)
    desk.world.market.set_size(desk.world.contracts[AAPL], 100)
    desk.move(-10)
    held = [desk.told(row["order_id"])[1] for row in placed]
    assert sum(held) == 50


def test_a_combination_is_booked_by_its_legs() -> None:
    desk = Desk()
    desk("search_contracts", symbol="AAPL")
    month = desk.world.contracts.expiries(desk.world.contracts[AAPL], today(desk.now))[6]
    low, high = (
        desk.world.contracts.option(desk.world.contracts[AAPL], month, strike, "C").conid for strike in (250.0, 260.0)
    )
    before = desk.world.valuation(desk.world.accounts[0], desk.now)
    held = [desk.held(conid)[0] for conid in (low, high)]
    for conid in (low, high):
        desk.world.market.set_size(desk.world.contracts[conid], 10)
    combo = {
        "conidex": f"28812380;;;{low}/1,{high}/-1",
        "orderType": "LMT",
        "side": "BUY",
        "quantity": 2,
        "price": 9.0,
        "tif": "DAY",
    }
    order_id = desk.order(combo)
    assert desk.told(order_id) == ("Filled", 2)
    assert [desk.held(conid)[0] for conid in (low, high)] == [held[0] + 2, held[1] - 2]
    trade = next(row for row in desk.twice("list_trades") if row["order_id"] == int(order_id))
    after = desk.world.valuation(desk.world.accounts[0], desk.now)
    assert trade["sec_type"] == "BAG"
    spent = before.account.cash["USD"] - after.account.cash["USD"]
    assert spent == pytest.approx(200 * float(trade["price"]) + float(trade["commission"]), abs=0.01)


def test_money_buys_whole_shares() -> None:
    desk = Desk()
    cash = {"conid": AAPL, "orderType": "MKT", "side": "BUY", "cashQty": 1000, "tif": "DAY"}
    held = desk.held(AAPL)[0]
    desk.order(cash)
    assert desk.held(AAPL)[0] - held == 1000 // desk.price()


def test_a_currency_conversion_moves_money_and_makes_no_position() -> None:
    desk = Desk()
    account = desk.world.accounts[0]
    before, held = desk.world.valuation(account, desk.now).account.cash, desk.held(EUR_USD)
    desk.order(
        {"conid": EUR_USD, "orderType": "MKT", "side": "BUY", "fxQty": 1000, "isCcyConv": True, "tif": "DAY"},
    )
    after = desk.world.valuation(account, desk.now).account.cash
    assert before["USD"] - after["USD"] == pytest.approx(1000, abs=3)
    assert after["EUR"] - before["EUR"] == pytest.approx(1000 / desk.price(EUR_USD), abs=1)
    assert desk.held(EUR_USD) == held


def test_a_future_is_settled_in_cash() -> None:
    desk = Desk()
    future = desk("list_futures", symbols="MES")["MES"][0]["conid"]
    account = desk.world.accounts[0]
    order = ticket(conid=future, quantity=2, manualIndicator=False)
    assert desk.held(future)[0] == 0
    before = desk.world.valuation(account, desk.now)
    desk.order(order)
    bought = desk.world.valuation(account, desk.now)
    assert abs(bought.net_liquidation - before.net_liquidation) < 20
    assert bought.maintenance_margin > before.maintenance_margin
    here = desk.price(future)
    desk.move(1, future)
    moved = desk.world.valuation(account, desk.now)
    gain = 2 * 5 * (desk.price(future) - here)
    assert moved.account.cash["USD"] - bought.account.cash["USD"] == pytest.approx(gain, abs=30)
    desk.order(order | {"side": "SELL"})
    sold = desk.world.valuation(account, desk.now).account.cash["USD"]
    desk.move(5, future)
    assert desk.world.valuation(account, desk.now).account.cash["USD"] == pytest.approx(sold)


def test_written_options_cost_margin() -> None:
    desk = Desk()
    day = desk.world.contracts.expiries(desk.world.contracts[AAPL], today(desk.now))[6]
    call = desk.world.contracts.option(desk.world.contracts[AAPL], day, 250.0, "C").conid
    before = desk.world.valuation(desk.world.accounts[0], desk.now).maintenance_margin
    order = {"conid": call, "orderType": "MKT", "side": "SELL", "quantity": 1, "tif": "DAY"}
    shown = desk("preview_orders", path=PATH, body={"orders": [order]})
    desk.order(order)
    after = desk.world.valuation(desk.world.accounts[0], desk.now).maintenance_margin
    assert after - before == pytest.approx(2500, abs=0.01)
    assert float(shown["maintenance"]["change"].replace(",", "")) == pytest.approx(2500, abs=1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"orderType": "LMT", "price": 150.005}, "minimum price variation"),
        ({"quantity": 10_000_000}, "enough funds"),
        ({"strategy": "Magic"}, "algo Magic is unknown"),
        ({"strategy": "Vwap", "strategyParameters": {"speed": 1}}, "Invalid algo parameters: speed"),
        ({"strategy": "Adaptive"}, "Invalid algo parameters: adaptivePriority"),
        ({"tif": "PAX"}, "time in force PAX is invalid"),
        ({"tif": "OVT"}, "time in force OVT is invalid"),
        ({"orderType": "TRAIL"}, "trailingAmt"),
        ({"orderType": "STOP_LIMIT", "price": 150.0}, "auxPrice"),
        ({"conid": EUR_USD, "orderType": "MIDPRICE", "quantity": 1000}, "not supported"),
        ({"conid": 29612256, "quantity": 1.5}, "whole number"),
        ({"cOID": "child", "parentId": "nobody"}, "parent order nobody is unknown"),
    ],
    ids=str,
)
def test_what_ibkr_rejects(change: dict[str, Any], text: str) -> None:
    desk = Desk()
    answer = desk.place(ticket(**change))
    assert desk.status == 200
    assert text in answer["error"]


def test_a_cash_account_sells_only_what_it_has() -> None:
    desk = Desk("live")
    account = desk.world.accounts[1]
    holding = next(row for row in desk.world.holdings(account, desk.now) if row.contract.kind == "STK")
    sale = ticket(conid=holding.contract.conid, side="SELL", orderType="LMT", price=9000.0, tif="GTC")
    refused = desk.place(sale | {"quantity": holding.quantity + 1}, account=SAVINGS)
    assert "Short sales" in refused["error"]
    assert isinstance(desk.place(sale | {"quantity": holding.quantity}, account=SAVINGS), list)
    assert "Short sales" in desk.place(sale | {"quantity": 1}, account=SAVINGS)["error"]


def test_twenty_active_orders_on_one_side_are_the_most() -> None:
    desk = Desk()
    for _ in range(20):
        desk.order(ticket(orderType="LMT", price=100.0))
    assert "At most 20" in desk.place(ticket(orderType="LMT", price=100.0))["error"]
    assert isinstance(desk.place(ticket(side="SELL", orderType="LMT", price=900.0)), list)


def test_unrelated_orders_go_one_by_one() -> None:
    desk = Desk()
    assert "bracket or one group" in desk.place(ticket(), ticket(conid=KO))["error"]


def test_a_handle_is_free_again_after_a_day() -> None:
    desk = Desk()
    desk.order(ticket(cOID="again"))
    desk.now += 86000
    assert "already registered" in desk.place(ticket(cOID="again"))["error"]
    desk.now += 500
    assert isinstance(desk.place(ticket(cOID="again")), list)


def test_a_question_is_void_after_a_while() -> None:
    desk = Desk()
    question = desk("place_orders", path=PATH, body={"orders": [ticket()]})[0]
    desk.now += 61
    desk("answer_order_question", path={"replyId": question["id"]}, body={"confirmed": True})
    assert desk.status == 503


def test_a_change_keeps_what_is_filled_and_may_not_change_what_it_is() -> None:
    desk = Desk()
    desk.world.market.set_size(desk.world.contracts[AAPL], 40)
    order_id = desk.order(ticket(quantity=100))
    path = PATH | {"orderId": order_id}
    assert "below what is filled" in desk("modify_order", path=path, body=ticket(quantity=30))["error"]
    assert "side" in desk("modify_order", path=path, body=ticket(side="SELL", quantity=100))["error"]
    answer = desk("modify_order", path=path, body=ticket(quantity=60))
    while "id" in answer[0]:
        answer = desk("answer_order_question", path={"replyId": answer[0]["id"]}, body={"confirmed": True})
    desk.now += 1
    assert desk.told(order_id) == ("Filled", 60)


def test_the_status_of_what_ended_is_of_its_session_only() -> None:
    desk = Desk()
    done, works = desk.order(ticket()), desk.order(ticket(orderType="LMT", price=100.0))
    later = Desk(world=desk.world, now=desk.now + 10)
    later("get_order_status", path={"orderId": done})
    assert later.status == 503
    assert later.told(works)[0] == "Submitted"
    assert int(done) in [row["orderId"] for row in later.twice("list_live_orders")["orders"]]


def test_moved_markets_are_seen_everywhere_and_by_nobody_else() -> None:
    desk, other = Desk(), Desk()
    here = desk.price()
    desk.move(10)
    other.now = desk.now
    assert desk.price() == pytest.approx(1.1 * other.price(), abs=0.02)
    row = desk.snapshot(AAPL, fields="31")[0]
    assert float(row["31"]) == pytest.approx(1.1 * here, rel=0.02)
    bars = desk("get_price_history", conid=AAPL, period="2h", bar="1min")["data"]
    assert bars[-1]["c"] == pytest.approx(desk.price(), rel=0.01)
    assert desk.world.valuation(desk.world.accounts[0], desk.now).by_conid[AAPL].price == desk.price()


def test_orders_do_not_fill_while_trading_is_halted() -> None:
    desk = Desk(now=FRIDAY)
    halted = next(contract for contract in desk.world.contracts if contract.feed == "H")
    assert desk.told(desk.order(ticket(conid=halted.conid)))[1] == 0
