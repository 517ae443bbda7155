"""Accounts and positions as the portal sees them: ``/portfolio``, readable without a brokerage session."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import account_of, as_conid, as_number, bad_request
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.valuation import Valued


def account_row(account: Account, *, faclient: bool = False) -> dict[str, Any]:
    return {
        "id": account.id,
        "PrepaidCrypto-Z": False,
        "PrepaidCrypto-P": False,
        "brokerageAccess": True,
        "accountId": account.id,
        "accountVan": account.id,
        "accountTitle": account.title,
        "displayName": account.alias or account.title,
        "accountAlias": account.alias or None,
        "accountStatus": 1577854800000,
        "currency": account.currency,
        "type": account.type,
        "tradingType": account.trading_type,
        "businessType": "INDEPENDENT",
        "category": "",
        "ibEntity": "IB-IE" if account.currency == "EUR" else "IBLLC-US",
        "faclient": faclient,
        "clearingStatus": "O",
        "covestor": False,
        "noClientTrading": False,
        "trackVirtualFXPortfolio": True,
        "acctCustType": "INDIVIDUAL",
        "parent": {"mmc": [], "accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
        "desc": account.id,
    }


def list_portfolio_accounts(world: World, call: Call) -> Answer:
    return Answer([account_row(account, faclient=bool(world.groups)) for account in world.accounts])


def list_subaccounts_by_page(world: World, call: Call) -> Answer:
    page = _page(call.query.get("page", "0"))
    rows = [account_row(account, faclient=bool(world.groups)) for account in world.accounts]
    return Answer(
        {
            "metadata": {"total": len(rows), "pageSize": 20, "pageNum": page},
            "subaccounts": rows[page * 20 : page * 20 + 20],
        }
    )


def get_account_meta(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    return Answer(account_row(account) if listed_accounts(call) else {})


def _page(text: str) -> int:
    page = as_number(text)
    if page is None:
        raise bad_request("page must be a number from 0")
    return page


def position_row(account: Account, row: Valued, *, detailed: bool = True, page: int = 100) -> dict[str, Any]:
    """One position; the portal leaves the contract out until it has loaded it."""
    contract, rate = row.holding.contract, row.rate
    paid = row.holding.cost * (contract.multiplier if contract.is_derivative else 1.0)
    figures: dict[str, Any] = {
        "acctId": account.id,
        "conid": contract.conid,
        "contractDesc": contract.description,
        "position": row.holding.quantity,
        "mktPrice": row.price,
        "mktValue": round(row.value, 2),
        "currency": contract.currency,
        "avgCost": round(paid, 4),
        "avgPrice": row.holding.cost,
        "realizedPnl": round(row.realized, 2),
        "unrealizedPnl": round(row.unrealized, 2),
        "exchs": None,
        "expiry": None if contract.expiry is None else f"{contract.expiry:%Y%m%d}",
        "putOrCall": contract.right or None,
        "multiplier": contract.multiplier if contract.multiplier != 1.0 else None,
        "strike": f"{contract.strike:g}",
        "exerciseStyle": "A" if contract.right else None,
        "conExchMap": [],
        "assetClass": contract.kind,
        "undConid": contract.future or contract.underlying,
        "model": row.holding.model,
        "baseMktValue": round(row.value * rate, 2),
        "baseMktPrice": round(row.price * rate, 6),
        "baseAvgCost": round(paid * rate, 4),
        "baseAvgPrice": round(row.holding.cost * rate, 6),
        "baseRealizedPnl": round(row.realized * rate, 2),
        "baseUnrealizedPnl": round(row.unrealized * rate, 2),
    }
    if not detailed:
        return figures
    return figures | {
        "incrementRules": [{"lowerEdge": 0.0, "increment": contract.tick}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [{"decimalDigits": contract.decimals, "lowerEdge": 0.0, "wholeDigits": 4}],
        },
        "crossCurrency": contract.kind == "CASH",
        "time": 12,
        "chineseName": contract.name,
        "allExchanges": contract.exchange,
        "listingExchange": contract.exchange,
        "countryCode": "US" if contract.is_us else "",
        "name": contract.name,
        "lastTradingDay": None if contract.expiry is None else f"{contract.expiry:%Y%m%d}",
        "group": contract.group or None,
        "sector": contract.sector or None,
        "sectorGroup": contract.group or None,
        "ticker": contract.symbol,
        "type": "COMMON" if contract.kind == "STK" else "",
        "hasOptions": contract.strike_step > 0,
        "fullName": contract.description,
        "isEventContract": False,
        "pageSize": page,
        "isUS": contract.is_us,
    }


def listed_accounts(call: Call) -> bool:
    """Whether the portal knows this session's accounts; before that it answers empty."""
    seen = call.memory.seen
    return bool(seen["list_portfolio_accounts"] or seen["list_subaccounts"] or seen["list_subaccounts_by_page"])


