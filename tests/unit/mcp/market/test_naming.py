"""What answers call an instrument, and which instruments a name means among those at hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ib_mcp.market import naming
from ib_mcp.market.contract import Contract, contract_month, from_definition, undescribed
from ib_mcp.market.matching import fits


def definition(kind: str, ticker: str, exchange: str, currency: str = "USD", **more: Any) -> dict[str, Any]:
    """A row of ``/trsrv/secdef``."""
    plain = {"conid": 1, "assetClass": kind, "ticker": ticker, "listingExchange": exchange, "currency": currency}
    return plain | {"name": f"{ticker} INC", "fullName": ticker, "strike": "0", "expiry": None} | more


def option(ticker: str, exchange: str = "CBOE", **more: Any) -> dict[str, Any]:
    terms = {"expiry": "20261218", "putOrCall": "C", "strike": "280", "multiplier": 100, "undConid": 9}
    return definition("OPT", ticker, exchange, **(terms | more))


def called(row: dict[str, Any], underlying: dict[str, Any] | None = None) -> str:
    """The name of an instrument that IBKR describes so."""
    below = None if underlying is None else naming.named(from_definition(underlying), None)
    return naming.named(from_definition(row), below).symbol


APPLE, SAP = definition("STK", "AAPL", "NASDAQ"), definition("STK", "SAP", "IBIS", "EUR")

# IBKR's description, that of the underlying of an option, and what answers call it.
NAMES = [
    (APPLE, None, "AAPL"),
    (definition("STK", "BRK B", "NYSE"), None, "BRK B"),
    (definition("STK", "SHEL", "LSE", "GBP"), None, "SHEL@LSE"),
    (definition("STK", "4391", "TSEJ", "JPY"), None, "4391@TSEJ"),
    (definition("STK", "NPN", "JSE", "ZAR"), None, "NPN@JSE"),
    (definition("IND", "SPX", "CBOE"), None, "SPX"),
    (definition("IND", "ES", "CME"), None, "ES@CME"),
    (definition("CASH", "EUR", "IDEALPRO"), None, "EUR.USD"),
    (definition("CRYPTO", "BTC", "PAXOS"), None, "BTC.USD@PAXOS"),
    (definition("STK", "BTC", "ARCA"), None, "BTC@ARCA"),
    (definition("FUT", "ES", "CME", expiry="20261218", fullName="ES     DEC2026"), None, "ES 202612"),
    (definition("FUT", "CL", "NYMEX", expiry="20261119", fullName="CL     DEC2026"), None, "CL 202612"),
    (definition("FUT", "NG", "NYMEX", expiry="20261125", fullName="NGZ6"), None, "NG 202612"),
    (definition("FUT", "CL", "NYMEX", expiry="20261119", fullName="CL Nov19'26"), None, "CL 20261119"),
    (option("AAPL"), APPLE, "AAPL 20261218 C 280"),
    (option("SAP", "EUREX", currency="EUR"), SAP, "SAP@IBIS 20261218 C 280"),
    (
        option("SPX", strike="6800", fullName="SPX    DEC2026 6800 C [SPXW  261218C06800000 100]"),
        definition("IND", "SPX", "CBOE"),
        "SPX 20261218 C 6800 SPXW",
    ),
    (option("XYZ", multiplier=150, fullName="XYZ DEC2026 280 C [2XYZ  261218C00280000 150]"),
     definition("STK", "XYZ", "NYSE"), "XYZ 20261218 C 280 2XYZ x150"),
    (option("AAPL"), None, "AAPL OPT #1"),
    (definition("FOP", "CL", "NYMEX", expiry="20261117", putOrCall="P", strike="75", multiplier=1000), None,
     "/CL 20261117 P 75"),
    (definition("CFD", "AAPL", "SMART", fullName="AAPL"), None, "AAPL CFD #1"),
    (definition("BOND", "AAPL", "SMART", expiry="20270209", fullName="AAPL 3.35 02/09/27"), None,
     "AAPL 3.35 02/09/27 #1"),
    (definition("FUND", "VFIAX", "FUNDSERV", fullName="VANGUARD 500 INDEX-ADM"), None,
     "VANGUARD 500 INDEX-ADM FUND #1"),
    (definition("WAR", "SAP", "FWB", "EUR", fullName="SAP DEC26 120 C"), None, "SAP DEC26 120 C WAR #1"),
    (definition("CMDTY", "XAUUSD", "IBMETAL", fullName="London Gold"), None, "London Gold CMDTY #1"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "underlying", "name"), NAMES, ids=[name for *_, name in NAMES])
def test_a_name_holds_what_is_needed(row: dict[str, Any], underlying: dict[str, Any] | None, name: str) -> None:
    assert called(row, underlying) == name


@pytest.mark.parametrize(("row", "underlying", "name"), NAMES, ids=[name for *_, name in NAMES])
def test_a_name_means_its_instrument_among_others(
    row: dict[str, Any], underlying: dict[str, Any] | None, name: str
) -> None:
    below = None if underlying is None else naming.named(from_definition(underlying), None)
    assert fits(name, naming.named(from_definition(row), below))


def test_what_is_described_no_more_goes_by_ibkrs_words_and_its_conid() -> None:
    gone = undescribed(77, "MES DEC23")
    assert gone.symbol == "MES DEC23 #77"
    assert fits("MES", gone)
    assert fits(gone.symbol, gone)
    assert not fits("AAPL", gone)


def test_names_of_one_answer_tell_their_instruments_apart() -> None:
    index = naming.named(from_definition(definition("IND", "SPX", "CBOE")), None)
    whole = from_definition(option("SPX", conid=5), "SPX")
    weekly, standard, other = (
        naming.named(replace(whole, conid=conid, trading_class=tclass), index)
        for conid, tclass in ((5, "SPXW"), (6, "SPX"), (7, ""))
    )
    names = [contract.symbol for contract in naming.distinct([standard, other, weekly])]
    assert names == ["SPX 20261218 C 280 SPX x100", "SPX 20261218 C 280 x100", "SPX 20261218 C 280 SPXW"]
    same = naming.distinct([other, replace(other, conid=8)])
    assert [contract.symbol for contract in same] == ["SPX 20261218 C 280 x100 #7", "SPX 20261218 C 280 x100 #8"]


def test_futures_of_one_month_differ_by_multiplier() -> None:
    row = definition("FUT", "DAX", "EUREX", "EUR", expiry="20261218", fullName="DAX    DEC2026")
    sizes = [naming.named(from_definition(row | {"conid": size, "multiplier": size}), None) for size in (25, 5, 1)]
    assert [future.symbol for future in naming.distinct(sizes)] == [
        "DAX@EUREX 202612 x25",
        "DAX@EUREX 202612 x5",
        "DAX@EUREX 202612 x1",
    ]


def contract(kind: str, root: str, exchange: str, **more: Any) -> Contract:
    return Contract(more.pop("conid", 1), f"{root}@{exchange}", kind, exchange, "USD", f"{root} INC", root, **more)


@pytest.mark.parametrize(
    ("text", "kind", "root", "exchange", "meant"),
    [
        ("SAP", "STK", "SAP", "IBIS", True),
        ("SAP", "OPT", "SAP", "EUREX", True),
        ("SAP", "BOND", "SAP", "SMART", True),
        ("SAP@IBIS", "STK", "SAP", "IBIS", True),
        ("SAP.DE", "STK", "SAP", "IBIS2", True),
        ("SAP@IBIS", "STK", "SAP", "NYSE", False),
        ("SAP@IBIS", "OPT", "SAP", "EUREX", False),
        ("BRK.B", "STK", "BRK B", "NYSE", True),
        ("4391", "STK", "4391", "TSEJ", True),
        ("1", "STK", "AAPL", "NASDAQ", True),
        ("0700.HK", "STK", "700", "SEHK", True),
        ("BTC", "CRYPTO", "BTC", "PAXOS", True),
        ("BTC", "STK", "BTC", "ARCA", True),
        ("/ES", "FUT", "ES", "CME", True),
        ("/ES", "STK", "ES", "NYSE", False),
        ("AAPL CFD", "CFD", "AAPL", "SMART", True),
        ("AAPL CFD", "STK", "AAPL", "NASDAQ", False),
    ],
)
def test_a_bare_ticker_means_everything_on_that_name(
    text: str, kind: str, root: str, exchange: str, meant: bool
) -> None:
    assert fits(text, contract(kind, root, exchange)) is meant


def test_an_option_is_meant_by_its_terms() -> None:
    call = contract("OPT", "AAPL", "CBOE", expiry="20261218", right="C", strike=Decimal(280))
    assert fits("AAPL 20261218 C 280", call)
    assert fits("AAPL 202612 C 280", call)
    assert not fits("AAPL 20261218 P 280", call)
    assert not fits("/AAPL 20261218 C 280", call)


@pytest.mark.parametrize(
    ("text", "expiry", "month"),
    [
        ("CL     DEC2026", "20261119", "202612"),
        ("ES DEC26", "20261218", "202612"),
        ("MESM3", "20230616", "202306"),
        ("CLF0", "20291218", "203001"),
        ("CL Nov19'26", "20261119", ""),
        ("crude oil", "20261119", ""),
    ],
)
def test_the_contract_month_is_read_from_ibkrs_text_only(text: str, expiry: str, month: str) -> None:
    assert contract_month(text, expiry) == month
