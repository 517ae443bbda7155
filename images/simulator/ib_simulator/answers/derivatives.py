"""Strikes, derivatives and bonds: readable once their underlying was searched in this brokerage session."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from ib_simulator.answers.refusals import as_amount, bad_request, conid_in, required
from ib_simulator.answers.search import searched_of
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.contract import Contract, month_name, parse_month
from ib_simulator.world.market import today

_OPTIONS = frozenset({"OPT", "FOP", "WAR", "IOPT"})
_WARRANTS = frozenset({"WAR", "IOPT"})
_SIDES = ("call", "put")


def list_strikes(world: World, call: Call) -> Answer:
    conid, kind, month = conid_in(call), required(call, "sectype").upper(), required(call, "month").upper()
    if kind not in _OPTIONS:
        raise bad_request("invalid sectype")
    if parse_month(month) is None:
        raise bad_request("invalid month")
    underlying = world.contracts.get(conid)
    nothing = Answer({"call": [], "put": []})
    if kind in _WARRANTS and conid in searched_of(call.memory):
        listed = _warrants(world, conid, kind, month)
        return Answer({side: sorted({one.strike for one in listed if one.right == side[0].upper()}) for side in _SIDES})
    if underlying is None or conid not in searched_of(call.memory) or not underlying.strike_step:
        return nothing
    if kind != world.contracts.option_kind(underlying) or (kind == "FOP" and not call.query.get("exchange")):
        return nothing
    price = world.market.price(underlying, call.now)
    expiries = _expiries(world, underlying, month, call.now)
    if not expiries:
        return nothing
    strikes = world.contracts.strikes(underlying, price)
    return Answer({"call": strikes, "put": strikes})


def _expiries(world: World, underlying: Contract, month: str, now: float) -> list[date]:
    contracts = world.contracts
    days = contracts.expiries(underlying, today(now))
    return [day for day in days if month_name(contracts.option_month(underlying, day)) == month]


def _warrants(world: World, conid: int, kind: str, month: str) -> list[Contract]:
    return [warrant for warrant in world.contracts.derived_on(conid, kind) if warrant.month == month]


def get_derivative_contracts(world: World, call: Call) -> Answer:
    kind = required(call, "sectype").upper()
    if kind == "BOND":
        return Answer([_row(bond) for bond in _bonds(world, call.query.get("issuerId", ""))])
    conid = conid_in(call)
    contract = world.contracts.get(conid)
    if contract is None:
        return Answer([])
    if kind == contract.kind:
        return Answer([_row(contract)])
    if conid not in searched_of(call.memory):
        return Answer([])
    month = required(call, "month").upper()
    if parse_month(month) is None:
        raise bad_request("invalid month")
    if kind == "FUT":
        futures = world.contracts.futures_on(conid, today(call.now))
        return Answer([_row(future) for future in futures if future.month == month])
    if kind in _WARRANTS:
        return Answer([_row(warrant) for warrant in _warrants(world, conid, kind, month)])
    if kind not in _OPTIONS:
        raise bad_request("invalid sectype")
    return Answer([_row(option) for option in _options(world, call, contract, kind, month)])


def _options(world: World, call: Call, underlying: Contract, kind: str, month: str) -> list[Contract]:
    if not underlying.strike_step or kind != world.contracts.option_kind(underlying):
        return []
    right = call.query.get("right", "").upper()[:1]
    if right not in {"", "C", "P"}:
        raise bad_request("invalid right")
    price = world.market.price(underlying, call.now)
    possible = world.contracts.strikes(underlying, price)
    if "strike" in call.query:
        wanted = as_amount(call.query["strike"])
        if wanted is None:
            raise bad_request("invalid strike")
        possible = [strike for strike in possible if strike == wanted]
    elif kind != "FOP":
        raise bad_request("missing parameter strike")
    day = today(call.now)
    return [
        world.contracts.option(underlying, expiry, strike, side, series)
        for expiry in _expiries(world, underlying, month, call.now)
        for series in world.contracts.series(underlying, expiry, day)
        for strike in possible
        if world.contracts.is_listed(underlying, expiry, strike, day)
        for side in (right or "CP")
    ]


def valid_exchanges(contract: Contract) -> str:
    if contract.kind == "STK" and contract.is_us:
        return "SMART,AMEX,NYSE,CBOE,ISE,CHX,ARCA,NASDAQ,DRCTEDGE,BATS,EDGEA,BYX,IEX,EDGX,PEARL,MEMX"
    if contract.kind == "OPT" and contract.exchange != "FORECASTX":
        return "SMART,AMEX,CBOE,PHLX,ISE,BOX,BATS,NASDAQOM,CBOE2,EDGX,MIAX,PEARL,MEMX"
    return contract.exchange


def short_text(contract: Contract) -> str | None:
    """E.g. ``DEC18 '26 250 Call``."""
    if contract.expiry is None or contract.is_debt:
        return None
    month = f"{contract.expiry:%b%d} '{contract.expiry:%y}".upper()
    if not contract.right:
        return month
    return f"{month} {contract.strike:g} {'Call' if contract.right == 'C' else 'Put'}"


def _row(contract: Contract) -> dict[str, Any]:
    return {
        "conid": contract.conid,
        "symbol": contract.symbol,
        "ticker": contract.symbol,
        "secType": contract.kind,
        "listingExchange": contract.exchange,
        "exchange": "SMART" if contract.kind in {"STK", "OPT", "BOND"} else contract.exchange,
        "companyName": contract.name,
        "currency": contract.currency,
        "validExchanges": valid_exchanges(contract),
        "priceRendering": None,
        "maturityDate": None if contract.expiry is None else f"{contract.expiry:%Y%m%d}",
        "right": contract.right or "?",
        "strike": contract.strike,
        "multiplier": f"{contract.multiplier:g}" if contract.is_derivative else None,
        "tradingClass": contract.trading_class,
        "desc1": contract.symbol,
        "desc2": short_text(contract) if not contract.is_debt else contract.description,
        "showPrips": False,
    }


def _bonds(world: World, issuer_id: str) -> list[Contract]:
    if not issuer_id:
        raise bad_request("missing parameter issuerId")
    return [contract for contract in world.contracts if contract.is_debt and contract.issuer_id == issuer_id]


def list_bond_filters(world: World, call: Call) -> Answer:
    if required(call, "symbol").upper() != "BOND":
        raise bad_request("symbol must be BOND")
    bonds = _bonds(world, required(call, "issuerId"))
    maturities = sorted(bond.expiry for bond in bonds if bond.expiry is not None)
    issued = [day - timedelta(days=3650) for day in maturities]
    return Answer(
        {
            "bondFilters": [
                _filter("Maturity Date", 27, [(f"{day:%b %Y}", f"{day:%Y%m}") for day in maturities]),
                _filter("Issue Date", 28, [(f"{day:%b %d %Y}", f"{day:%Y%m%d}") for day in issued]),
                _filter("Coupon", 25, [(None, f"{coupon:g}") for coupon in sorted({bond.coupon for bond in bonds})]),
                _filter("Currency", 5, [(None, currency) for currency in sorted({bond.currency for bond in bonds})]),
            ]
        }
    )


def _filter(text: str, column: int, options: list[Any]) -> dict[str, Any]:
    values = [{"value": value} if label is None else {"text": label, "value": value} for label, value in options]
    return {"displayText": text, "columnId": column, "options": values}


ANSWERS = {
    "list_strikes": list_strikes,
    "get_derivative_contracts": get_derivative_contracts,
    "list_bond_filters": list_bond_filters,
}
