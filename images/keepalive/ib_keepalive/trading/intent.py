"""What somebody wants done with orders, read from the bodies of IBKR's Web API and checked for sense. Pure.

Names and types are IBKR's own; what is passed on is what was checked, never the text that came.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ibkr.errors import InvalidRequest

Kind = Literal["place", "modify", "cancel", "cancel_all"]
Order = Mapping[str, Any]
"""One ticket in IBKR's words: ``conid`` or ``conidex``, ``orderType``, ``side``, ``tif``, ``quantity``, ``price``."""

# The order id by which IBKR means every open order.
ALL_ORDERS = "-1"
LONGEST_CLIENT_ORDER_ID = 64
_MOST_ORDERS = 20
_ACCOUNT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,31}")
_ORDER_ID = re.compile(r"-?[0-9]{1,19}")
_CLIENT_ORDER_ID = re.compile(rf"[!-~](?:[ -~]{{0,{LONGEST_CLIENT_ORDER_ID - 2}}}[!-~])?")
_CONIDEX = re.compile(r"[0-9]{1,12}(?:@[A-Za-z0-9.]{1,20})?(?:;;;[0-9@A-Za-z./,;-]{1,400})?")
_SIDES = frozenset({"BUY", "SELL"})
_AMOUNTS = ("quantity", "cashQty", "fxQty")
_PRICES = ("price", "auxPrice", "trailingAmt")
_WORDS = ("orderType", "tif", "secType", "listingExchange", "ticker", "referrer", "strategy", "extOperator", "parentId")
_SWITCHES = ("outsideRTH", "outsideRth", "allOrNone", "useAdaptive", "deactivated", "isCcyConv", "isSingleGroup",
             "manualIndicator", "isProCustomer")  # fmt: skip
# These hand an order to accounts that its account does not tell, so that no limit would see them.
_ELSEWHERE = ("allocationMethod", "jsonPayload", "customerAccount", "acctGroup", "modelCode")
_KNOWN = frozenset(
    (*_AMOUNTS, *_PRICES, *_WORDS, *_SWITCHES, *_ELSEWHERE, "acctId", "conid", "conidex", "cOID", "side",
     "trailingType", "strategyParameters", "manualOrderTime", "taxOptimizerId", "orderId")
)  # fmt: skip
_BY_FOLDED = {name.lower(): name for name in _KNOWN}
_LONGEST_WORD = 120


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """``orders``: the whole tickets of a place (several only as a bracket or a one-cancels-all group) or the one of a
    modify; empty for a cancel. ``order_id``: IBKR's, of a modify or cancel. ``sign_in``: the number that it was meant
    for. ``caller``: who wants it. ``query``: IBKR's parameters of a cancel.
    """

    kind: Kind
    account: str
    orders: tuple[Order, ...] = ()
    order_id: str | None = None
    caller: str = ""
    sign_in: int | None = None
    query: tuple[tuple[str, str], ...] = ()

    @property
    def client_order_ids(self) -> tuple[str, ...]:
        """The ``cOID`` of each new order that has one; the children of a bracket have none."""
        return tuple(order["cOID"] for order in self.orders if "cOID" in order) if self.kind == "place" else ()

    def with_client_order_ids(self, make: Callable[[], str]) -> OrderIntent:
        """The same with a ``cOID`` for each order that may have one: by it an order is found again."""
        if self.kind != "place":
            return self
        return replace(
            self, orders=tuple(o if "cOID" in o or "parentId" in o else {**o, "cOID": make()} for o in self.orders)
        )


def read_place(account: str, orders: object, *, caller: str = "", sign_in: int | None = None) -> OrderIntent:
    """The tickets of IBKR's place call for ``account``. InvalidRequest says which is wrong and how."""
    _check_account(account)
    if not isinstance(orders, list) or not orders:
        raise InvalidRequest("orders must be a list with at least one order.")
    if len(orders) > _MOST_ORDERS:
        raise InvalidRequest(f"At most {_MOST_ORDERS} orders go together.")
    read = tuple(_read_order(account, order) for order in orders)
    _check_together(read)
    return OrderIntent("place", account, read, None, caller, sign_in)


def read_modify(
    account: str, order_id: str, order: object, *, caller: str = "", sign_in: int | None = None
) -> OrderIntent:
    """The whole new ticket of a working order. InvalidRequest says what is wrong."""
    _check_account(account)
    if not _ORDER_ID.fullmatch(order_id) or order_id.startswith("-"):
        raise InvalidRequest("A change names the order by IBKR's order id, a number.")
    return OrderIntent("modify", account, (_read_order(account, order),), order_id, caller, sign_in)


