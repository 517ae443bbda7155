"""How an agent reaches each operation: the tools made for it, or ``call_endpoint`` and a tool generated of it."""

from __future__ import annotations

from ib_mcp.tools.endpoint_calls import ORDERS
from ibkr.operation import Operation

TOOLS_OF: dict[str, str] = {
    "open_brokerage_session": "reopen_session",
    "list_portfolio_accounts": "list_accounts",
    "get_portfolio_summary": "get_account_summary",
    "get_profit_and_loss": "get_account_summary",
    "get_ledger": "get_account_balances",
    "list_positions": "get_account_positions",
    "list_live_orders": "get_account_orders",
    "get_order_status": "get_order_status",
    "list_trades": "get_account_trades",
    "preview_orders": "preview_order",
    "place_orders": "submit_order",
    "modify_order": "submit_order",
    "cancel_order": "cancel_order",
    "get_performance_all_periods": "get_account_performance",
    "list_transactions": "get_account_transactions",
    "search_stocks": "search_contracts",
    "search_contracts": "search_contracts",
    "get_security_definitions": "get_contract_details",
    "list_currency_pairs": "get_contract_details",
    "list_strikes": "get_option_chain",
    "get_derivative_contracts": "get_option_chain",
    "get_price_snapshot": "get_price_snapshot",
    "get_price_history": "get_price_history",
    "get_scanner_parameters": "run_scanner",
    "run_scanner": "run_scanner",
    "list_watchlists": "get_watchlists",
    "get_watchlist": "get_watchlists",
    "save_watchlist": "edit_watchlist",
    "delete_watchlist": "edit_watchlist",
    "list_alerts": "get_alerts",
    "get_alert": "get_alerts",
    "save_alert": "edit_alert",
    "activate_alert": "edit_alert",
    "delete_alert": "edit_alert",
    "list_notifications": "get_notifications",
    "count_unread_notifications": "get_notifications",
}
"""The tool that answers with an operation, by the operation's id."""

_GENERIC = {"read": "call", "write": "call with writes on"}


def reach(endpoint: Operation) -> str:
    """E.g. ``get_alerts, call``; empty where there is no way."""
    way = "call with trading on" if endpoint.id in ORDERS else _GENERIC.get(endpoint.effect, "")
    generic = "" if endpoint.status == "unsupported" else way
    return ", ".join(filter(None, (TOOLS_OF.get(endpoint.id, ""), generic)))
