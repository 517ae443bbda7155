"""What the guard keeps of answers, and which answers are not the answer yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.guard.memory.cache import Cache, CachedResponse
from ib_keepalive.guard.reads.warm_up import is_cold, is_empty, retry_in_s, underlying_symbols
from ibkr import catalogue
from ibkr.errors import IbError, LoginRequired, PacingLimited, UpstreamError, UpstreamTimeout, UpstreamUnreachable

ROWS = catalogue.load()
LEDGER = ROWS["get_ledger"]._replace(fresh_s=3)


def cached(stored: float, content: bytes = b"{}", fresh_s: float = 3) -> CachedResponse:
    return CachedResponse(LEDGER._replace(fresh_s=fresh_s), content, 200, stored)


def test_an_answer_is_kept_as_long_as_it_is_fresh():
    cache = Cache()
    cache.put("a", cached(10))
    assert cache.get("a", 12.9) is not None
    assert cache.get("a", 13) is None
    assert len(cache) == cache.size == 0


def test_what_is_never_fresh_is_not_kept():
    cache = Cache()
    cache.put("a", cached(10, fresh_s=0))
    assert len(cache) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4000)), max_size=80))
def test_the_cache_is_bounded_and_keeps_the_latest(puts: list[tuple[int, int]]):
    cache = Cache(most_bytes=6000)
    for key, size in puts:
        cache.put(key, cached(0, b"x" * size))
    assert cache.size <= 6000
    if puts:
        assert cache.get(puts[-1][0], 1) is not None


def test_an_answer_larger_than_everything_is_not_kept():
    cache = Cache(most_bytes=1000)
    cache.put("small", cached(0))
    cache.put("big", cached(0, b"x" * 2000))
    assert cache.get("small", 1) is not None
    assert cache.get("big", 1) is None


@pytest.mark.parametrize(
    ("operation", "error", "tries", "warm", "again"),
    [
        ("get_ledger", UpstreamUnreachable(""), 1, True, True),
        ("get_ledger", UpstreamUnreachable(""), 2, True, False),
        ("run_scanner", UpstreamUnreachable(""), 1, True, True),
        ("get_ledger", UpstreamError("", status=503), 1, True, True),
        ("get_ledger", UpstreamError("", status=503), 2, True, False),
        ("get_ledger", UpstreamError("", status=500), 1, True, False),
        ("run_scanner", UpstreamError("", status=503), 1, True, False),
        ("get_price_history", UpstreamError("", status=500), 1, False, True),
        ("get_price_history", UpstreamError("", status=404), 2, False, True),
        ("get_price_history", UpstreamError("", status=500), 3, False, False),
        ("get_price_history", UpstreamError("", status=500), 1, True, False),
        ("list_notifications", UpstreamError("", status=423), 1, False, True),
        ("get_ledger", UpstreamTimeout(""), 1, True, False),
        ("get_ledger", PacingLimited(""), 1, True, False),
        ("get_ledger", LoginRequired(""), 1, True, False),
    ],
)
def test_only_what_a_second_try_can_cure_is_tried_again(
    operation: str, error: IbError, tries: int, warm: bool, again: bool
):
    assert (retry_in_s(ROWS[operation], error, tries, is_warm=warm) is not None) is again


@pytest.mark.parametrize(
    ("operation", "cold", "warm"),
    [
        ("list_live_orders", {"orders": [], "snapshot": False}, {"orders": [], "snapshot": True}),
        ("list_trades", [], [{"execution_id": "1"}]),
        ("get_profit_and_loss", {"upnl": {}}, {"upnl": {"DU1.Core": {}}}),
        ("get_position", [{"conid": 1, "position": 2}], [{"conid": 1, "ticker": "A"}]),
        ("list_positions_in_contract", {"DU1": [{"conid": 1}]}, {"DU1": [{"conid": 1, "name": "A"}]}),
        ("list_contract_algos", {"algos": []}, {"algos": [{"id": "Vwap"}]}),
        ("get_watchlist", {"instruments": [{"C": 1}]}, {"instruments": [{"C": 1, "ticker": "A"}]}),
    ],
)
def test_the_first_answers_of_a_session_are_told_from_real_ones(operation: str, cold: object, warm: object):
    assert is_cold(ROWS[operation], cold)
    assert not is_cold(ROWS[operation], warm)
    assert not is_cold(LEDGER, cold)


def test_only_derivatives_are_traced_to_their_underlying():
    answer = {
        "secdef": [{"ticker": "AAPL", "assetClass": "STK"}, {"ticker": "ES", "assetClass": "FUT"}, {"ticker": None}]
    }
    assert underlying_symbols(answer, only_derivatives=True) == ["ES"]
    assert underlying_symbols(answer, only_derivatives=False) == ["AAPL", "ES"]
    assert underlying_symbols([], only_derivatives=False) == []


@pytest.mark.parametrize("body", [None, [], {}, {"call": [], "put": []}, {"secdef": []}, {"a": None}, {"a": {"b": []}}])
def test_nothing_is_told_from_something(body: object):
    assert is_empty(body)


@pytest.mark.parametrize("body", [[{}], {"orders": [], "snapshot": True}, {"a": 0}, {"a": ""}, 0, "", False])
def test_something_is_not_taken_for_nothing(body: object):
    assert not is_empty(body)


def test_what_is_empty_is_kept_for_two_seconds_at_most():
    cache = Cache()
    cache.put("a", CachedResponse(LEDGER._replace(fresh_s=3600), b"[]", 200, 10, is_empty=True))
    assert cache.get("a", 11.9) is not None
    assert cache.get("a", 12.1) is None
