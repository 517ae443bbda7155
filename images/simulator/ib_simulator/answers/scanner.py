"""The market scanner: what it can be asked, and its rankings over the world's instruments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ib_simulator.answers.quote import Quote
from ib_simulator.answers.refusals import as_amount, bad_request, body_of, failed
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.market import today

MAX_ROWS = 50

_INSTRUMENTS = {
    "STK": "US Stocks",
    "ETF.EQ.US": "US Equity ETFs",
    "ETF.FI.US": "US Fixed Income ETFs",
    "FUT.US": "US Futures",
    "IND.US": "US Indexes",
    "BOND": "Corporate Bonds",
    "STOCK.EU": "European Stocks",
}

_LOCATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "STK": (
        "US Stocks",
        {"STK.US.MAJOR": "Listed/NASDAQ", "STK.NYSE": "NYSE", "STK.NASDAQ": "NASDAQ", "STK.ARCA": "ARCA"},
    ),
    "ETF.EQ.US": ("US Equity ETFs", {"ETF.EQ.US.MAJOR": "Listed/NASDAQ"}),
    "ETF.FI.US": ("US Fixed Income ETFs", {"ETF.FI.US.MAJOR": "Listed/NASDAQ"}),
    "FUT.US": ("US Futures", {"FUT.CME": "CME", "FUT.CBOT": "CBOT", "FUT.NYMEX": "NYMEX", "FUT.COMEX": "COMEX"}),
    "IND.US": ("US Indexes", {"IND.US.MAJOR": "US Indexes"}),
    "BOND": ("Corporate Bonds", {"BOND.US": "US"}),
    "STOCK.EU": ("European Stocks", {"STK.EU.IBIS": "IBIS", "STK.EU.LSE": "LSE", "STK.EU.AEB": "AEB"}),
}

Rank = Callable[[Quote], float]


def _change(quote: Quote) -> float:
    return quote.last / quote.prior - 1 if quote.prior else 0.0


_SCANS: dict[str, tuple[str, str, Rank]] = {
    "TOP_PERC_GAIN": ("Top % Gainers", "Chg%", _change),
    "TOP_PERC_LOSE": ("Top % Losers", "Chg%", lambda quote: -_change(quote)),
    "MOST_ACTIVE": ("Most Active", "Volume", lambda quote: quote.volume),
    "MOST_ACTIVE_USD": ("Most Active (USD)", "Value", lambda quote: quote.volume * quote.last),
    "HOT_BY_VOLUME": ("Hot Contracts by Volume", "Volume", lambda quote: quote.volume * abs(_change(quote))),
    "HOT_BY_PRICE": ("Hot Contracts by Price", "Chg", lambda quote: abs(_change(quote))),
    "TOP_TRADE_COUNT": ("Top Trade Count", "Trades", lambda quote: quote.volume / 80),
    "TOP_TRADE_RATE": ("Top Trade Rate", "Trades/min", lambda quote: quote.volume / 8000),
    "TOP_OPEN_PERC_GAIN": ("Top % Gainers Since Open", "Chg%", lambda quote: _since_open(quote)),
    "TOP_OPEN_PERC_LOSE": ("Top % Losers Since Open", "Chg%", lambda quote: -_since_open(quote)),
    "HIGH_OPT_IMP_VOLAT": ("Highest Option Imp Vol", "Vol", lambda quote: quote.contract.volatility),
    "LOW_OPT_IMP_VOLAT": ("Lowest Option Imp Vol", "Vol", lambda quote: -quote.contract.volatility),
    "HIGH_DIVIDEND_YIELD_IB": ("High Dividend Yield", "Yield", lambda quote: quote.trait(286, 30)),
    "TOP_PRICE_RANGE": ("Top Price Range", "Range", lambda quote: _range(quote)),
    "HALTED": ("Halted", "", lambda quote: float(quote.contract.feed == "H")),
}
"""Name, column and what it ranks by, highest first."""


def _since_open(quote: Quote) -> float:
    return 0.0 if quote.day is None else quote.last / quote.day.open - 1


def _range(quote: Quote) -> float:
    return 0.0 if quote.day is None else quote.day.high - quote.day.low


_FILTERS: dict[str, tuple[str, Callable[[Quote, float], bool]]] = {
    "priceAbove": ("Price Above", lambda quote, value: quote.last >= value),
    "priceBelow": ("Price Below", lambda quote, value: quote.last <= value),
    "changePercAbove": ("Change % Above", lambda quote, value: _change(quote) * 100 >= value),
    "changePercBelow": ("Change % Below", lambda quote, value: _change(quote) * 100 <= value),
    "volumeAbove": ("Volume Above", lambda quote, value: quote.volume >= value),
    "usdPriceAbove": ("Price (USD) Above", lambda quote, value: quote.last >= value),
    "usdPriceBelow": ("Price (USD) Below", lambda quote, value: quote.last <= value),
    "impVolatAbove": ("Implied Volatility Above", lambda quote, value: quote.contract.volatility >= value),
    "impVolatBelow": ("Implied Volatility Below", lambda quote, value: quote.contract.volatility <= value),
    "marketCapAbove1e6": (
        "Market Cap Above (millions)",
        lambda quote, value: quote.last * (1 + quote.trait(289, 150)) * 100 >= value,
    ),
    "marketCapBelow1e6": (
        "Market Cap Below (millions)",
        lambda quote, value: quote.last * (1 + quote.trait(289, 150)) * 100 <= value,
    ),
}

_MORE_FILTERS = ("afterHoursChange", "avgOptVolume", "avgRating", "dividendYield", "growthRate", "optVolume", "peRatio")
"""Ranges that are listed and accepted, but leave every row in."""


@cache
def _parameters() -> dict[str, Any]:
    filters = [
        {"group": code, "display_name": title, "code": code, "type": "non-range"}
        for code, (title, _) in _FILTERS.items()
    ]
    for name in _MORE_FILTERS:
        title = "".join(f" {letter}" if letter.isupper() else letter for letter in name).title()
        filters += [
            {"group": f"{name}{side}", "display_name": f"{title} {side}", "code": f"{name}{side}", "type": "non-range"}
            for side in ("Above", "Below")
        ]
    codes = [row["code"] for row in filters]
    return {
        "scan_type_list": [
            {"display_name": title, "code": code, "instruments": list(_INSTRUMENTS)}
            for code, (title, _, _) in _SCANS.items()
        ],
        "instrument_list": [
            {"display_name": title, "type": kind, "filters": codes} for kind, title in _INSTRUMENTS.items()
        ],
        "filter_list": filters,
        "location_tree": [
            {
                "display_name": title,
                "type": kind,
                "locations": [
                    {"display_name": name, "type": code, "locations": []} for code, name in locations.items()
                ],
            }
            for kind, (title, locations) in _LOCATIONS.items()
        ],
    }


def get_scanner_parameters(world: World, call: Call) -> Answer:
    return Answer(_parameters())


def run_scanner(world: World, call: Call) -> Answer:
    body = body_of(call)
    for name in ("instrument", "type", "location"):
        if not isinstance(body.get(name), str):
            raise bad_request(f"{name} is missing")
    scan = _SCANS.get(str(body["type"]))
    instrument, location = str(body["instrument"]), str(body["location"])
    if scan is None or instrument not in _INSTRUMENTS or location not in _LOCATIONS[instrument][1]:
        raise failed("Scanner is not available")
    quotes = [Quote(world, contract, call.now) for contract in _candidates(world, instrument, location, call.now)]
    for test, value in _tests(body.get("filter", [])):
        quotes = [quote for quote in quotes if test(quote, value)]
    _, column, rank = scan
    if body["type"] == "HALTED":
        quotes = [quote for quote in quotes if quote.contract.feed == "H"]
    quotes.sort(key=rank, reverse=True)
    rows = [_row(place, quote.contract) for place, quote in enumerate(quotes[:MAX_ROWS])]
    if rows:
        rows[0]["column_name"] = column
    return Answer({"contracts": rows, "scan_data_column_name": column})


def _tests(filters: Any) -> list[tuple[Callable[[Quote, float], bool], float]]:
    if not isinstance(filters, list):
        raise bad_request("filter must be an array")
    tests = []
    for row in filters:
        code = str(row.get("code")) if isinstance(row, dict) else ""
        known = code in _FILTERS or code.removesuffix("Above").removesuffix("Below") in _MORE_FILTERS
        value = as_amount(row.get("value")) if known else None
        if value is None:
            raise bad_request(f"invalid filter {code[:40]}")
        if code in _FILTERS:
            tests.append((_FILTERS[code][1], value))
    return tests


def _candidates(world: World, instrument: str, location: str, now: float) -> list[Contract]:
    if instrument == "FUT.US":
        exchange = location.rpartition(".")[2]
        roots = [root for c in world.contracts for root in world.contracts.roots_of(c.conid)]
        return [world.contracts.futures(root, today(now))[0] for root in roots if root.exchange == exchange]
    found = []
    for contract in world.contracts:
        fits = {
            "STK": contract.kind == "STK" and contract.is_us,
            "ETF.EQ.US": contract.group == "Equity Fund",
            "ETF.FI.US": contract.group == "Debt Fund",
            "IND.US": contract.kind == "IND" and contract.exchange in {"CBOE", "NASDAQ"},
            "BOND": contract.kind == "BOND",
            "STOCK.EU": contract.kind == "STK" and contract.exchange == location.rpartition(".")[2],
        }[instrument]
        if location in {"STK.NYSE", "STK.NASDAQ", "STK.ARCA"}:
            fits = fits and contract.exchange == location.partition(".")[2]
        if fits:
            found.append(contract)
    return found


def _row(place: int, contract: Contract) -> dict[str, Any]:
    return {
        "server_id": str(place),
        "symbol": contract.symbol,
        "conidex": str(contract.conid),
        "con_id": contract.conid,
        "available_chart_periods": "#R|1",
        "company_name": contract.name,
        "contract_description_1": contract.description,
        "listing_exchange": "NASDAQ.NMS" if contract.exchange == "NASDAQ" else contract.exchange,
        "sec_type": contract.kind,
    }


ANSWERS = {
    "get_scanner_parameters": get_scanner_parameters,
    "run_scanner": run_scanner,
}
