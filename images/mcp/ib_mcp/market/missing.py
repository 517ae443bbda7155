"""Why a quote has no value in a field."""

from __future__ import annotations

from ibkr.field_values import Availability
from ibkr.fields import Field

_OPTIONS_ONLY = frozenset(
    {"delta", "gamma", "theta", "vega", "implied_volatility", "option_open_interest", "break_even"}
    | {"probability_of_max_return", "probability_of_max_return_2", "probability_of_max_loss", "probability_of_profit"}
)
_BONDS_ONLY = frozenset(
    {"last_yield", "bid_yield", "ask_yield", "debt_class", "ratings", "bond_state_code", "bond_type"}
    | {"organization_type", "issue_date"}
)
_SUBSCRIBED = {
    **dict.fromkeys(
        [
            "upcoming_event",
            "upcoming_event_date",
            "upcoming_analyst_meeting",
            "upcoming_earnings",
            "upcoming_other_event",
            "recent_analyst_meeting",
            "recent_earnings",
            "recent_other_event",
        ],
        "Wall Street Horizon",
    ),
    "morningstar_rating": "Morningstar",
}
_OWN = frozenset(
    {"position", "position_market_value", "position_average_price", "unrealized_pnl", "unrealized_pnl_formatted"}
    | {"unrealized_pnl_percent", "daily_pnl", "daily_pnl_raw", "realized_pnl", "cost_basis", "cost_basis_raw"}
    | {"percent_of_account"}
)
_NOT_TRADED_NOW = "none while the market is closed, or none for this instrument"
_NOTHING_YET = "IBKR has sent no quotes of this instrument yet; ask again in a few seconds"
_NOT_YET = "IBKR has sent none (yet) for this instrument"


def why(field: Field, kind: str, available: Availability, *, nothing_yet: bool) -> str:
    """In a few words; ``nothing_yet``: IBKR has sent nothing at all of this instrument of class ``kind``."""
    if field.name in _OPTIONS_ONLY and kind not in ("OPT", "FOP", "WAR", "IOPT"):
        other = "; of this ask implied_volatility_underlying" if field.name == "implied_volatility" else ""
        return f"only options have it{other}"
    if field.name in _BONDS_ONLY and kind not in ("BOND", "BILL"):
        return "only bonds have it"
    if field.name == "futures_open_interest" and kind != "FUT":
        return "only futures have it"
    if service := _SUBSCRIBED.get(field.name):
        return f"needs the user's subscription to {service}, or there is none"
    if field.name in _OWN:
        return "no position in it, or IBKR has not told it yet"
    if nothing_yet:
        return _NOTHING_YET
    if available.timing in ("not_subscribed", "not_acknowledged"):
        return available.reason
    return _NOT_TRADED_NOW if available.timing in ("frozen", "frozen_delayed") else _NOT_YET
