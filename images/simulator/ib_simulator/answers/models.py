"""An advisor's model portfolios. An unknown model gives empty data, not an error."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import as_amount, bad_request, body_of
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.stored import Model


def _asked(call: Call) -> tuple[dict[str, Any], Any]:
    """The body and its request id."""
    body = body_of(call)
    if not isinstance(body.get("reqID"), int):
        raise bad_request("reqID is missing")
    return body, body["reqID"]


def _model(world: World, body: dict[str, Any]) -> Model | None:
    return world.stored.models.get(str(body.get("model")))


def _summary(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "desc": model.description,
        "nlv": "0",
        "numAccounts": 0,
        "bootstrapped": True,
        "customIndex": False,
        "isStatic": False,
        "mismatch": False,
    }


def list_models(world: World, call: Call) -> Answer:
    _, request = _asked(call)
    account = world.accounts[0]
    return Answer(
        {
            "reqID": request,
            "subscriptionStatus": 1,
            "baseCcy": account.currency,
            "masterAccount": account.id,
            "models": [_summary(model) for model in world.stored.models.values()],
        }
    )


def get_model_summary(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    model = _model(world, body)
    return Answer({"reqID": request, "subscriptionStatus": 1, **({} if model is None else _summary(model))})


def list_model_positions(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    model = _model(world, body)
    targets = {} if model is None else model.targets
    cash = [] if model is None else [{"ccy": "USD", "actual": "0", "target": f"{model.cash:g}", "mv": "0"}]
    return Answer(
        {
            "reqID": request,
            "subscriptionStatus": 1,
            "model": body.get("model"),
            "nlv": 0.0,
            "mismatched": False,
            "stkOnly": True,
            "totalMv": 0.0,
            "totalDlv": 0.0,
            "positionTs": int(call.now * 1000),
            "cash": [row | {"exchangeRate": "1", "instrumentImbalance": "0"} for row in cash],
            "positionList": [_target(world, conid, share) for conid, share in targets.items()],
        }
    )


def _target(world: World, conid: int, share: float) -> dict[str, Any]:
    contract = world.contracts.get(conid)
    return {
        "conid": conid,
        "instrument": None if contract is None else contract.symbol,
        "ccy": "USD" if contract is None else contract.currency,
        "target": f"{share:g}",
        "actual": "0",
        "actualRangeMin": None,
        "actualRangeMax": None,
        "position": "0",
        "mv": "0",
        "dlv": "0",
        "exchangeRate": "1",
        "instrumentImbalance": "0",
        "mismatchType": 0,
        "flags": 0,
    }


def list_model_accounts(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    accounts = world.accounts if _model(world, body) else ()
    return Answer(
        {
            "reqID": request,
            "model": body.get("model"),
            "baseCcyMaster": world.accounts[0].currency,
            "accountInfoList": [
                {
                    "account": account.id,
                    "alias": account.alias,
                    "baseCcyAccount": account.currency,
                    "cashInIndependent": f"{world.valuation(account, call.now).cash:.2f}",
                    "nlv": "0",
                    "costBasis": "0",
                    "unrealizedPnL": "0",
                    "exchangeRate": 1.0,
                    "accountImbalance": "0",
                    "numInstrumentsOutsideRange": 0,
                }
                for account in accounts
            ],
        }
    )


def list_model_investments(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    rows = []
    for account in world.accounts if _model(world, body) else ():
        value = world.valuation(account, call.now)
        rows.append(
            {
                "account": account.id,
                "alias": account.alias,
                "baseCcyAccount": account.currency,
                "baseCcyAccountPrecision": "0.01",
                "exchangeRate": 1.0,
                "nlv": f"{value.net_liquidation:.2f}",
                "cashInIndependentNlv": f"{value.cash:.2f}",
                "positionsInIndependentNlv": f"{value.market_value:.2f}",
                "accountModelNlv": "0",
                "accountOtherModelsNlv": "0",
            }
        )
    return Answer(
        {
            "reqID": request,
            "subscriptionStatus": 1,
            "model": body.get("model"),
            "baseCcyMaster": world.accounts[0].currency,
            "baseCcyMasterPrecision": "0.01",
            "accountList": rows,
        }
    )


def save_model(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    name, targets = body.get("model"), body.get("positionTargets", [])
    if not isinstance(name, str) or not name:
        raise bad_request("model is missing")
    if not isinstance(targets, list) or not all(_is_target(row) for row in targets):
        raise bad_request("invalid positionTargets")
    shares = {row["conid"]: float(row["target"]) for row in targets}
    world.stored.models[name] = Model(name, str(body.get("desc", "")), shares, max(0.0, 1 - sum(shares.values())))
    return Answer({"reqID": request, "success": True})


def _is_target(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("conid"), int) and as_amount(row.get("target")) is not None


def draft_model_investment(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    if _model(world, body) is None or not isinstance(body.get("accountList"), list):
        raise bad_request("model and accountList are needed")
    return Answer({"reqID": str(request), "subscriptionKey": "2", "subscriptionStatus": 0})


def submit_model_transfers(world: World, call: Call) -> Answer:
    _, request = _asked(call)
    return Answer({"reqID": request, "success": True})


def get_model_presets(world: World, call: Call) -> Answer:
    _, request = _asked(call)
    return Answer({"reqID": request, "subscriptionStatus": 1, **world.stored.model_presets})


def save_model_presets(world: World, call: Call) -> Answer:
    body, request = _asked(call)
    presets = world.stored.model_presets
    presets.update({name: bool(body[name]) for name in presets if name in body})
    return Answer({"reqID": request, "subscriptionStatus": 1, "success": True, "error": None})


ANSWERS = {
    "list_models": list_models,
    "get_model_summary": get_model_summary,
    "list_model_positions": list_model_positions,
    "list_model_accounts": list_model_accounts,
    "list_model_investments": list_model_investments,
    "save_model": save_model,
    "draft_model_investment": draft_model_investment,
    "draft_model_investment_in_tws": draft_model_investment,
    "submit_model_transfers": submit_model_transfers,
    "get_model_presets": get_model_presets,
    "save_model_presets": save_model_presets,
}
