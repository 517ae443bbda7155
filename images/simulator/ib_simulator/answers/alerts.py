"""Price and other alerts, kept at the broker; the mobile alert is always there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ib_simulator.answers.refusals import account_of, as_number, bad_request, body_of, failed, required
from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.stored import Alert

_NEEDED = ("alertName", "alertMessage", "alertRepeatable", "outsideRth", "tif", "conditions")
_MOBILE_ALERT_TOOL = 55_834_574_848


def list_alerts(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    return Answer(
        [
            {
                "order_id": alert.id,
                "account": alert.account,
                "alert_name": alert.name,
                "alert_active": int(alert.active),
                "order_time": f"{datetime.fromtimestamp(alert.placed_at, UTC):%Y%m%d-%H:%M:%S}",
                "alert_triggered": False,
                "alert_repeatable": alert.ticket.get("alertRepeatable", 0),
            }
            for alert in world.stored.alerts.values()
            if alert.account == account.id
        ]
    )


def get_alert(world: World, call: Call) -> Answer:
    if required(call, "type") != "Q":
        raise bad_request("type must be Q")
    alert = _alert(world, call.path["alertId"])
    if alert is None:
        return Answer({"error": "alert not found"})
    return Answer(_details(world, alert))


def _alert(world: World, text: object) -> Alert | None:
    number = as_number(text)
    return None if number is None else world.stored.alerts.get(number)


def _details(world: World, alert: Alert) -> dict[str, Any]:
    ticket = alert.ticket
    return _frame(alert.account, alert.id) | {
        "alert_name": alert.name,
        "tif": ticket.get("tif"),
        "expire_time": ticket.get("expireTime"),
        "alert_active": int(alert.active),
        "alert_repeatable": ticket.get("alertRepeatable"),
        "alert_email": ticket.get("email"),
        "alert_send_message": ticket.get("sendMessage"),
        "alert_message": ticket.get("alertMessage"),
        "alert_show_popup": ticket.get("showPopup"),
        "condition_size": len(ticket["conditions"]),
        "condition_outside_rth": ticket.get("outsideRth"),
        "conditions": [_condition(world, condition) for condition in ticket["conditions"]],
    }


def _condition(world: World, condition: dict[str, Any]) -> dict[str, Any]:
    conid = as_number(str(condition.get("conidex", "")).partition("@")[0])
    contract = None if conid is None else world.contracts.get(conid)
    return {
        "condition_type": condition.get("type"),
        "conidex": condition.get("conidex"),
        "contract_description_1": "Unknown" if contract is None else contract.description,
        "condition_operator": condition.get("operator"),
        "condition_trigger_method": condition.get("triggerMethod"),
        "condition_value": condition.get("value"),
        "condition_logic_bind": condition.get("logicBind"),
        "condition_time_zone": condition.get("timeZone"),
    }


def _frame(account: str, order_id: int) -> dict[str, Any]:
    return {
        "account": account,
        "order_id": order_id,
        "order_status": "Submitted",
        "alert_triggered": False,
        "fg_color": "#FFFFFF",
        "bg_color": "#0000CC",
        "order_not_editable": False,
        "itws_orders_only": 0,
        "tool_id": None,
        "time_zone": None,
        "alert_play_audio": None,
        "alert_default_type": None,
        "alert_mta_currency": None,
        "alert_mta_defaults": None,
    }


def get_mobile_alert(world: World, call: Call) -> Answer:
    # Its order id is new on every read; only the tool id stays.
    world.stored.mobile_alert_reads += 1
    account = world.accounts[0]
    return Answer(
        _frame(account.id, 167_426_254 + world.stored.mobile_alert_reads)
        | {
            "alert_name": "MTA (AutoAlert)",
            "tif": "GTC",
            "expire_time": None,
            "alert_active": 1,
            "alert_repeatable": 1,
            "alert_email": "robin@example.com",
            "alert_send_message": 1,
            "alert_message": None,
            "alert_show_popup": 0,
            "tool_id": _MOBILE_ALERT_TOOL,
            "time_zone": "US/Eastern",
            "alert_mta_currency": account.currency,
            "alert_mta_defaults": "9:STATE=1,MIN=-260000,MAX=260000,STEP=500|5:STATE=0",
            "condition_size": 1,
            "condition_outside_rth": 0,
            "conditions": [_condition(world, {"conidex": "*@*", "type": 5, "value": "*", "logicBind": "n"})],
        }
    )


def save_alert(world: World, call: Call) -> Answer:
    account, body = account_of(world, call), body_of(call)
    if account.is_paper:
        raise Refusal(403, {"error": "Access denied", "statusCode": 403})
    missing = [name for name in _NEEDED if body.get(name) in (None, "", [])]
    conditions = body.get("conditions")
    if missing or not isinstance(conditions, list) or not all(isinstance(one, dict) for one in conditions):
        raise bad_request(f"missing parameter {', '.join(missing) or 'conditions'}")
    name, changed = str(body["alertName"]), body.get("orderId")
    if changed:
        alert = _alert(world, changed)
        if alert is None:
            raise failed("Alert not found")
        if alert.name != name:
            raise failed("Alert name can't be changed")
        alert.ticket = body
    else:
        alert = Alert(world.stored.new_id(), account.id, name, True, body, call.now)
        world.stored.alerts[alert.id] = alert
    return Answer(
        {
            "request_id": None,
            "order_id": alert.id,
            "success": True,
            "text": "Submitted",
            "order_status": None,
            "warning_message": None,
        }
    )


def activate_alert(world: World, call: Call) -> Answer:
    account_of(world, call)
    body = body_of(call)
    if body.get("alertActive") not in (0, 1):
        raise bad_request("alertActive must be 0 or 1")
    alert = _alert(world, body.get("alertId"))
    if alert is None:
        raise failed("Alert not found")
    alert.active = bool(body["alertActive"])
    return _submitted(alert.id)


def delete_alert(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    if call.path["alertId"] == "0":
        for alert in [one for one in world.stored.alerts.values() if one.account == account.id]:
            del world.stored.alerts[alert.id]
        return _submitted(0)
    found = _alert(world, call.path["alertId"])
    if found is None:
        raise failed("Alert not found")
    del world.stored.alerts[found.id]
    return _submitted(found.id)


def _submitted(order_id: int) -> Answer:
    return Answer(
        {
            "request_id": None,
            "order_id": order_id,
            "success": True,
            "text": "Request was submitted",
            "failure_list": None,
        }
    )


ANSWERS = {
    "list_alerts": list_alerts,
    "get_alert": get_alert,
    "get_mobile_alert": get_mobile_alert,
    "save_alert": save_alert,
    "activate_alert": activate_alert,
    "delete_alert": delete_alert,
}
