"""Ledger, summary and allocation of one account, as the portal shows them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ib_simulator.answers.portfolio import listed_accounts, position_row
from ib_simulator.answers.refusals import account_of, bad_request, body_of, failed
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.valuation import OWNED, Valuation


def get_ledger(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    if not listed_accounts(call):
        return Answer({})
    value = world.valuation(account, call.now)
    rows = {currency: _ledger_row(value, currency) for currency in sorted(value.currencies)}
    rows["BASE"] = _ledger_row(value, None)
    return Answer(rows)


def _ledger_row(value: Valuation, currency: str | None) -> dict[str, Any]:
    """One currency, or all of them in the base currency."""

    def total(*kinds: str, of: str = "value") -> float:
        return round(value.total(*kinds, currency=currency, of=of), 2)

    cash = round(value.cash if currency is None else value.account.cash.get(currency, 0.0), 2)
    worth = total(*OWNED) + total("CFD", of="unrealized")
    interest = round(value.accrued_interest(currency), 2)
    treasuries = round(value.treasuries(currency), 2)
    name = currency or "BASE"
    zero = dict.fromkeys(
        (
            "cashbalancefxsegment",
            "dividends",
            "moneyfunds",
        ),
        0.0,
    )
    return zero | {
        "acctcode": value.account.id,
        "currency": name,
        "key": "LedgerList",
        "secondkey": name,
        "cashbalance": cash,
        "settledcash": cash,
        "stockmarketvalue": total("STK"),
        "stockoptionmarketvalue": total("OPT"),
        "corporatebondsmarketvalue": round(total("BOND") - treasuries, 2),
        "tbondsmarketvalue": treasuries,
        "tbillsmarketvalue": total("BILL"),
        "funds": total("FUND"),
        "commoditymarketvalue": total("CMDTY"),
        "warrantsmarketvalue": total("WAR"),
        "issueroptionsmarketvalue": total("IOPT"),
        "interest": interest,
        "futuremarketvalue": total("FUT", of="unrealized"),
        "futureoptionmarketvalue": total("FOP"),
        "futuresonlypnl": total("FUT", of="unrealized"),
        "cryptocurrencyvalue": total("CRYPTO"),
        "unrealizedpnl": total(of="unrealized"),
        "realizedpnl": total(of="realized"),
        "netliquidationvalue": round(cash + worth + interest, 2),
        "exchangerate": 1.0 if currency is None else round(value.rates[currency], 6),
        "sessionid": 1,
        "severity": 0,
        "timestamp": int(value.at),
    }


_TEXTS = ("accountcode", "accounttype", "accountready", "segmenttitle-c", "segmenttitle-s")


def get_portfolio_summary(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    if not listed_accounts(call):
        return Answer({})
    value = world.valuation(account, call.now)
    stamp = int(value.at) * 1000
    texts = dict(zip(_TEXTS, (account.id, account.type, "true", "US Commodities", "US Securities"), strict=True))
    rows = {name: _entry(0.0, None, text, stamp) for name, text in texts.items()}
    for name, amount in _amounts(account, value).items():
        rows[name] = _entry(amount, account.currency, None, stamp)
    return Answer(dict(sorted(rows.items())))


def _entry(amount: float, currency: str | None, text: str | None, stamp: int) -> dict[str, Any]:
    return {
        "amount": round(amount, 2),
        "currency": currency,
        "isNull": False,
        "timestamp": stamp,
        "value": text,
        "severity": 0,
    }


_COMMODITY_SHARES = {
    "initmargin": 1.1,
    "maintmargin": 1.0,
    "availablefunds": 0.1,
    "excessliquidity": 0.2,
    "postexpirationmargin": 0.0,
    "": 1.2,
}
"""What the commodity segment has of an amount, in parts of its maintenance margin."""


def _amounts(account: Account, value: Valuation) -> dict[str, float]:
    """Totals, and the same for securities (-s) and commodities (-c)."""
    commodities = value.margin("FUT", "FOP")
    whole = {
        "availablefunds": value.available_funds,
        "buyingpower": value.buying_power,
        "cushion": value.excess_liquidity / value.net_liquidation if value.net_liquidation else 0.0,
        "equitywithloanvalue": value.net_liquidation,
        "excessliquidity": value.excess_liquidity,
        "fullavailablefunds": value.available_funds,
        "fullexcessliquidity": value.excess_liquidity,
        "fullinitmarginreq": value.initial_margin,
        "fullmaintmarginreq": value.maintenance_margin,
        "grosspositionvalue": value.gross,
        "initmarginreq": value.initial_margin,
        "lookaheadavailablefunds": value.available_funds,
        "lookaheadexcessliquidity": value.excess_liquidity,
        "lookaheadinitmarginreq": value.initial_margin,
        "lookaheadmaintmarginreq": value.maintenance_margin,
        "maintmarginreq": value.maintenance_margin,
        "netliquidation": value.net_liquidation,
        "totalcashvalue": value.cash,
        "previousdayequitywithloanvalue": value.previous_net_liquidation,
        "accruedcash": value.accrued_interest(),
        "accrueddividend": 0.0,
        "netliquidationuncertainty": 0.0,
        "postexpirationmargin": 0.0,
        "postexpirationexcess": 0.0,
        "sma": value.available_funds * 0.4,
        "leverage": value.gross / value.net_liquidation if value.net_liquidation else 0.0,
    }
    found = dict(whole)
    for name, amount in whole.items():
        if name in {"buyingpower", "cushion", "sma", "leverage"}:
            continue
        part = commodities * _COMMODITY_SHARES[next(word for word in _COMMODITY_SHARES if word in name)]
        if name.startswith(("accrued", "postexp", "netliquidationunc", "grossposition")):
            part = 0.0
        found[f"{name}-c"], found[f"{name}-s"] = part, amount - part
    return found


def get_account_allocation(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    if not listed_accounts(call):
        return Answer({})
    return Answer(_allocation([world.valuation(account, call.now)]))


def get_allocation_of_accounts(world: World, call: Call) -> Answer:
    ids = body_of(call).get("acctIds")
    if not isinstance(ids, list) or not ids:
        raise bad_request("acctIds is missing")
    if not call.memory.seen["list_positions"]:
        raise failed("Internal server error")
    return Answer(_allocation(_valuations(world, ids, call.now)))


def get_consolidated_allocation(world: World, call: Call) -> Answer:
    ids = body_of(call).get("acctIds")
    if not isinstance(ids, list) or not ids:
        raise bad_request("acctIds is missing")
    return Answer(_allocation(_valuations(world, ids, call.now)))


def _valuations(world: World, ids: list[Any], now: float) -> list[Valuation]:
    accounts = [world.account(str(account_id)) for account_id in ids]
    if any(account is None for account in accounts):
        raise bad_request("Account is invalid")
    return [world.valuation(account, now) for account in accounts if account is not None]


def _allocation(values: list[Valuation]) -> dict[str, Any]:
    """Market value by asset class, sector and group, long and short apart, in each account's base currency."""
    sums: dict[str, dict[str, dict[str, float]]] = {
        name: {"long": defaultdict(float), "short": defaultdict(float)} for name in ("assetClass", "sector", "group")
    }
    for value in values:
        cash = value.cash + value.accrued_interest()
        sums["assetClass"]["long" if cash >= 0 else "short"]["CASH"] += cash
        for row in value.rows:
            contract = row.holding.contract
            if contract.kind not in {*OWNED, "CFD"}:
                continue
            worth = (row.unrealized if contract.kind == "CFD" else row.value) * row.rate
            side = "long" if worth >= 0 else "short"
            sums["assetClass"][side][contract.kind] += worth
            sums["sector"][side][contract.sector or "Others"] += worth
            sums["group"][side][contract.group or "Others"] += worth
    return {
        name: {side: {key: round(amount, 2) for key, amount in parts.items()} for side, parts in sides.items()}
        for name, sides in sums.items()
    }


