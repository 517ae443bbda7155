"""Event contracts: categories, markets and their contracts."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import conid_in, failed
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.forecast import CATEGORIES, QUESTIONS, Question, conid_of, decode, expiries
from ib_simulator.world.market import today

_STRIKES_EACH_SIDE = 4


def list_forecast_categories(world: World, call: Call) -> Answer:
    tree: dict[str, Any] = {}
    for category, (name, parent) in CATEGORIES.items():
        markets = [_market(world, question) for question in QUESTIONS if question.category == category]
        tree[category] = {"name": name}
        if parent:
            tree[category]["parent_id"] = parent
        if markets:
            tree[category]["markets"] = markets
    return Answer({"categories": tree})


def _market(world: World, question: Question) -> dict[str, Any]:
    return {
        "name": world.contracts[question.underlying].name,
        "symbol": question.symbol,
        "exchange": "FORECASTX",
        "conid": question.underlying,
        "product_conid": question.product,
    }


def list_forecast_market_contracts(world: World, call: Call) -> Answer:
    conid = conid_in(call, "underlyingConid")
    question = next((question for question in QUESTIONS if question.underlying == conid), None)
    if question is None:
        raise failed("Market not found", 404)
    row = world.contracts[conid]
    middle = round(world.market.price(row, call.now) / question.step)
    contracts = []
    for expiry in expiries(today(call.now)):
        for steps in range(middle - _STRIKES_EACH_SIDE, middle + _STRIKES_EACH_SIDE + 1):
            strike = round(steps * question.step, 3)
            contracts += [
                {
                    "conid": conid_of(question, expiry, strike, right),
                    "side": side,
                    "expiration": f"{expiry:%Y%m%d}",
                    "strike": strike,
                    "strike_label": f"Above {strike:g}{question.unit}",
                    "expiry_label": f"{expiry:%B %Y}",
                    "underlying_conid": conid,
                    "time_specifier": f"{expiry:%Y.%m.%d}",
                }
                for right, side in (("C", "Y"), ("P", "N"))
            ]
    return Answer(
        {
            "market_name": row.name,
            "exchange": "FORECASTX",
            "symbol": question.symbol,
            "logo_category": question.category,
            "exclude_historical_data": False,
            "payout": 1.0,
            "contracts": contracts,
        }
    )


def _event(world: World, call: Call) -> tuple[Contract, Question]:
    conid = conid_in(call)
    contract, found = world.contracts.get(conid), decode(conid)
    if contract is None or found is None:
        raise failed("Contract not found", 404)
    return contract, found[0]


def get_forecast_contract(world: World, call: Call) -> Answer:
    contract, question = _event(world, call)
    expiry = contract.expiry
    assert expiry is not None
    label = f"{contract.strike:g}{question.unit}"
    return Answer(
        {
            "conid_yes": conid_of(question, expiry, contract.strike, "C"),
            "conid_no": conid_of(question, expiry, contract.strike, "P"),
            "question": question.text.format(strike=label, period=f"{expiry:%B %Y}"),
            "side": "Y" if contract.right == "C" else "N",
            "strike_label": f"Above {label}",
            "strike": contract.strike,
            "exchange": "FORECASTX",
            "expiration": f"{expiry:%Y%m%d}",
            "symbol": question.symbol,
            "category": CATEGORIES[question.category][1] or question.category,
            "logo_category": question.category,
            "measured_period": f"{expiry:%b%d}'{expiry:%y}",
            "market_name": contract.name,
            "underlying_conid": question.underlying,
            "payout": 1.0,
        }
    )


def get_forecast_contract_rules(world: World, call: Call) -> Answer:
    contract, question = _event(world, call)
    expiry = contract.expiry
    assert expiry is not None
    end = int(contract.expires_at)
    return Answer(
        {
            "asset_class": "OPT",
            "market_name": contract.name,
            "measured_period": f"{expiry:%b%d}'{expiry:%y}",
            "threshold": f"{contract.strike:g}",
            "source_agency": question.agency,
            "data_and_resolution_link": "https://example.com/data",
            "market_rules_link": "https://example.com/rules",
            "description": f"Pays one dollar when the published number is above the strike ({contract.name}).",
            "last_trade_time": end,
            "release_time": end,
            "payout_time": end + 86_400,
            "product_code": question.symbol,
            "payout": "$1.00",
            "price_increment": "$0.01",
            "exchange_timezone": "US/Central",
        }
    )


def get_forecast_contract_schedule(world: World, call: Call) -> Answer:
    _event(world, call)
    times = [{"open": "12:00 AM", "close": "4:00 PM"}, {"open": "4:15 PM", "close": "11:59 PM"}]
    days = ("Saturday", "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    return Answer(
        {
            "timezone": "US/Central",
            "trading_schedules": [{"day_of_week": day, "trading_times": times} for day in days],
        }
    )


ANSWERS = {
    "list_forecast_categories": list_forecast_categories,
    "list_forecast_market_contracts": list_forecast_market_contracts,
    "get_forecast_contract": get_forecast_contract,
    "get_forecast_contract_rules": get_forecast_contract_rules,
    "get_forecast_contract_schedule": get_forecast_contract_schedule,
}
