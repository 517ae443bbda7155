"""Setting and changing price alerts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.text import untrusted
from ib_mcp.guard.client import Reply
from ib_mcp.tools.arguments import Account, Symbol, Text
from ib_mcp.tools.base import Answer, write_tool
from ibkr.errors import InvalidRequest, UpstreamError

_PRICE, _LAST = 1, "n"


@write_tool("Alerts")
async def edit_alert(
    context: ToolContext,
    action: Literal["create", "activate", "deactivate", "delete"],
    alert_id: Annotated[Text | None, Field(pattern=r"^[1-9]\d{0,19}$", description="but for create")] = None,
    symbol: Symbol | None = None,
    operator: Literal[">=", "<="] | None = None,
    price: Annotated[Decimal | None, Field(gt=0, description="in the instrument's currency")] = None,
    name: Annotated[Text | None, Field(max_length=60)] = None,
    until: Annotated[date | None, Field(description="last day; else until cancelled")] = None,
    outside_hours: bool = False,
    account: Account = None,
) -> Answer:
    """Set a price alert, switch one on or off, or delete it. An alert never trades."""
    chosen = await context.accounts.resolve(account)
    ticket = {"symbol": symbol, "operator": operator, "price": price}
    if action == "create":
        missing = [key for key, value in ticket.items() if value is None]
        if missing or alert_id is not None:
            said = f"needs {', '.join(missing)}" if missing else "takes no alert_id"
            raise InvalidRequest(f"create {said}.", action="Give symbol, operator and price.")
        assert symbol is not None
        contract = await context.contracts.resolve(symbol)
        words = name or f"{contract.symbol} {operator} {price}"
        expiry = {"tif": "GTC"} if until is None else {"tif": "GTD", "expireTime": f"{until:%Y%m%d}-23:59:59"}
        body: dict[str, Any] = {
            "alertName": words,
            "alertMessage": words,
            "alertRepeatable": 0,
            "outsideRth": int(outside_hours),
            "sendMessage": 0,
            "conditions": [
                {
                    "type": _PRICE,
                    "conidex": f"{contract.conid}@{contract.asked_exchange or 'SMART'}",
                    "operator": operator,
                    "triggerMethod": "0",
                    "value": f"{price:f}",
                    "logicBind": _LAST,
                }
            ],
            **expiry,
        }
        reply = _checked(await context.guard.call("save_alert", path={"accountId": chosen}, body=body))
        return {"account": chosen, "created": {"alert_id": reply.object.get("order_id"), "name": untrusted(words, 80)}}
    if alert_id is None or any(value is not None for value in (*ticket.values(), name, until)):
        raise InvalidRequest(f"{action} takes alert_id alone.", action="Take an alert_id from get_alerts.")
    rows = (await context.guard.call("list_alerts", path={"accountId": chosen})).rows
    if all(str(row.get("order_id")) != alert_id for row in rows):
        raise InvalidRequest(f"There is no alert {alert_id}.", action="Take an alert_id from get_alerts.")
    if action == "delete":
        path = {"accountId": chosen, "alertId": alert_id}
        _checked(await context.guard.call("delete_alert", path=path, body={}))
        return {"account": chosen, "deleted": {"alert_id": alert_id}}
    is_active = action == "activate"
    body = {"alertId": int(alert_id), "alertActive": int(is_active)}
    _checked(await context.guard.call("activate_alert", path={"accountId": chosen}, body=body))
    return {"account": chosen, "changed": {"alert_id": alert_id, "active": is_active}}


def _checked(reply: Reply) -> Reply:
    """``reply``, unless it says with status 200 that nothing was done."""
    if reply.object.get("success") is not True:
        said = untrusted(reply.object.get("text") or reply.object.get("error") or "no reason given", 200)
        raise UpstreamError(f"IBKR did not do it: {said}.", action="Read get_alerts, and correct the request.")
    return reply