def list_combo_positions(world: World, call: Call) -> Answer:
    """Verticals: two options of one underlying and expiry, one long and one short. 500 when there is none."""
    account = account_of(world, call)
    if not listed_accounts(call):
        return Answer([])
    value = world.cached_valuation(account, call.now)
    options = [row for row in value.rows if row.holding.contract.kind == "OPT"]
    combos = []
    for long in options:
        for short in options:
            a, b = long.holding.contract, short.holding.contract
            same = (a.underlying, a.expiry, a.right) == (b.underlying, b.expiry, b.right)
            if same and long.holding.quantity == -short.holding.quantity > 0:
                legs = ((long, 1), (short, -1))
                combos.append(
                    {
                        "name": f"CP.CP{a.conid:x}",
                        "description": f"1*{a.conid}-1*{b.conid}",
                        "legs": [{"conid": str(row.holding.contract.conid), "ratio": ratio} for row, ratio in legs],
                        "positions": [position_row(account, row, detailed=False) for row, _ in legs],
                    }
                )
    if not combos:
        raise failed("Internal server error")
    return Answer(combos)


ANSWERS = {
    "get_ledger": get_ledger,
    "get_portfolio_summary": get_portfolio_summary,
    "get_account_allocation": get_account_allocation,
    "get_allocation_of_accounts": get_allocation_of_accounts,
    "get_consolidated_allocation": get_consolidated_allocation,
    "list_combo_positions": list_combo_positions,
}
