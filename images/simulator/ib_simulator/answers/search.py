"""Contract search by symbol or name, which also opens the way to strikes and derivatives in this session."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import bad_request, body_of
from ib_simulator.call import Answer, Call, Memory
from ib_simulator.world import World
from ib_simulator.world.contract import Contract, month_name
from ib_simulator.world.market import today

MAX_RESULTS = 30
_IN_SECTIONS = frozenset({"BOND", "BILL", "CFD", "WAR", "IOPT"})
"""Classes that a search shows within the row of their issuer or underlying."""


def search_contracts(world: World, call: Call) -> Answer:
    return _search(world, call, {name: str(value) for name, value in call.query.items()})


def search_contracts_by_body(world: World, call: Call) -> Answer:
    return _search(world, call, {name: str(value) for name, value in body_of(call).items()})


def _search(world: World, call: Call, asked: dict[str, str]) -> Answer:
    symbol = asked.get("symbol", "").strip()
    if not symbol:
        raise bad_request("symbol is missing")
    by_name = asked.get("name", "").lower() == "true"
    kind = asked.get("secType", "").upper()
    if kind == "BOND":
        return Answer(_issuers(world, symbol))
    found = [c for c in _matches(world, symbol, by_name) if _is_kind(world, c, kind)]
    if not found:
        return Answer({"error": "No symbol found"})
    if not by_name:
        searched_of(call.memory).update(contract.conid for contract in found)
    rows = [_row(world, contract, call.now, short=by_name) for contract in found]
    if not by_name and not kind:
        rows += _issuers(world, symbol)
    return Answer(rows)


def searched_of(memory: Memory) -> set[int]:
    """Conids of the underlyings that were searched in this session."""
    searched: set[int] = memory.notes.setdefault("searched", set())
    return searched


def _matches(world: World, text: str, by_name: bool) -> list[Contract]:
    if by_name:
        words = text.upper()
        return [c for c in world.contracts if c.kind not in _IN_SECTIONS and words in c.name.upper()][:MAX_RESULTS]
    symbol, _, currency = text.upper().partition(".")
    exact = [c for c in world.contracts.of_symbol(text.upper()) if c.kind not in _IN_SECTIONS]
    exact = exact or [c for c in world.contracts.of_identifier(text.upper()) if c.kind not in _IN_SECTIONS]
    if not exact and currency:
        exact = [c for c in world.contracts.of_symbol(symbol) if c.kind == "CASH" and c.currency == currency]
    return exact


def _is_kind(world: World, contract: Contract, kind: str) -> bool:
    if not kind or contract.kind == kind:
        return True
    if kind == "FUT":
        return bool(world.contracts.roots_of(contract.conid))
    if kind in {"WAR", "IOPT", "CFD"}:
        return bool(world.contracts.derived_on(contract.conid, kind))
    return kind in {"OPT", "FOP"} and contract.strike_step > 0


def _row(world: World, contract: Contract, now: float, *, short: bool) -> dict[str, Any]:
    roots = world.contracts.roots_of(contract.conid)
    row = {
        "conid": str(contract.conid),
        "companyHeader": f"{contract.name} - {contract.exchange}",
        "companyName": contract.name,
        "symbol": contract.symbol,
        "description": contract.exchange,
        "restricted": None,
    }
    if short:
        return row | {"sections": [{"secType": contract.kind}]}
    sections: list[dict[str, Any]] = [{"secType": contract.kind, "exchange": f"SMART;{contract.exchange}"}]
    day = today(now)
    if roots:
        months = ";".join(dict.fromkeys(future.month for future in world.contracts.futures_on(contract.conid, day)))
        sections.append({"secType": "FUT", "months": months, "exchange": roots[0].exchange})
    if contract.strike_step:
        listed = [world.contracts.option_month(contract, expiry) for expiry in world.contracts.expiries(contract, day)]
        months = ";".join(dict.fromkeys(month_name(first) for first in listed))
        exchange = contract.exchange if roots else "SMART;CBOE"
        sections.append({"secType": world.contracts.option_kind(contract), "months": months, "exchange": exchange})
    for kind in ("WAR", "IOPT"):
        derived = world.contracts.derived_on(contract.conid, kind)
        if derived:
            months = ";".join(dict.fromkeys(warrant.month for warrant in derived))
            sections.append({"secType": kind, "months": months, "exchange": derived[0].exchange})
    cfds = world.contracts.derived_on(contract.conid, "CFD")
    sections += [{"secType": "CFD", "exchange": cfd.exchange, "conid": str(cfd.conid)} for cfd in cfds]
    if contract.kind == "STK" and contract.strike_step:
        sections.append({"secType": "BAG"})
    return row | {"sections": sections}


def _issuers(world: World, symbol: str) -> list[dict[str, Any]]:
    bonds = [c for c in world.contracts.of_symbol(symbol.upper()) if c.is_debt]
    issuers = {bond.issuer_id: bond.name for bond in bonds}
    if not issuers:
        return []
    return [
        {
            "issuers": [{"id": issuer_id, "name": name} for issuer_id, name in issuers.items()],
            "bondid": 3,
            "conid": "2147483647",
            "companyHeader": "Corporate Fixed Income",
            "companyName": None,
            "symbol": None,
            "description": None,
            "restricted": None,
            "sections": [{"secType": "BOND"}],
        }
    ]


ANSWERS = {
    "search_contracts": search_contracts,
    "search_contracts_by_body": search_contracts_by_body,
}
