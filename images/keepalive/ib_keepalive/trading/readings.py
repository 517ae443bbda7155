"""IBKR's bodies as facts for the limits: what is missing or odd in them becomes unknown, never a default. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from ib_keepalive.trading.facts import DELAY_S, Instrument, PendingOrder, Price
from ib_keepalive.trading.reckoning import OPTIONS
from ibkr import field_values
from ibkr.fields import BY_NUMBER
from ibkr.session import Mode

# Last, bid and ask.
PRICE_FIELDS = ("31", "84", "86")
# The pseudo account of advisors.
_ALL = "all"
_WITH_MULTIPLIER = frozenset({"OPT", "FOP", "FUT", "WAR", "IOPT", "CFD", "FUND_OPT"})
# Prices in a hundredth of these currencies are known at some exchange; those of futures in parts of any.
_DIVIDED = frozenset({"GBP", "GBX", "ZAR", "ILS"})
_UNDIVIDED = frozenset({"CASH", "CRYPTO", "IND", "FUND", "BOND", "BILL"})
_DONE = frozenset({"filled", "cancelled", "inactive"})
_LEG = re.compile(r"([0-9]+)(?:@[^/]*)?/(-?[0-9]+)")
_DAY_S = 86400.0
_NO_BOUND = Decimal("Infinity")


def read_accounts(body: Any) -> frozenset[str]:
    """The accounts in ``/iserver/accounts``, without advisors' groups and the pseudo account of all."""
    told = body if isinstance(body, dict) else {}
    groups = {str(name) for name in _list(told.get("groups"))}
    names = {name for name in _list(told.get("accounts")) if isinstance(name, str)}
    return frozenset(name for name in names - groups if name.lower() != _ALL)


def read_is_paper(body: Any, mode: Mode) -> bool | None:
    """Whether the sign-in is one of paper trading, by both of IBKR's words; None where it does not say."""
    told = body.get("isPaper") if isinstance(body, dict) else None
    if told is False or mode == "live":
        return False
    return True if told is True or mode == "paper" else None


def read_base(body: Any, account: str) -> str:
    """The base currency of ``account`` in ``/portfolio/accounts``; empty where it is not told."""
    for row in _objects(body):
        if account in (row.get("accountId"), row.get("id")) and isinstance(row.get("currency"), str):
            return str(row["currency"])
    return ""


def read_rate(body: Any) -> Decimal | None:
    """The rate in ``/iserver/exchangerate``."""
    rate = _decimal(body.get("rate")) if isinstance(body, dict) else None
    return rate if rate is not None and rate > 0 else None


def read_instruments(body: Any) -> Iterator[Instrument]:
    """The instruments of ``/trsrv/secdef``; ``divisor`` is None where the order rules have to tell it."""
    for row in _objects(body.get("secdef") if isinstance(body, dict) else None):
        conid, kind = _decimal(row.get("conid")), str(row.get("assetClass") or "").upper()
        symbol, currency = row.get("ticker"), row.get("currency")
        if conid is None or not kind or not isinstance(symbol, str) or not isinstance(currency, str):
            continue
        multiplier = _decimal(row.get("multiplier"))
        underlying = _decimal(row.get("undConid"))
        may_be_divided = kind in ("FUT", "FOP") or (currency in _DIVIDED and kind not in _UNDIVIDED)
        yield Instrument(
            conid=int(conid),
            symbol=symbol.upper(),
            security_type=kind,
            currency=currency.upper(),
            exchange=str(row.get("listingExchange") or "").upper(),
            multiplier=multiplier or (None if kind in _WITH_MULTIPLIER else Decimal(1)),
            divisor=None if may_be_divided else Decimal(1),
            right=str(row.get("putOrCall") or "")[:1].upper() or None,
            strike=_decimal(row.get("strike")) or None,
            maturity=str(row.get("expiry") or row.get("lastTradingDay") or ""),
            underlying=int(underlying) if underlying else None,
        )


def with_divisor(instrument: Instrument, rules: Any) -> Instrument:
    """``instrument`` with what its order rules say of its price."""
    told = rules.get("rules", rules) if isinstance(rules, dict) else None
    if not isinstance(told, dict):
        return instrument
    return replace(instrument, divisor=_decimal(told.get("priceMagnifier")) or Decimal(1))


