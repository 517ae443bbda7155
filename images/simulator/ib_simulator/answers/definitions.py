"""Security definitions without a brokerage session: ``/trsrv``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ib_simulator.answers.derivatives import valid_exchanges
from ib_simulator.answers.refusals import as_conid, bad_request, required
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.market import today

MAX_CONIDS = 200


def search_stocks(world: World, call: Call) -> Answer:
    symbols = [symbol for symbol in required(call, "symbols").split(",") if symbol]
    return Answer({symbol: _companies(world, symbol) for symbol in symbols})


def _companies(world: World, symbol: str) -> list[dict[str, Any]]:
    """Listings grouped by company; lower-case symbols are unknown, as live."""
    listings = [contract for contract in world.contracts.of_symbol(symbol) if contract.kind == "STK"]
    names = dict.fromkeys(contract.name for contract in listings)
    return [
        {
            "name": name,
            "chineseName": None,
            "assetClass": "STK",
            "contracts": [
                {"conid": contract.conid, "exchange": contract.exchange, "isUS": contract.is_us}
                for contract in listings
                if contract.name == name
            ],
        }
        for name in names
    ]


def list_futures(world: World, call: Call) -> Answer:
    symbols = [symbol for symbol in required(call, "symbols").upper().split(",") if symbol]
    exchange = call.query.get("exchange", "").upper()
    found: dict[str, list[dict[str, Any]]] = {}
    for symbol in symbols:
        futures = [
            future
            for row in world.contracts.of_symbol(symbol)
            for future in world.contracts.futures_on(row.conid, today(call.now))
            if exchange in {"", future.exchange}
        ]
        if futures:
            found[symbol] = [_future(future) for future in futures]
    return Answer(found)


def _future(contract: Contract) -> dict[str, Any]:
    expiry = contract.expiry
    assert expiry is not None
    before = int(f"{expiry - timedelta(days=1):%Y%m%d}")
    return {
        "symbol": contract.symbol,
        "conid": contract.conid,
        "underlyingConid": contract.underlying,
        "expirationDate": int(f"{expiry:%Y%m%d}"),
        "ltd": before,
        "shortFuturesCutOff": before,
        "longFuturesCutOff": before,
    }


def get_security_definitions(world: World, call: Call) -> Answer:
    conids = [as_conid(conid) for conid in required(call, "conids").split(",") if conid]
    if len(conids) > MAX_CONIDS:
        raise bad_request(f"at most {MAX_CONIDS} conids")
    found = [contract for conid in conids if (contract := world.contracts.get(conid))]
    found = [contract for contract in found if not contract.expires_at or contract.expires_at >= call.now]
    return Answer({"secdef": [definition(contract) for contract in found]})


def definition(contract: Contract) -> dict[str, Any]:
    expiry = None if contract.expiry is None else f"{contract.expiry:%Y%m%d}"
    return {
        "incrementRules": [{"lowerEdge": 0.0, "increment": contract.tick}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [{"decimalDigits": contract.decimals, "lowerEdge": 0.0, "wholeDigits": 4}],
        },
        "conid": contract.conid,
        "currency": contract.currency,
        "time": 43,
        "chineseName": None,
        "allExchanges": valid_exchanges(contract),
        "listingExchange": contract.exchange,
        "countryCode": "US" if contract.is_us else None,
        "name": contract.name,
        "assetClass": contract.kind,
        "expiry": expiry,
        "lastTradingDay": expiry,
        "group": contract.group or None,
        "putOrCall": contract.right or None,
        "sector": contract.sector or None,
        "sectorGroup": contract.group or None,
        "strike": f"{contract.strike:g}",
        "ticker": contract.symbol,
        "undConid": contract.future or contract.underlying,
        "multiplier": contract.multiplier if contract.is_derivative else 0.0,
        "type": "COMMON" if contract.kind == "STK" else "",
        "hasOptions": contract.strike_step > 0,
        "fullName": contract.description,
        "isUS": contract.is_us,
        "isEventContract": contract.exchange == "FORECASTX",
        "pageSize": 100,
    }


def list_exchange_contracts(world: World, call: Call) -> Answer:
    exchange = required(call, "exchange").upper()
    return Answer(
        [
            {"ticker": contract.symbol, "conid": contract.conid, "exchange": contract.exchange}
            for contract in world.contracts
            if contract.kind == "STK" and contract.exchange == exchange
        ]
    )


ANSWERS = {
    "search_stocks": search_stocks,
    "list_futures": list_futures,
    "get_security_definitions": get_security_definitions,
    "list_exchange_contracts": list_exchange_contracts,
}
