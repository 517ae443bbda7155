"""Alerts that the user keeps at IBKR."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import decimal, figure
from ib_mcp.formats.tables import compact, table
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso_compact
from ib_mcp.market.contract import Contract
from ib_mcp.tools.arguments import Account, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.lists import UNTRUSTED
from ib_mcp.tools.row_contracts import described
from ibkr.errors import InvalidRequest

_ALERT = ("alert_id", "name", "active", "triggered", "repeats", "created")
_KINDS = {1: "price", 3: "time", 4: "margin", 5: "trade", 6: "volume", 7: "market", 8: "position", 9: "daily_pnl"}
# How a condition and the next one belong together.
_BINDS = {"a": "and", "o": "or"}
_CONDITION = ("kind", "symbol", "conid", "exchange", "operator", "value", "unit", "time_zone", "then")


@read_tool("Alerts")
async def get_alerts(
    context: ToolContext, account: Account = None, alert_id: Annotated[Text | None, Field(pattern=r"^\d{1,20}$")] = None
) -> Answer:
    """Price and other alerts of an account, or the conditions of one."""
    chosen = await context.accounts.resolve(account)
    rows = (await context.guard.call("list_alerts", path={"accountId": chosen})).rows
    if alert_id is not None:
        if all(str(row.get("order_id")) != alert_id for row in rows):
            raise InvalidRequest(f"There is no alert {alert_id}.", action="Take an alert_id from get_alerts.")
        return {"account": chosen, **await _alert(context, chosen, alert_id)}
    found = (
        (
            row.get("order_id"),
            untrusted(row.get("alert_name"), 80),
            _flag(row.get("alert_active")),
            _flag(row.get("alert_triggered")),
            _flag(row.get("alert_repeatable")),
            iso_compact(row.get("order_time")),
        )
        for row in rows
    )
    return {"account": chosen, "alerts": table(_ALERT, found)}


async def _alert(context: ToolContext, account: str, alert_id: str) -> Answer:
    body = (
        await context.guard.call("get_alert", account=account, path={"alertId": alert_id}, query={"type": "Q"})
    ).object
    conditions = objects(body.get("conditions"))
    known = await described(context, (_place(row)[0] for row in conditions))
    zone = body.get("time_zone")
    return {
        "alert_id": alert_id,
        "name": untrusted(body.get("alert_name"), 80),
        "message": untrusted(body.get("alert_message"), 300),
        "active": _flag(body.get("alert_active")),
        "time_in_force": body.get("tif"),
        "expires": body.get("expire_time"),
        **({"time_zone": zone} if zone else {}),
        "conditions": compact(_CONDITION, (_condition(row, known.contracts, zone) for row in conditions)),
        **known.note,
        "warning": UNTRUSTED,
    }


def _place(row: dict[str, Any]) -> tuple[str, str]:
    """Conid and exchange that a condition is about; empty where it is about none."""
    conid, _, exchange = str(row.get("conidex") or "").partition("@")
    return (conid, exchange) if conid.isdecimal() else ("", "")


def _condition(row: dict[str, Any], known: dict[int, Contract], zone: Any) -> list[Any]:
    conid, exchange = _place(row)
    contract = known.get(int(conid)) if conid else None
    kind = _KINDS.get(int(decimal(row.get("condition_type")) or 0), row.get("condition_type"))
    value = row.get("condition_value")
    text = str(value or "")
    is_time = kind == "time"
    return [
        kind,
        contract.symbol if contract else untrusted(row.get("contract_description_1"), 80) if conid else None,
        int(conid) if conid else None,
        exchange,
        row.get("condition_operator"),
        # "5%" is no five.
        text if "%" in text or is_time else figure(value),
        (contract.currency if contract else None) if kind == "price" else None,
        (row.get("condition_time_zone") or zone or "not told by IBKR") if is_time else row.get("condition_time_zone"),
        _BINDS.get(str(row.get("condition_logic_bind") or "").lower()),
    ]


def _flag(value: Any) -> bool:
    return value in (1, "1", True, "true")
