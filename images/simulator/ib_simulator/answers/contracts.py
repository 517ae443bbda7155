"""One contract: its details, order rules and algorithms; currencies and their rates."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.derivatives import short_text, valid_exchanges
from ib_simulator.answers.refusals import as_conid, bad_request, body_of, known, required, unavailable
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.contract import Contract

_TYPES = ["limit", "market", "stop", "stop_limit", "mit", "lit", "trailing_stop", "trailing_stop_limit", "relative"]
_STOCK_TYPES = [*_TYPES, "midprice", "marketonclose", "limitonclose"]

_TICKET_TYPES = {
    "limit": "LMT",
    "market": "MKT",
    "stop": "STP",
    "stop_limit": "STOP_LIMIT",
    "mit": "MIT",
    "lit": "LIT",
    "trailing_stop": "TRAIL",
    "trailing_stop_limit": "TRAILLMT",
    "relative": "REL",
    "midprice": "MIDPRICE",
    "marketonclose": "MOC",
    "limitonclose": "LOC",
}


def order_types(contract: Contract, *, combination: bool = False) -> set[str]:
    """What tickets for ``contract`` may name as order type; of a ``combination`` few."""
    if combination:
        return {"LMT", "MKT"}
    return {_TICKET_TYPES[name] for name in (_STOCK_TYPES if contract.kind == "STK" else _TYPES)}


def fraction_digits(contract: Contract) -> int:
    """Digits after the point that a quantity may have."""
    if contract.kind == "STK":
        return 4 if contract.is_us else 0
    return {"CRYPTO": 8, "FUND": 3, "CASH": 2}.get(contract.kind, 0)


def _contract(world: World, call: Call) -> Contract:
    return known(world, as_conid(call.path["conid"]))


def _info(contract: Contract) -> dict[str, Any]:
    right = {"C": "CALL", "P": "PUT"}.get(contract.right)
    expiry = None if contract.expiry is None else f"{contract.expiry:%Y%m%d}"
    return {
        "cfi_code": f"O{contract.right}XXXS" if contract.right else "",
        "symbol": contract.symbol,
        "cusip": contract.cusip or None,
        "expiry_full": expiry,
        "con_id": contract.conid,
        "maturity_date": expiry,
        "industry": contract.sector or None,
        "instrument_type": contract.kind,
        "trading_class": contract.trading_class,
        "valid_exchanges": valid_exchanges(contract),
        "allow_sell_long": False,
        "is_zero_commission_security": False,
        "local_symbol": contract.description,
        "contract_clarification_type": None,
        "classifier": None,
        "currency": contract.currency,
        "text": short_text(contract),
        "underlying_con_id": contract.future or contract.underlying,
        "r_t_h": contract.kind == "STK",
        "multiplier": f"{contract.multiplier:g}" if contract.is_derivative else None,
        "underlying_issuer": None,
        "contract_month": None if contract.expiry is None else f"{contract.delivery or contract.expiry:%Y%m}",
        "company_name": contract.name,
        "smart_available": contract.kind in {"STK", "OPT"},
        "exchange": "SMART" if contract.kind in {"STK", "OPT"} else contract.exchange,
        "category": contract.group or None,
        **({"right": right, "strike": f"{contract.strike:g}"} if right else {}),
    }


def get_contract_info(world: World, call: Call) -> Answer:
    return Answer(_info(_contract(world, call)))


def get_contract_info_and_rules(world: World, call: Call) -> Answer:
    contract = _contract(world, call)
    buys = call.query.get("isBuy", "true").lower() != "false"
    return Answer(_info(contract) | {"rules": _rules(world, contract, call.now, buys=buys)})


def get_contract_rules(world: World, call: Call) -> Answer:
    body = body_of(call)
    if "conid" not in body:
        raise bad_request("conid is missing")
    contract = known(world, as_conid(body["conid"]))
    if body.get("modifyOrder") and not body.get("orderId"):
        raise bad_request("orderId is missing")
    return Answer(_rules(world, contract, call.now, buys=bool(body.get("isBuy", True))))


def _rules(world: World, contract: Contract, now: float, *, buys: bool) -> dict[str, Any]:
    is_stock = contract.kind == "STK"
    bid, ask = world.market.spread(contract, world.market.price(contract, now))
    price = contract.quoted(ask if buys else bid)
    size: float = 100 if is_stock else 20_000 if contract.kind == "CASH" else 1
    digits = fraction_digits(contract)
    increment = 10.0**-digits if contract.kind in {"CRYPTO", "FUND"} else size
    account = world.accounts[0].id
    return {
        "algoEligible": is_stock or bool(contract.right),
        "overnightEligible": is_stock and contract.is_us,
        "costReport": False,
        "canTradeAcctIds": [account.id for account in world.accounts],
        "error": "No trading permission" if contract.kind == "IND" else None,
        "orderTypes": [] if contract.kind == "IND" else _STOCK_TYPES if is_stock else _TYPES,
        "ibAlgoTypes": ["limit", "stop_limit", "lit", "trailing_stop_limit", "relative"] if is_stock else [],
        "fraqTypes": _TYPES if digits else [],
        "forceOrderPreview": False,
        "cqtTypes": _TYPES if is_stock or contract.kind in {"CASH", "CRYPTO"} else [],
        "orderDefaults": {"LMT": {"LP": f"{price:.{contract.quoted_decimals}f}"}},
        "orderTypesOutside": ["limit", "stop_limit", "lit", "trailing_stop_limit", "relative"] if is_stock else [],
        "defaultSize": size,
        "cashSize": 0.0,
        "sizeIncrement": increment,
        "tifTypes": ["IOC/MARKET,LIMIT,RELATIVE,a", "GTC/o,a", "OPG/LIMIT,MARKET,a", "GTD/o,a", "DAY/o,a"],
        "tifDefaults": {"TIF": "DAY", "SIZE": f"{size:.2f}", "DEFAULT_ACCT": account, "PMALGO": is_stock},
        "limitPrice": price,
        "stopprice": price,
        "orderOrigination": None,
        "preview": True,
        "displaySize": None,
        "fraqInt": digits,
        "cashCcy": contract.currency,
        "cashQtyIncr": 500 if is_stock else None,
        "priceMagnifier": contract.magnifier if contract.magnifier > 1 else None,
        "negativeCapable": False,
        "incrementType": 1,
        "incrementRules": [{"lowerEdge": 0.0, "increment": contract.quoted(contract.tick)}],
        "hasSecondary": True,
        "modTypes": [],
        "increment": contract.quoted(contract.tick),
        "incrementDigits": contract.quoted_decimals,
    }


ALGOS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "Adaptive": ("Adaptive", [("adaptivePriority", "Adaptive order priority/urgency", "String")]),
    "ArrivalPx": (
        "Arrival Price",
        [("riskAversion", "Urgency", "String"), ("startTime", "Start", "Time")],
    ),
    "ClosePx": ("Close Price", [("maxPctVol", "Max Percentage", "Double")]),
    "DarkIce": ("DarkIce", [("displaySize", "Display size", "Integer")]),
    "PctVol": ("Percentage of Volume", [("pctVol", "Target Percentage", "Double")]),
    "Twap": ("TWAP", [("startTime", "Start Time", "Time"), ("endTime", "End Time", "Time")]),
    "Vwap": ("VWAP", [("maxPctVol", "Max Percentage", "Double"), ("noTakeLiq", "Passive only", "Boolean")]),
}


def list_contract_algos(world: World, call: Call) -> Answer:
    contract = world.contracts.get(as_conid(call.path["conid"]))
    if contract is None:
        raise unavailable()
    wanted = [name for name in call.query.get("algos", "").split(";") if name]
    if len(wanted) > 8:
        raise bad_request("at most 8 algos")
    if not call.memory.seen["list_contract_algos"] or contract.kind != "STK":
        return Answer({"algos": []})
    return Answer({"algos": [_algo(name, call.query) for name in wanted or ALGOS if name in ALGOS]})


def _algo(name: str, query: dict[str, str]) -> dict[str, Any]:
    title, parameters = ALGOS[name]
    algo: dict[str, Any] = {"name": title, "id": name}
    if query.get("addDescription") == "1":
        algo["description"] = f"{title}: an order algorithm."
    if query.get("addParams") == "1":
        algo["parameters"] = [
            {"guiRank": rank, "id": key, "name": text, "required": "true", "valueClassName": kind}
            for rank, (key, text, kind) in enumerate(parameters, 1)
        ]
    return algo


def list_currency_pairs(world: World, call: Call) -> Answer:
    currency = required(call, "currency").upper()
    pairs = [c for c in world.contracts if c.kind == "CASH" and currency in {c.symbol, c.currency}]
    if not pairs:
        return Answer({})
    return Answer(
        {
            currency: [
                {
                    "symbol": f"{pair.symbol}.{pair.currency}",
                    "conid": pair.conid,
                    "ccyPair": pair.currency if pair.symbol == currency else pair.symbol,
                }
                for pair in pairs
            ]
        }
    )


def get_exchange_rate(world: World, call: Call) -> Answer:
    source, target = required(call, "source").upper(), required(call, "target").upper()
    rate = world.market.rate(source, target, call.now)
    if not rate:
        raise bad_request("invalid currency")
    return Answer({"rate": round(rate, 8)})


ANSWERS = {
    "get_contract_info": get_contract_info,
    "get_contract_info_and_rules": get_contract_info_and_rules,
    "get_contract_rules": get_contract_rules,
    "list_contract_algos": list_contract_algos,
    "list_currency_pairs": list_currency_pairs,
    "get_exchange_rate": get_exchange_rate,
}
