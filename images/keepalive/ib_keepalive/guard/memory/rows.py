"""Price rows by instrument: what IBKR said last, what is still on its way, and each caller's own part. Pure.

IBKR answers the first snapshot of an instrument without values; they arrive over the next seconds, slow ones (greeks,
yields) last, and some never. A field that was never asked for is never delivered. Values change every 500 ms at most.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.errors import InvalidRequest

FRESH_S = 0.5
# After these, what has not come is taken for missing: since it was asked for, and since anything else came.
_WARM_S = 5.0
_QUIET_S = 2.0
_QUICK_QUIET_S = 1.0
# Prices, sizes, the day's range and change come together, as do all fields of two digits; others may take longer.
_QUICK = frozenset({"7051", "7059", "7295", "7296", "7741", "7762"})
_FIRST_POLLS_S, _POLL_S = 0.3, 0.5
_BLANK_POLLS = 3
_MOST_ROWS = 2000
_BASE = ("conid", "conidEx", "server_id", "_updated", "6119", "6509")
_AVAILABILITY, _UPDATED = "6509", "_updated"
_MOST_FIELDS = 50
# No data for this user, so that waiting is in vain.
_NO_DATA = ("N", "O", "i")
_CONID = re.compile(r"[1-9][0-9]{0,11}(@[A-Za-z0-9.]{1,20})?")
_FIELD = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What one caller wants, in its own order; a conid may be ``conid@EXCHANGE``. No fields: all that are known."""

    conids: tuple[str, ...]
    fields: tuple[str, ...]


def read_wish(request: ApiRequest) -> Wish:
    """The instruments and fields of a snapshot. InvalidRequest names the first that is not one."""
    conids = _split(request.argument("conids") or "")
    fields = _split(request.argument("fields") or "")
    for conid in conids:
        if not _CONID.fullmatch(conid):
            raise InvalidRequest(f"{conid[:40]!r} is not a conid; they look like 265598 or 265598@NASDAQ.")
    for name in fields:
        if not _FIELD.fullmatch(name):
            raise InvalidRequest(f"{name[:40]!r} is not the number of a market-data field; they look like 31.")
    if not conids:
        raise InvalidRequest("get_price_snapshot needs at least one conid.")
    return Wish(conids, fields)


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in (part.strip() for part in text.split(",")) if part))


@dataclass(slots=True)
class Row:
    """``read``: when each field was read last; ``first``: when it was asked for first; ``news``: when one came last.

    ``updated``: what IBKR gave as the time of each value.
    """

    seen: float
    polls: int = 0
    news: float = 0.0
    base: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    updated: dict[str, Any] = field(default_factory=dict)


