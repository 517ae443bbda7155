"""IBKR's cold starts: which first answers are not the answer yet, and which failures a second try cures. Pure."""

from __future__ import annotations

from typing import Any

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


def is_cold(endpoint: Operation, body: Any) -> bool:
    """Whether ``body`` looks like the first answer of a session, which a second call completes."""
    how, _, name = endpoint.cold.partition(" ")
    match how:
        case "empty":
            return isinstance(body, list) and not body
        case "lacks":
            return isinstance(body, dict) and not body.get(name) and body.get("snapshot") is not True
        case "unnamed":
            return _lacks_contract(body.get(name) if name and isinstance(body, dict) else body)
    return False


def is_empty(body: Any) -> bool:
    """Whether nothing is in ``body``, which may mean that it has not been there yet."""
    if isinstance(body, dict):
        return all(value is None or (isinstance(value, (dict, list)) and is_empty(value)) for value in body.values())
    return body is None or body == []


def _lacks_contract(body: Any) -> bool:
    parts = list(body.values()) if isinstance(body, dict) else [body]
    rows = [row for part in parts if isinstance(part, list) for row in part]
    return any(isinstance(row, dict) and not any(row.get(name) for name in _CONTRACT_NAMES) for row in rows)
