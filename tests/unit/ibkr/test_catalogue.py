"""Matching requests to operations, and reading the catalogue's layout."""

from __future__ import annotations

import pytest

from ibkr import catalogue
from ibkr.operation import Pacing, Parameter

LAYOUT = """
[get_thing]
call = "GET /things/{thingId}"
title = "One thing"
tags = ["Contract"]
tier = "brokerage?"
effect = "read"
"""


def test_a_template_matches_one_segment_and_gives_its_value() -> None:
    endpoint, values = catalogue.load().match("GET", "/portfolio/DU1/positions/0") or pytest.fail("no match")
    assert endpoint.id == "list_positions"
    assert values == {"accountId": "DU1", "pageId": "0"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/portfolio//meta"),
        ("GET", "/portfolio/DU1/meta/"),
        ("GET", "/portfolio/DU1"),
        ("GET", "portfolio/accounts"),
        ("GET", "/v1/api/portfolio/accounts"),
        ("GET", "/Portfolio/accounts"),
        ("DELETE", "/portfolio/accounts"),
        ("get", "/portfolio/accounts"),
        ("GET", ""),
        ("GET", "/"),
    ],
)
def test_nothing_but_the_exact_shape_matches(method: str, path: str) -> None:
    assert catalogue.load().match(method, path) is None


def test_a_literal_path_wins_over_a_template() -> None:
    text = LAYOUT + LAYOUT.replace("get_thing", "list_things").replace("{thingId}", "all")
    endpoint, values = catalogue.parse(text).match("GET", "/things/all") or pytest.fail("no match")
    assert (endpoint.id, values) == ("list_things", {})


def test_an_unsupported_row_never_hides_a_supported_one_of_its_shape() -> None:
    unsupported = LAYOUT.replace("get_thing", "old_thing") + 'status = "unsupported"\nreason = "It is gone."\n'
    endpoint, _ = catalogue.parse(unsupported + LAYOUT).match("GET", "/things/7") or pytest.fail("no match")
    assert endpoint.id == "get_thing"


def test_every_operation_matches_its_own_path() -> None:
    rows = catalogue.load()
    for endpoint in rows:
        matched, values = rows.match(endpoint.method, endpoint.path) or pytest.fail(endpoint.id)
        if endpoint.id != "place_model_orders":
            assert matched is endpoint
        assert len(values) == len(endpoint.path_parameters)


def test_every_column_is_read() -> None:
    [endpoint] = catalogue.parse(
        LAYOUT
        + """
fresh_s = 2
pacing = "1/5"
concurrent = 3
preflight = ["other"]
warms_up = true
query = "id* page"
body = "rows*"
limits = { rows = 9 }
status = "tested"
reason = "So it is."
"""
    )
    assert (endpoint.method, endpoint.path, endpoint.path_parameters) == ("GET", "/things/{thingId}", ("thingId",))
    assert (endpoint.tier, endpoint.tier_assumed, endpoint.effect) == ("brokerage", True, "read")
    assert (endpoint.fresh_s, endpoint.pacing, endpoint.concurrent) == (2.0, Pacing(1, 5.0), 3)
    assert (endpoint.preflight, endpoint.warms_up) == (("other",), True)
    assert endpoint.query == (Parameter("id", True), Parameter("page", False))
    assert endpoint.body == (Parameter("rows", True),)
    assert endpoint.limits == {"rows": 9}
    assert (endpoint.status, endpoint.reason) == ("tested", "So it is.")


def test_left_out_columns_have_the_cautious_value() -> None:
    [endpoint] = catalogue.parse(LAYOUT)
    assert (endpoint.fresh_s, endpoint.pacing, endpoint.concurrent, endpoint.warms_up) == (0.0, None, None, False)
    assert (endpoint.status, endpoint.preflight, endpoint.limits) == ("supported", (), {})


def test_a_misspelt_column_is_an_error() -> None:
    with pytest.raises(TypeError, match="freshness"):
        catalogue.parse(LAYOUT + "freshness = 2\n")


def test_a_call_that_needs_no_arguments_is_told_apart() -> None:
    rows = catalogue.load()
    assert not rows["list_portfolio_accounts"].needs_arguments
    assert not rows["list_trades"].needs_arguments
    assert rows["get_account_meta"].needs_arguments
    assert rows["search_contracts"].needs_arguments
    assert rows["get_contract_rules"].needs_arguments


def test_rows_can_be_kept_in_sets() -> None:
    assert len(set(catalogue.load())) == len(catalogue.load())


@pytest.mark.parametrize(
    ("words", "best"),
    [
        ("positions", "list_positions"),
        ("holdings", "list_positions"),
        ("P&L", "get_profit_and_loss"),
        ("option chain strikes", "list_strikes"),
        ("how do I get quotes", "get_price_snapshot"),
        ("candles", "get_price_history"),
        ("cancel order", "cancel_order"),
        ("buy stock", "search_stocks"),
        ("top gainers", "run_scanner"),
        ("set an alert", "list_alerts"),
        ("available funds", "get_available_funds"),
        ("trading hours", "get_trading_schedule"),
        ("MARGIN", "get_margins"),
        ("accountId combo", "list_combo_positions"),
        ("/pa/transactions", "list_transactions"),
    ],
)
def test_words_find_the_operation_one_means(words: str, best: str) -> None:
    assert catalogue.load().search(words)[0].id == best


@pytest.mark.parametrize("words", ["", "  ", "of the", "xylophone", "12345", "'\"\\n%"])
def test_words_that_mean_nothing_find_nothing(words: str) -> None:
    assert catalogue.load().search(words) == []


def test_unsupported_operations_come_after_supported_ones_that_match_as_well() -> None:
    found = [endpoint.id for endpoint in catalogue.load().search("price history bars")]
    assert found.index("get_price_history") < found.index("get_hmds_history")