def read_prices(body: Any, *, since_s: float, wall: float) -> dict[int, Price]:
    """Prices of a snapshot that was read ``since_s`` ago, at ``wall`` (epoch seconds), by conid."""
    found: dict[int, Price] = {}
    for row in _objects(body):
        conid, updated = _decimal(row.get("conid")), _decimal(row.get("_updated"))
        if conid is None or updated is None:
            continue
        age_s = max(since_s, wall - float(updated) / 1000)
        timing = field_values.availability(str(row.get("6509") or "")).timing
        if timing in ("delayed", "frozen_delayed"):
            age_s += DELAY_S
        last, bid, ask = (field_values.parse(BY_NUMBER[name], row.get(name)) for name in PRICE_FIELDS)
        is_old = last.note == "previous_close"
        offers = [_offer(value.value) for value in (bid, ask)]
        if is_old and offers != [None, None]:
            # The close of the day before says less than what is offered now.
            last = field_values.FieldValue(None)
        elif is_old:
            age_s += _DAY_S
        traded = last.value if isinstance(last.value, Decimal) and last.value else None
        found[int(conid)] = Price(age_s, offers[0], offers[1], traded)
    return found


def read_positions(body: Any) -> dict[int, Decimal] | None:
    """Units by conid in ``/portfolio2/{account}/positions``; None where a row cannot be read."""
    if not isinstance(body, list):
        return None
    found: dict[int, Decimal] = {}
    for row in body:
        conid = _decimal(row.get("conid")) if isinstance(row, dict) else None
        units = _decimal(row.get("position")) if isinstance(row, dict) else None
        if conid is None or units is None:
            return None
        # An advisor's models hold parts of the same.
        found[int(conid)] = found.get(int(conid), Decimal()) + units
    return found


def read_option_conids(body: Any) -> set[int]:
    """The instruments in ``/portfolio2/{account}/positions`` that are options, or may be."""
    rows = ((_decimal(row.get("conid")), row.get("assetClass") or row.get("secType")) for row in _objects(body))
    return {int(conid) for conid, kind in rows if conid is not None and kind in (None, *OPTIONS)}


def read_pending(body: Any, account: str) -> list[PendingOrder] | None:
    """The orders of ``account`` in ``/iserver/account/orders`` that may still be filled; None where it has no list."""
    rows = body.get("orders") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        return None
    found: list[PendingOrder] = []
    for row in _objects(rows):
        if row.get("acct") in (None, account) and str(row.get("status", "")).lower() not in _DONE:
            found += _pending(row)
    return found


def _pending(row: Mapping[str, Any]) -> Iterator[PendingOrder]:
    """One for each leg. Units that are not told count as without bound, and as none that a change could keep."""
    sign = -1 if str(row.get("side", "")).upper().startswith("S") else 1
    remaining, total = _decimal(row.get("remainingQuantity")), _decimal(row.get("totalSize"))
    if row.get("totalCashSize") is not None:
        # Told in money, of which nobody knows how many units it becomes.
        remaining = total = None
    text = str(row.get("conidex") or "")
    conid = _decimal(row.get("conid"))
    legs = [(int(found[1]), int(found[2])) for found in _LEG.finditer(text.partition(";;;")[2])]
    if not legs and conid is not None:
        legs = [(int(conid), 1)]
    prices = [_decimal(row.get(name)) for name in ("price", "auxPrice")]
    for number, ratio in legs:
        yield PendingOrder(
            conid=number,
            side="BUY" if ratio * sign > 0 else "SELL",
            remaining=_NO_BOUND if remaining is None else remaining * abs(ratio),
            total=(total or Decimal()) * abs(ratio),
            order_id=None if row.get("orderId") is None else str(row["orderId"]),
            order_type=str(row.get("origOrderType") or row.get("orderType") or "").upper(),
            price=prices[0] if prices[0] is not None else prices[1],
            client_order_id=str(row["order_ref"]) if row.get("order_ref") else None,
        )


def _offer(value: object) -> Decimal | None:
    """IBKR writes -1 or 0 where nothing is offered."""
    return value if isinstance(value, Decimal) and value > 0 else None


def _decimal(value: object) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    return field_values.number(str(value))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [row for row in _list(value) if isinstance(row, dict)]
