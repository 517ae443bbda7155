"""Instruments: tables, and derivatives known by the number alone."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from ib_simulator.world.contract import parse_month
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.futures import FUTURE_ROOTS

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("conid", "symbol", "exchange"),
    [(265598, "AAPL", "NASDAQ"), (8314, "IBM", "NYSE"), (756733, "SPY", "ARCA"), (11004968, "ES", "CME")],
)
def test_well_known_instruments_have_their_public_conid(conid: int, symbol: str, exchange: str) -> None:
    contract = Contracts()[conid]
    assert (contract.symbol, contract.exchange) == (symbol, exchange)


def test_every_conid_is_there_once() -> None:
    counts = Counter(contract.conid for contract in Contracts())
    assert max(counts.values()) == 1
    assert len(counts) > 150


def test_a_symbol_may_name_several_instruments() -> None:
    contracts = Contracts()
    assert len({contract.currency for contract in contracts.of_symbol("AAPL") if contract.kind == "STK"}) == 3
    assert {contract.kind for contract in contracts.of_symbol("CL")} == {"STK", "IND"}


def test_an_options_number_tells_all_about_it() -> None:
    contracts = Contracts()
    for symbol in ("AAPL", "SPX", "NFLX", "ES"):
        underlying = contracts.of_symbol(symbol)[0]
        for expiry in contracts.expiries(underlying, TODAY):
            strike = underlying.strike_step * 21
            for right in "CP":
                option = contracts.option(underlying, expiry, strike, right)
                again = Contracts()[option.conid]
                assert again == option
                assert (again.underlying, again.expiry, again.strike, again.right) == (
                    underlying.conid,
                    expiry,
                    strike,
                    right,
                )


def test_a_futures_number_tells_all_about_it() -> None:
    contracts = Contracts()
    for root in FUTURE_ROOTS:
        futures = contracts.futures(root, TODAY)
        assert len(futures) == root.listed
        assert futures == sorted(futures, key=lambda future: future.expires_at)
        for future in futures:
            assert Contracts()[future.conid] == future
            assert future.expiry is not None
            assert future.expiry >= TODAY


def test_expiries_are_fridays_or_the_day_before_a_holiday() -> None:
    contracts = Contracts()
    expiries = contracts.expiries(contracts[265598], date(2026, 12, 1))
    assert date(2026, 12, 18) in expiries
    assert date(2026, 12, 24) in expiries
    assert date(2026, 12, 25) not in expiries
    assert len(set(expiries)) == len(expiries)


def test_not_every_possible_strike_is_listed() -> None:
    contracts = Contracts()
    apple = contracts[265598]
    near, *_, far = contracts.expiries(apple, TODAY)
    assert contracts.is_listed(apple, near, 285.0, TODAY)
    assert not contracts.is_listed(apple, far, 285.0, TODAY)
    assert contracts.is_listed(apple, far, 290.0, TODAY)


@pytest.mark.parametrize("conid", [0, 1, 520_999_999, 599_999_999, 739_999_999, 999_999_999, 10**15])
def test_other_numbers_name_nothing(conid: int) -> None:
    assert Contracts().get(conid) is None


@pytest.mark.parametrize(("text", "month"), [("DEC26", (2026, 12)), ("jan27", (2027, 1)), ("DEZ26", None), ("", None)])
def test_months_are_read(text: str, month: tuple[int, int] | None) -> None:
    assert parse_month(text) == month
