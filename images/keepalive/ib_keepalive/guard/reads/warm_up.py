"""IBKR's cold starts: which first answers are not the answer yet, and which failures a second try cures. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.client import ConnectionBroken
from ib_keepalive.upstream.response import FinalAnswer
from ibkr.errors import IbError, UpstreamError, UpstreamUnreachable
from ibkr.operation import Operation

AGAIN_S = 1.0
_COLD_STATUSES = frozenset({404, 423, 500, 503})
_COLD_TRIES = 2
_PASSING_STATUSES = frozenset({502, 503, 504})
_DERIVATIVES = frozenset({"OPT", "FOP", "FUT", "WAR", "IOPT", "EC"})
_CONTRACT_NAMES = ("ticker", "name", "fullName")


def retry_in_s(endpoint: Operation, error: IbError, tries: int, *, is_warm: bool) -> float | None:
    """Seconds after which a read that failed may be sent again, or None. ``tries``: how often it was sent.

    Only what surely was not sent is repeated for methods other than GET.
    """
    if isinstance(error, UpstreamUnreachable):
        repeatable = endpoint.method == "GET" or not isinstance(error, ConnectionBroken)
        return 0.3 if repeatable and tries < 2 else None
    if endpoint.method != "GET" or not isinstance(error, UpstreamError) or isinstance(error, FinalAnswer):
        return None
    if endpoint.warms_up and not is_warm and error.status in _COLD_STATUSES and tries <= _COLD_TRIES:
        return 2.0 if "history" in endpoint.path else AGAIN_S
    return 0.5 if error.status in _PASSING_STATUSES and tries < 2 else None


def warms_alone(endpoint: Operation) -> bool:
    """Whether each instrument or list has a cold start of its own, and not just the operation."""
    return endpoint.id in _EACH


def underlying_symbols(definitions: Any, *, only_derivatives: bool) -> list[str]:
    """The symbols to search for, from an answer of ``/trsrv/secdef``; derivatives carry their underlying's."""
    rows = definitions.get("secdef") if isinstance(definitions, dict) else None
    return sorted(
        {
            row["ticker"]
            for row in rows or ()
            if isinstance(row, dict)
            and isinstance(row.get("ticker"), str)
            and row["ticker"]
            and (not only_derivatives or row.get("assetClass") in _DERIVATIVES)
        }
    )


def is_cold(request: ApiRequest, body: Any) -> bool:
    """Whether ``body`` looks like the first answer of a session, which a second call completes."""
    test = _COLD.get(request.endpoint.id)
    return test is not None and test(body)


_EACH = frozenset({"get_position", "list_positions_in_contract", "list_contract_algos", "get_watchlist"})


def _lacks_contract(body: Any) -> bool:
    parts = list(body.values()) if isinstance(body, dict) else [body]
    rows = [row for part in parts if isinstance(part, list) for row in part]
    return any(isinstance(row, dict) and not any(row.get(name) for name in _CONTRACT_NAMES) for row in rows)


def _lacks_orders(body: Any) -> bool:
    return isinstance(body, dict) and not body.get("orders") and body.get("snapshot") is not True


def _lacks_instruments(body: Any) -> bool:
    return isinstance(body, dict) and _lacks_contract(body.get("instruments"))


def _lacks(name: str) -> Callable[[Any], bool]:
    return lambda body: isinstance(body, dict) and not body.get(name)


_COLD: dict[str, Callable[[Any], bool]] = {
    "list_live_orders": _lacks_orders,
    "list_trades": lambda body: body == [],
    "get_profit_and_loss": _lacks("upnl"),
    "get_position": _lacks_contract,
    "list_positions_in_contract": _lacks_contract,
    "list_contract_algos": _lacks("algos"),
    "get_watchlist": _lacks_instruments,
}
