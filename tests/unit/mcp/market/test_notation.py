"""How agents name instruments."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_mcp.market.notation import month_code, month_of, parse
from ib_mcp.market.wanted import (
    Bond,
    Cfd,
    Conid,
    Future,
    Identifier,
    Index,
    Number,
    Option,
    Pair,
    Stock,
    Wanted,
    Words,
)
from ibkr.errors import InvalidRequest

CALL = Option("AAPL", "20261218", "C", Decimal(280))
SPELLINGS: dict[str, tuple[Wanted, ...]] = {
    # Shares: plain, by exchange, by class; with the prefix or suffix of others, where a class comes first.
    "AAPL": (Stock("AAPL"),),
    " aapl ": (Stock("AAPL"),),
    "$AAPL": (Stock("AAPL"),),
    "AAPL@NASDAQ": (Stock("AAPL", "NASDAQ"),),
    "NASDAQ:AAPL": (Stock("AAPL", "NASDAQ"),),
    "TSE:7203": (Stock("7203", "TSEJ"),),
    "BRK.B": (Stock("BRK.B"),),
    "BRK B": (Stock("BRK B"),),
    "V": (Stock("V"),),
    "AAPL US": (Stock("AAPL US"), Stock("AAPL", "US")),
    "VOD LN": (Stock("VOD LN"), Stock("VOD", "LON")),
    "BHP AU Equity": (Stock("BHP", "SYDNEY"),),
    "NOVO B DC": (Stock("NOVO B", "OMXCOP"),),
    "MSFT.O": (Stock("MSFT.O"), Stock("MSFT", "NASDAQ")),
    "GOOGL.US": (Stock("GOOGL.US"), Stock("GOOGL", "US")),
    "VOD.L": (Stock("VOD.L"), Stock("VOD", "LON")),
    "SAP.DE": (Stock("SAP.DE"), Stock("SAP", "XETRA")),
    "7203.T": (Stock("7203.T"), Stock("7203", "TYO")),
    "0700.HK": (Stock("0700.HK"), Stock("700", "HKG")),
    "700 HK": (Stock("700 HK"), Stock("700", "HKG")),
    # Numbers: a conid or a ticker.
    "700@SEHK": (Number("700", "SEHK"),),
    "4391": (Number("4391"),),
    "0700": (Number("0700"),),
    "1234567": (Conid(1234567),),
    "265598@IEX": (Conid(265598, "IEX"),),
    "#265598": (Conid(265598),),
    "AAPL CFD #118089500": (Conid(118089500),),
    # Indices, currencies, coins.
    "^VIX": (Index("VIX"),),
    "^GSPC": (Index("SPX"),),
    "SPX": (Index("SPX"), Stock("SPX")),
    "$SPX": (Index("SPX"), Stock("SPX")),
    "EUR.USD": (Pair("EUR", "USD"),),
    "eur/usd": (Pair("EUR", "USD"),),
    "EUR USD": (Pair("EUR", "USD"),),
    "eurusd": (Pair("EUR", "USD"),),
    "EURUSD=X": (Pair("EUR", "USD"),),
    "FX:EURUSD": (Pair("EUR", "USD"),),
    "EURXYZ": (Stock("EURXYZ"),),
    "BTC": (Pair("BTC", ""), Stock("BTC")),
    "BTC.USD": (Pair("BTC", "USD"),),
    "BTC-USD": (Pair("BTC", "USD"),),
    "BTCUSD": (Pair("BTC", "USD"),),
    "DOGE/USD": (Pair("DOGE", "USD"),),
    "BTC.USD@PAXOS": (Pair("BTC", "USD", "PAXOS"),),
    # Futures by contract month, by day, by code, the next one.
    "ES 202612": (Future("ES", "202612"),),
    "ES 2026-12": (Future("ES", "202612"),),
    "ES DEC26": (Future("ES", "202612"),),
    "ES     DEC2026": (Future("ES", "202612"),),
    "ES 20261218": (Future("ES", "20261218"),),
    "ES@CME 202612": (Future("ES", "202612", "CME"),),
    "DAX 202612 x5": (Future("DAX", "202612", multiplier=Decimal(5)),),
    "ESZ6": (Stock("ESZ6"), Future("ES", "20?612")),
    "ESZ26": (Stock("ESZ26"), Future("ES", "202612")),
    "/ESZ6": (Future("ES", "20?612"), Future("ESZ6", "")),
    "/ES": (Future("ES", ""),),
    "ES=F": (Future("ES", ""),),
    # Options as we, brokers, OCC and IBKR's own descriptions write them.
    "AAPL 20261218 C 280": (CALL,),
    "aapl 202612 put 197.5": (Option("AAPL", "202612", "P", Decimal("197.5")),),
    "AAPL 2026-12-18 C280": (CALL,),
    "AAPL 20261218 280 C": (CALL,),
    "AAPL 18DEC26 280 C": (CALL,),
    "AAPL Dec18'26 280 CALL": (CALL,),
    "AAPL Dec 18, 2026 280 Call": (CALL,),
    "AAPL 12/18/26 280 C": (CALL,),
    "AAPL  261218C00280000": (replace(CALL, trading_class="AAPL"),),
    "AAPL261218C00280000": (replace(CALL, trading_class="AAPL"),),
    ".AAPL261218C280": (replace(CALL, trading_class="AAPL"),),
    "AAPL   DEC2026 280 C [AAPL  261218C00280000 100]": (replace(CALL, trading_class="AAPL", multiplier=Decimal(100)),),
    "SPXW  261218C06800000": (Option("SPX", "20261218", "C", Decimal(6800), trading_class="SPXW"),),
    "AAPL1 261218C00280000": (replace(CALL, trading_class="AAPL1"),),
    "SPX 20261218 C 6800 SPXW": (Option("SPX", "20261218", "C", Decimal(6800), trading_class="SPXW"),),
    "XYZ 20261218 C 100 2XYZ x150": (
        Option("XYZ", "20261218", "C", Decimal(100), trading_class="2XYZ", multiplier=Decimal(150)),
    ),
    "/CL 20261117 P 75 LO": (Option("CL", "20261117", "P", Decimal(75), trading_class="LO", on_future=True),),
    "ES     DEC2026 6800 P [ESZ6 P6800 50]": (Option("ES", "202612", "P", Decimal(6800)),),
    # Bonds, CFDs, identifiers, words.
    "AAPL 3.35 02/09/27": (Bond("AAPL", Decimal("3.35"), "20270209"),),
    "US-T 4 1/4 02/15/34": (Bond("US-T", Decimal("4.25"), "20340215"),),
    "AAPL CFD": (Cfd("AAPL"),),
    "SHEL CFD GBP": (Cfd("SHEL", None, "GBP"),),
    "US0378331005": (Identifier("US0378331005"),),
    "037833100": (Identifier("037833100"),),
    "US0378331006": (Stock("US0378331006"),),
    "Deutsche Telekom": (Words("DEUTSCHE TELEKOM"),),
}


@pytest.mark.parametrize(("text", "wanted"), SPELLINGS.items())
def test_names_are_read(text: str, wanted: tuple[Wanted, ...]) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["", " ", "AAPL;DROP", "a b c", "AAPL 1999", "../x", "@LSE", "AAPL@", "ES 20261", "é"])
def test_what_is_no_name_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    assert "SHEL@LSE" in refused.value.action


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
