"""What the guard keeps: answers, and its memory of one session."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.guard.reads.cache import Cache, CachedResponse
from ib_keepalive.guard.reads.warm_up import is_cold, retry_in_s, underlying_symbols
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.session_memory import SessionMemory
from ibkr import catalogue
from ibkr.errors import IbError, LoginRequired, PacingLimited, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from ibkr.session import GatewayStatus, SessionState, Status
from support.guard import status_of

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


OPEN = status_of(SessionState.AUTHENTICATED, since=5)


@pytest.mark.parametrize(
    "other",
    [
        status_of(SessionState.AUTHENTICATED, since=6),
        status_of(SessionState.COMPETING, since=5),
        replace(OPEN, mode="live"),
        replace(OPEN, gateway=GatewayStatus(started_at=9)),
    ],
)
def test_another_session_makes_the_memory_forget(other: Status):
    memory = SessionMemory()
    memory.observe(replace(OPEN, mode="paper"), now=10, wall=10)
    memory.called.add("list_brokerage_accounts")
    before = memory.generation
    assert memory.observe(other, now=11, wall=11)
    assert memory.generation > before
    assert not memory.called


@pytest.mark.parametrize("drift", [0.0, 0.002, -0.002, 3600.0, -86400.0])
def test_the_same_session_told_by_another_clock_is_no_other_session(drift: float):
    memory = SessionMemory()
    memory.observe(replace(OPEN, gateway=GatewayStatus(started_at=2)), now=10, wall=1000)
    later = replace(OPEN, state_since=OPEN.state_since + drift, gateway=GatewayStatus(started_at=2 + drift))
    assert not memory.observe(later, now=20, wall=1010 + drift)


def test_learning_the_mode_is_no_other_session():
    memory = SessionMemory()
    memory.observe(OPEN, now=10, wall=10)
    memory.called.add("list_brokerage_accounts")
    assert not memory.observe(replace(OPEN, mode="paper", observed_at=77, age_seconds=3), now=10, wall=10)
    assert memory.called


def test_searches_are_remembered_by_conid():
    memory = SessionMemory()
    memory.note_search([{"conid": "265598"}, {"conid": 8314}, {"issuers": []}, None])
    assert memory.searched == {"265598", "8314"}


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
    request = ApiRequest(ROWS[operation], ROWS[operation].path)
    assert is_cold(request, cold)
    assert not is_cold(request, warm)
    assert not is_cold(ApiRequest(LEDGER, LEDGER.path), cold)


def test_only_derivatives_are_traced_to_their_underlying():
    answer = {
        "secdef": [{"ticker": "AAPL", "assetClass": "STK"}, {"ticker": "ES", "assetClass": "FUT"}, {"ticker": None}]
    }
    assert underlying_symbols(answer, only_derivatives=True) == ["ES"]
    assert underlying_symbols(answer, only_derivatives=False) == ["AAPL", "ES"]
    assert underlying_symbols([], only_derivatives=False) == []
