"""What a move of the market does to positions, by betas and deltas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.portfolio import holding, ledger, risk
from ib_mcp.portfolio.holding import Holding
from ib_mcp.portfolio.risk import Sensitivity

LEDGER = ledger.parse({"EUR": {"exchangerate": 2}})
FALL = Decimal(-10)


def held(kind: str, **more: Any) -> Holding:
    row = {
        "conid": 1,
        "assetClass": kind,
        "ticker": "X",
        "currency": "USD",
        "position": 10,
        "mktPrice": 5,
        "mktValue": 50,
    }
    return holding.parse(row | more, LEDGER, "USD")


def test_a_share_moves_with_its_beta_in_the_base_currency() -> None:
    known = {1: Sensitivity(beta=Decimal("1.5"))}
    assert risk.after_move([held("STK")], known, FALL).change == Decimal("-7.5")
    assert risk.after_move([held("STK", currency="EUR")], known, FALL).change == -15
    assert risk.after_move([held("STK", position=-10, mktValue=-50)], known, FALL).change == Decimal("7.5")


def test_an_option_moves_with_its_delta_and_the_beta_of_its_underlying() -> None:
    put = held("OPT", multiplier=100, mktValue=5000, undConid=2, putOrCall="P", strike="90", expiry="20270115")
    known = {1: Sensitivity(delta=Decimal("-0.4")), 2: Sensitivity(beta=Decimal(2), price=Decimal(100))}
    # -0.4 x 100 x 10 contracts x 100 shares x beta 2, of which a tenth.
    assert risk.after_move([put], known, FALL).change == 8000


@pytest.mark.parametrize("ticker", ["ES", "MES"])
def test_a_future_on_the_market_itself_has_a_beta_of_one(ticker: str) -> None:
    future = held("FUT", ticker=ticker, multiplier=50, mktValue=2500, expiry="20261218")
    assert risk.after_move([future], {}, FALL).change == -250


def test_what_has_no_beta_is_left_out_by_name() -> None:
    without = [held("STK", conid=1), held("BOND", conid=2), held("FUT", conid=3, ticker="CL"), held("CASH", conid=4)]
    found = risk.after_move(without, {}, FALL)
    assert (found.change, found.counted, found.left_out) == (0, 0, without)