def read_cancel(
    account: str,
    order_id: str,
    query: Sequence[tuple[str, str]] = (),
    *,
    caller: str = "",
    sign_in: int | None = None,
) -> OrderIntent:
    """The cancellation of one order, or with ``ALL_ORDERS`` of every open one."""
    _check_account(account)
    if not _ORDER_ID.fullmatch(order_id) or (order_id.startswith("-") and order_id != ALL_ORDERS):
        raise InvalidRequest("A cancellation names the order by IBKR's order id, a number; -1 means every open order.")
    kind: Kind = "cancel_all" if order_id == ALL_ORDERS else "cancel"
    return OrderIntent(kind, account, (), order_id, caller, sign_in, tuple(query))


def _check_account(account: str) -> None:
    if not _ACCOUNT.fullmatch(account):
        raise InvalidRequest(f"{account[:40]!r} is not an account.")


def _read_order(account: str, order: object) -> dict[str, Any]:
    if not isinstance(order, dict):
        raise InvalidRequest("An order must be a JSON object.")
    for name in order:
        known = _BY_FOLDED.get(name.lower(), name)
        if name not in _KNOWN and known != name:
            raise InvalidRequest(f"IBKR writes {known}, not {name[:40]}.")
    if order.get("acctId", account) != account:
        raise InvalidRequest(f"acctId must be the account of the address, {account}.")
    if elsewhere := [name for name in _ELSEWHERE if order.get(name) not in (None, "", False)]:
        raise InvalidRequest(f"{elsewhere[0]} would hand the order to other accounts than {account}: leave it out.")
    read = {name: value for name, value in order.items() if value is not None and name not in _ELSEWHERE}
    read["acctId"] = account
    _check_instrument(read)
    read["side"] = _read_side(read.get("side"))
    for name in ("orderType", "tif"):
        if not isinstance(read.get(name), str) or not read[name]:
            raise InvalidRequest(f"An order needs {name}.")
    for name in _WORDS:
        if name in read and not (isinstance(read[name], str) and 0 < len(read[name]) <= _LONGEST_WORD):
            raise InvalidRequest(f"{name} must be a text.")
    for name in _SWITCHES:
        if name in read and not isinstance(read[name], bool):
            raise InvalidRequest(f"{name} must be true or false.")
    _check_amounts(read)
    _check_client_order_id(read)
    return read


def _check_instrument(order: Mapping[str, Any]) -> None:
    conid, conidex = order.get("conid"), order.get("conidex")
    if (conid is None) == (conidex is None):
        raise InvalidRequest("An order names its instrument by conid or by conidex, one of them.")
    if conid is not None and (isinstance(conid, bool) or not isinstance(conid, int) or not 0 < conid < 10**12):
        raise InvalidRequest("conid must be a whole number above 0.")
    if conidex is not None and not (isinstance(conidex, str) and _CONIDEX.fullmatch(conidex)):
        raise InvalidRequest("conidex must look like 265598@NASDAQ or 28812380;;;111/1,222/-1.")


def _read_side(side: object) -> str:
    upper = side.upper() if isinstance(side, str) else ""
    if upper not in _SIDES:
        raise InvalidRequest("side must be BUY or SELL.")
    return upper


def _check_amounts(order: Mapping[str, Any]) -> None:
    given = [name for name in _AMOUNTS if name in order]
    if len(given) != 1:
        raise InvalidRequest(f"An order has exactly one of {', '.join(_AMOUNTS)}.")
    for name in (*given, *(name for name in _PRICES if name in order)):
        if not _is_number(order[name]):
            raise InvalidRequest(f"{name} must be a number, not a text.")
    if order[given[0]] <= 0:
        raise InvalidRequest(f"{given[0]} must be above 0; side says whether it is bought or sold.")
    if "trailingType" in order and order["trailingType"] not in ("amt", "%"):
        raise InvalidRequest("trailingType must be amt or %.")
    if "strategyParameters" in order and not isinstance(order["strategyParameters"], dict):
        raise InvalidRequest("strategyParameters must be an object.")


def _check_client_order_id(order: Mapping[str, Any]) -> None:
    given = order.get("cOID")
    if given is not None and not (isinstance(given, str) and _CLIENT_ORDER_ID.fullmatch(given)):
        raise InvalidRequest(f"cOID must be a text of 1 to {LONGEST_CLIENT_ORDER_ID} plain characters.")


def _check_together(orders: Sequence[Order]) -> None:
    """IBKR takes several at once only where they belong together; unrelated ones could not be told apart."""
    given = [order["cOID"] for order in orders if "cOID" in order]
    if len(set(given)) < len(given):
        raise InvalidRequest("Two orders have the same cOID.")
    parents = [order.get("parentId") for order in orders]
    if len(orders) == 1:
        return
    if all(order.get("isSingleGroup") is True for order in orders):
        return
    if parents[0] is None and "cOID" in orders[0] and all(parent == orders[0]["cOID"] for parent in parents[1:]):
        if len(given) > 1:
            raise InvalidRequest("The children of a bracket have no cOID: they carry their parent's as parentId.")
        return
    raise InvalidRequest(
        "Several orders go together only as a bracket (children with parentId) or with isSingleGroup on each.",
        action="Send unrelated orders one by one.",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
