"""Prices: one path per instrument, seen alike by bars of every size and at every moment."""

from __future__ import annotations

import pytest

from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.market import Market, today
from support.simulator import FRIDAY, utc

CONTRACTS = Contracts()
KINDS = {"stock": 265598, "Swiss stock": 273982664, "forex": 12087792, "crypto": 479624278, "bond": 254867301}


def contract_named(name: str, market: Market) -> Contract:
    if name == "future":
        root = CONTRACTS.roots_of(11004968)[0]
        return CONTRACTS.futures(root, today(FRIDAY))[0]
    if name == "option":
        apple = CONTRACTS[265598]
        expiry = CONTRACTS.expiries(apple, today(FRIDAY))[3]
        return CONTRACTS.option(apple, expiry, 280.0, "C")
    return CONTRACTS[KINDS[name]]


@pytest.mark.parametrize("name", [*KINDS, "future", "option"])
def test_parts_of_a_day_make_up_the_day(name: str) -> None:
    market = Market(7, CONTRACTS)
    contract = contract_named(name, market)
    path = market.path(contract)
    session = path.market.before(path.market.at(FRIDAY))
    for step in (60, 300, 900, 3600):
        edges = [session.open + place * step for place in range(int((session.close - session.open) / step))]
        parts = [path.between(low, min(low + step, session.close), session) for low in edges]
        day = path.day(session.number)
        assert max(part.high for part in parts) == pytest.approx(day.high)
        assert min(part.low for part in parts) == pytest.approx(day.low)
        assert parts[0].open == pytest.approx(day.open)
        assert all(part.low <= min(part.open, part.close) for part in parts)
        assert all(part.high >= max(part.open, part.close) for part in parts)


@pytest.mark.parametrize("name", [*KINDS, "future", "option"])
def test_every_moment_lies_within_its_bar(name: str) -> None:
    market = Market(7, CONTRACTS)
    contract = contract_named(name, market)
    path = market.path(contract)
    session = path.market.before(path.market.at(FRIDAY))
    start = session.open + 7200
    bar = market.range_of(contract, path.between(start, start + 300, session), start, start + 300)
    prices = [market.price(contract, start + second) for second in range(0, 300, 7)]
    # The value of an option also decays within the bar.
    slack = 0.02 if contract.right else 0.0
    assert all(bar.low - slack <= price <= bar.high + slack for price in prices)


def test_prices_do_not_depend_on_the_order_of_questions() -> None:
    moments = [FRIDAY - 86400.0 * day for day in (0, 900, 3, 400, 2000)]
    forward, backward = Market(7, CONTRACTS), Market(7, CONTRACTS)
    apple = CONTRACTS[265598]
    first = {moment: forward.price(apple, moment) for moment in moments}
    second = {moment: backward.price(apple, moment) for moment in reversed(moments)}
    assert first == second


def test_seeds_and_instruments_have_their_own_paths() -> None:
    apple, microsoft = CONTRACTS[265598], CONTRACTS[272093]
    moves = {
        (seed, stock.symbol): market.price(stock, FRIDAY) / market.price(stock, FRIDAY - 40 * 86400.0)
        for seed in (7, 8)
        for market in [Market(seed, CONTRACTS)]
        for stock in (apple, microsoft)
    }
    assert len(set(moves.values())) == 4


def test_listings_of_one_company_move_together() -> None:
    market = Market(7, CONTRACTS)
    nasdaq, mexico = CONTRACTS[265598], CONTRACTS[38708077]
    before = FRIDAY - 100 * 86400.0
    rise = market.price(nasdaq, FRIDAY) / market.price(nasdaq, before)
    assert market.price(mexico, FRIDAY) / market.price(mexico, before) == pytest.approx(rise, rel=0.05)


def test_a_weekend_keeps_fridays_last_price() -> None:
    market = Market(7, CONTRACTS)
    apple = CONTRACTS[265598]
    saturday, sunday = utc("2026-11-21 12:00:00"), utc("2026-11-22 12:00:00")
    assert market.price(apple, saturday) == market.price(apple, sunday)


def test_extended_hours_lead_from_the_close_to_the_next_open() -> None:
    market = Market(7, CONTRACTS)
    apple = CONTRACTS[265598]
    path = market.path(apple)
    session = path.market.at(FRIDAY)
    following = path.market.after(session)
    close, opening = path.day(session.number).close, path.day(following.number).open
    low, high = sorted((close, opening))
    moments = [session.close + 600, session.post - 1, following.pre + 600, following.open - 1]
    assert all(low - 0.01 <= path.at(moment) <= high + 0.01 for moment in moments)
    assert path.at(following.open - 1) == pytest.approx(opening, rel=1e-4)


def test_prices_stay_plausible_for_a_decade() -> None:
    market = Market(7, CONTRACTS)
    for contract in (row for row in CONTRACTS if not row.is_derivative):
        for year in ("2016", "2021", "2031"):
            price = market.price(contract, utc(f"{year}-06-15 15:00:00"))
            assert contract.price / 12 < price < contract.price * 12, contract.symbol


def test_prices_sit_on_the_tick() -> None:
    market = Market(7, CONTRACTS)
    for contract in CONTRACTS:
        price = market.price(contract, FRIDAY)
        assert price == pytest.approx(round(price / contract.tick) * contract.tick, abs=1e-9)
        bid, ask = market.spread(contract, price)
        assert 0 <= bid < ask
        assert bid <= price <= ask


def test_exchange_rates_agree_in_both_directions() -> None:
    market = Market(7, CONTRACTS)
    assert market.rate("EUR", "CHF", FRIDAY) * market.rate("CHF", "EUR", FRIDAY) == pytest.approx(1)
    assert market.rate("EUR", "USD", FRIDAY) == pytest.approx(market.price(CONTRACTS[12087792], FRIDAY), rel=1e-4)
    assert market.rate("EUR", "XXX", FRIDAY) == 0.0


def test_the_volume_of_a_day_is_that_of_its_parts() -> None:
    market = Market(7, CONTRACTS)
    apple = CONTRACTS[265598]
    session = apple.market.at(FRIDAY)
    half = (session.open + session.close) / 2
    parts = market.volume(apple, session, session.open, half) + market.volume(apple, session, half, session.close)
    assert parts == pytest.approx(market.volume(apple, session, session.open, session.close), abs=1)
    assert parts > 100_000
