"""Accounts as the trading side sees them: the list, the selected one, profit and loss."""

from __future__ import annotations

from ib_simulator.answers.refusals import bad_request, body_of, failed, needs_accounts
from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.world import World

ASSET_TYPES = "STK,CFD,OPT,FOP,WAR,FUT,BAG,CASH,IND,BOND,BILL,FUND,CMDTY,ICS,PHYSS,CRYPTO"


def list_brokerage_accounts(world: World, call: Call) -> Answer:
    ids = [account.id for account in world.accounts]
    everything, short = ["*"], ["2h", "1d", "2d", "1w", "1m"]
    return Answer(
        {
            "accounts": [*ids, "All"] if world.groups else ids,
            "acctProps": {
                account.id: {
                    "hasChildAccounts": False,
                    "supportsCashQty": account.trading_type == "STKNOPT",
                    "supportsFractions": account.trading_type == "STKNOPT",
                    "allowCustomerTime": False,
                    "liteUnderPro": False,
                    "noFXConv": False,
                    "isProp": False,
                    "autoFx": False,
                }
                for account in world.accounts
            },
            "aliases": {account.id: account.alias or account.id for account in world.accounts},
            "allowFeatures": {
                "showGFIS": True,
                "showEUCostReport": False,
                "allowEventContract": True,
                "allowFXConv": True,
                "allowFinancialLens": False,
                "allowMTA": True,
                "allowTypeAhead": True,
                "allowEventTrading": True,
                "snapshotRefreshTimeout": 30,
                "liteUser": False,
                "showWebNews": True,
                "research": True,
                "debugPnl": True,
                "showTaxOpt": True,
                "showImpactDashboard": True,
                "allowDynAccount": False,
                "allowCrypto": True,
                "allowedAssetTypes": ASSET_TYPES,
            },
            "chartPeriods": {
                kind: short if kind in {"OPT", "FOP"} else everything
                for kind in ("STK", "CFD", "OPT", "FOP", "WAR", "IOPT", "FUT", "CASH", "IND", "BOND", "FUND", "CMDTY")
            },
            "groups": list(world.groups),
            "profiles": [],
            "selectedAccount": selected(world, call),
            "serverInfo": {"serverName": "SIM0001", "serverVersion": "Build 10.42.0b, Oct 1, 2026 3:10:00 PM"},
            "sessionId": f"{world.seed & 0xFFFFFFFF:08x}.00000001",
            "isFT": False,
            "isPaper": world.is_paper,
        }
    )


def selected(world: World, call: Call) -> str:
    """The account that calls without one mean, in this brokerage session."""
    return str(call.memory.notes.get("selected_account", world.accounts[0].id))


def select_account(world: World, call: Call) -> Answer:
    account_id = body_of(call).get("acctId")
    if not account_id:
        raise bad_request("acctId is missing")
    if world.account(str(account_id)) is None:
        raise failed("Invalid account ID")
    if account_id == selected(world, call):
        return Answer({"success": "Account already set"})
    call.memory.notes["selected_account"] = str(account_id)
    return Answer({"set": True, "acctId": account_id})


def search_dynamic_accounts(world: World, call: Call) -> Answer:
    raise failed("Details currently unavailable. Dynamic account is not enabled", 503)


def select_dynamic_account(world: World, call: Call) -> Answer:
    raise Refusal(401, {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "Access denied"})


def get_profit_and_loss(world: World, call: Call) -> Answer:
    """Of the selected account alone: a row for what is in no model, and one for each model."""
    needs_accounts(call)
    if not call.memory.seen["get_profit_and_loss"]:
        return Answer({"upnl": {}})
    rows = {}
    account = world.account(selected(world, call))
    assert account is not None
    value = world.valuation(account, call.now)
    whole = {"nl": value.net_liquidation, "el": value.excess_liquidity, "uel": value.excess_liquidity}
    for model in value.models:
        own = value.of_model(model)
        figures = {"dpl": own.daily_pnl, "upl": own.unrealized_pnl, "mv": own.market_value}
        if model:
            whole = {"nl": own.market_value, "uel": 0.0}
        rows[f"{account.id}.{model or 'Core'}"] = {
            "rowType": 1,
            **{name: _four_digits(figure) for name, figure in (figures | whole).items()},
        }
    return Answer({"upnl": rows})


def _four_digits(figure: float) -> float:
    """IBKR rounds profit and loss so."""
    return float(f"{figure:.4g}")


ANSWERS = {
    "list_brokerage_accounts": list_brokerage_accounts,
    "select_account": select_account,
    "search_dynamic_accounts": search_dynamic_accounts,
    "select_dynamic_account": select_dynamic_account,
    "get_profit_and_loss": get_profit_and_loss,
}