class Rows:
    """The rows of one brokerage session, the least recently read of very many forgotten."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Row] = OrderedDict()

    def clear(self) -> None:
        self._rows.clear()

    def take(self, conids: Iterable[str], fields: Iterable[str], body: Sequence[Any], now: float) -> None:
        """Note IBKR's answer ``body`` to a request for these conids and fields."""
        asked = tuple(conids)
        found = _match(asked, body)
        for conid in asked:
            row = self._rows.setdefault(conid, Row(now))
            self._rows.move_to_end(conid)
            _update(row, tuple(fields), found.get(conid, {}), now)
        while len(self._rows) > _MOST_ROWS:
            self._rows.popitem(last=False)

    def is_fresh(self, conid: str, fields: Sequence[str], since: float) -> bool:
        """Whether all ``fields`` were read after ``since``, or shortly before."""
        row = self._rows.get(conid)
        if row is None or row.seen < since - FRESH_S:
            return False
        return all(row.read.get(name, float("-inf")) >= since - FRESH_S for name in fields)

    def poll_at(self, conid: str, fields: Sequence[str], now: float) -> float | None:
        """When to look again for fields that are on their way, or None when none is."""
        row = self._rows.get(conid)
        if row is None:
            return None
        missing = [name for name in fields if name not in row.values]
        if not missing or str(row.base.get(_AVAILABILITY, ""))[:1] in _NO_DATA:
            return None
        asked = [row.first.get(name, now) for name in missing]
        if now >= max(asked) + _WARM_S:
            return None
        # As far as has been looked: a value may have come since then.
        since_news = row.seen - max(row.news, *asked)
        are_quick = all(len(name) == 2 or name in _QUICK for name in missing)
        if row.values and since_news >= (_QUICK_QUIET_S if are_quick else _QUIET_S):
            return None
        return row.seen + (_FIRST_POLLS_S if row.polls < 2 else _POLL_S)

    def blank(self, conids: Iterable[str]) -> list[str]:
        """Those that have shown no value at all when others have."""
        rows = ((conid, self._rows.get(conid)) for conid in conids)
        return [conid for conid, row in rows if row is not None and row.polls >= _BLANK_POLLS and not row.values]

    def with_known_fields(self, wish: Wish) -> Wish:
        """``wish`` with all fields that are known of its instruments, where it names none: they have to be read too."""
        if wish.fields:
            return wish
        rows = (self._rows.get(conid) for conid in wish.conids)
        names = dict.fromkeys(name for row in rows if row is not None for name in row.values if name not in _BASE)
        return Wish(wish.conids, tuple(names)[:_MOST_FIELDS])

    def answer(self, wish: Wish) -> list[dict[str, Any]]:
        """One row for each instrument IBKR has answered for, with the caller's fields that have a value."""
        answer = []
        for conid in wish.conids:
            row = self._rows.get(conid)
            if row is not None and row.base:
                names = [name for name in wish.fields or row.values if name in row.values]
                answer.append(row.base | _updated(row, names) | {name: row.values[name] for name in names})
        return answer

    def fetched_at(self, wish: Wish) -> float:
        """When the oldest part of the answer was read."""
        rows = [self._rows[conid] for conid in wish.conids]
        return min(
            min((row.read.get(name, row.seen) for name in wish.fields or row.values), default=row.seen) for row in rows
        )

    def has(self, conids: Iterable[str]) -> bool:
        """Whether there is a row for each."""
        return all(conid in self._rows for conid in conids)

    def renew(self, conid: str) -> None:
        """IBKR was told to stop this instrument: the next answers for it are first ones again."""
        row = self._rows.get(conid)
        if row is not None:
            row.polls = 0
            row.first.clear()
            row.read.clear()
            row.updated.clear()


def _update(row: Row, fields: Sequence[str], found: dict[str, Any], now: float) -> None:
    row.seen, row.polls = now, row.polls + 1
    had = [name for name in fields if name in row.values and name not in _BASE]
    if had and not any(name in found for name in had):
        # IBKR let its feed go: what comes now is a first answer again.
        row.polls = 1
        row.first.clear()
        row.values.clear()
    if found:
        row.base = {name: found[name] for name in _BASE if name in found}
    for name in fields:
        row.read[name] = now
        row.first.setdefault(name, now)
        if name not in found:
            row.values.pop(name, None)
    for name, value in found.items():
        if name.isdecimal():
            if name not in row.values:
                row.news = now
            row.values[name] = value
            row.updated[name] = found.get(_UPDATED)
            row.read[name] = now
            row.first.setdefault(name, now)


def _updated(row: Row, names: Sequence[str]) -> dict[str, Any]:
    """IBKR's time of the value that was read longest ago."""
    oldest = min(names, key=lambda name: row.read.get(name, 0.0), default=None)
    value = None if oldest is None else row.updated.get(oldest)
    return {} if value is None else {_UPDATED: value}


def _match(conids: Sequence[str], body: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """IBKR's rows by the form of the conid that was asked for."""
    found: dict[str, dict[str, Any]] = {}
    plain: dict[str, list[str]] = {}
    for conid in conids:
        plain.setdefault(conid.partition("@")[0], []).append(conid)
    for row in body:
        if not isinstance(row, dict):
            continue
        exact, number = str(row.get("conidEx", "")), str(row.get("conid", ""))
        forms = plain.get(number, [])
        if exact in conids:
            found[exact] = row
        elif len(forms) == 1:
            found[forms[0]] = row
    return found
