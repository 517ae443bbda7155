"""How agents name instruments."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_mcp.market.notation import Conid, Future, Option, Pair, Stock, Wanted, month_code, month_of, parse
from ibkr.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("AAPL", Stock("AAPL")),
        (" aapl ", Stock("AAPL")),
        ("AAPL@NASDAQ", Stock("AAPL", "NASDAQ")),
        ("BRK.B", Stock("BRK.B")),
        ("BRK B", Stock("BRK B")),
        ("V", Stock("V")),
        ("700@SEHK", Stock("700", "SEHK")),
        ("265598", Conid(265598)),
        ("265598@IEX", Conid(265598, "IEX")),
        ("EUR.USD", Pair("EUR", "USD")),
        ("eur.usd", Pair("EUR", "USD")),
        ("EUR/USD", Pair("EUR", "USD")),
        ("eurusd", Pair("EUR", "USD")),
        ("EURXYZ", Stock("EURXYZ")),
        ("ES 2026-12", Future("ES", "202612")),
        ("ES 202612", Future("ES", "202612")),
        ("ES 20261218", Future("ES", "20261218")),
        ("ES@CME 202612", Future("ES", "202612", "CME")),
        ("AAPL 20261218 C 200", Option("AAPL", "20261218", "C", Decimal(200))),
        ("aapl 202612 put 197.5", Option("AAPL", "202612", "P", Decimal("197.5"))),
        ("AAPL 2026-12-18 C 200", Option("AAPL", "20261218", "C", Decimal(200))),
        ("AAPL 20261218 C200", Option("AAPL", "20261218", "C", Decimal(200))),
    ],
)
def test_names_are_read(text: str, wanted: Wanted) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["", " ", "AAPL;DROP", "a b c", "AAPL 1999", "../x", "@LSE", "AAPL@", "ES 20261", "é"])
def test_what_is_no_name_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    assert "AAPL@NASDAQ" in refused.value.action


@given(st.text(max_size=100))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidRequest as refused:
        assert len(refused.message) < 200  # noqa: PT017 - other texts are fine


def test_months_have_ibkrs_names() -> None:
    assert month_code("202612") == month_code("20261218") == "DEC26"
    assert month_of("DEC26") == "202612"
    with pytest.raises(InvalidRequest):
        month_code("202613")