def _rows(world: World, call: Call, account: Account) -> tuple[Valued, ...]:
    """Positions as of the portal's cache; none before the accounts were listed, as live."""
    if not listed_accounts(call):
        return ()
    return world.cached_valuation(account, call.now).rows


_SORTS = {
    "position": lambda row: row.holding.quantity,
    "mktValue": lambda row: row.value,
    "mktPrice": lambda row: row.price,
    "unrealizedPnl": lambda row: row.unrealized,
    "conid": lambda row: row.holding.contract.conid,
    "ticker": lambda row: row.holding.contract.symbol,
}


def list_positions(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    size = world.positions_page
    rows = list(_rows(world, call, account))
    key = _SORTS.get(call.query.get("sort", ""))
    if key is not None:
        rows.sort(key=key, reverse=call.query.get("direction") == "d")
    page = _page(call.path["pageId"])
    if world.pages_repeat:
        page = min(page, max(0, len(rows) - 1) // size)
    return Answer([position_row(account, row, page=size) for row in rows[page * size : (page + 1) * size]])


def list_fresh_positions(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    return Answer(
        [
            {
                "position": row.holding.quantity,
                "conid": str(row.holding.contract.conid),
                "avgCost": row.holding.cost,
                "avgPrice": row.holding.cost,
                "currency": row.holding.contract.currency,
                "description": row.holding.contract.description,
                "isLastToLoq": False,
                "marketPrice": row.price,
                "marketValue": round(row.value, 2),
                "realizedPnl": round(row.realized, 2),
                "secType": row.holding.contract.kind,
                "timestamp": int(call.now),
                "unrealizedPnl": round(row.unrealized, 2),
                "assetClass": row.holding.contract.kind,
                "sector": row.holding.contract.sector,
                "group": row.holding.contract.group,
                "model": row.holding.model,
            }
            for row in (world.valuation(account, call.now).rows if listed_accounts(call) else ())
        ]
    )


def get_position(world: World, call: Call) -> Answer:
    account, conid = account_of(world, call), as_conid(call.path["conid"])
    detailed = call.memory.seen["get_position"] > 0
    return Answer(
        [
            position_row(account, row, detailed=detailed)
            for row in _rows(world, call, account)
            if row.holding.contract.conid == conid
        ]
    )


def list_positions_in_contract(world: World, call: Call) -> Answer:
    conid = as_conid(call.path["conid"])
    found = {
        account.id: [
            position_row(account, row) for row in _rows(world, call, account) if row.holding.contract.conid == conid
        ]
        for account in world.accounts
    }
    return Answer({account_id: rows for account_id, rows in found.items() if rows})


def refresh_positions(world: World, call: Call) -> Answer:
    world.forget_cached_valuation(account_of(world, call))
    return Answer({"message": "success"})


ANSWERS = {
    "list_portfolio_accounts": list_portfolio_accounts,
    "list_subaccounts": list_portfolio_accounts,
    "list_subaccounts_by_page": list_subaccounts_by_page,
    "get_account_meta": get_account_meta,
    "list_positions": list_positions,
    "list_fresh_positions": list_fresh_positions,
    "get_position": get_position,
    "list_positions_in_contract": list_positions_in_contract,
    "refresh_positions": refresh_positions,
}
