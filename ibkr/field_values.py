"""Reading the values of market-data fields as IBKR writes them.

Numbers become ``Decimal``, never float: IBKR sends them as text ("1,234.5", "163.773K", "0.54%", "C198.63"), as JSON
numbers, or as a word for "not applicable". ``format(value, "f")`` writes them without an exponent. Dates stay text,
since their form varies by field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ibkr.fields import Field

Note = Literal["", "previous_close", "halted", "not_applicable", "unreadable"]
Timing = Literal["live", "delayed", "frozen", "frozen_delayed", "not_subscribed", "not_acknowledged", "unknown"]


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A value of a field: Decimal for price, money, size, percent (in percent) and ratio, bool for flag, else text.

    ``note``: ``previous_close`` and ``halted`` qualify the last price; with ``not_applicable`` the value is None; with
    ``unreadable`` it is IBKR's own text.
    """

    value: Decimal | bool | str | None
    note: Note = ""


@dataclass(frozen=True, slots=True)
class Availability:
    """What field 6509 says about quotes. ``reason`` says in a sentence what ``timing`` means, and is empty for live.

    ``consolidated``: over all exchanges. ``book``: the order book is available too.
    """

    timing: Timing
    reason: str
    consolidated: bool
    book: bool


_NUMBER = re.compile(
    r"([+-]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,2})|([KMBT%]))?"
)
_SCALE = {"K": 3, "M": 6, "B": 9, "T": 12}
_NOT_APPLICABLE = frozenset({"", "None", "N/A", "?"})
_LAST = "31"
_LAST_NOTES: dict[str, Note] = {"C": "previous_close", "H": "halted"}
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

_TIMINGS: dict[str, tuple[Timing, str]] = {
    "R": ("live", ""),
    "D": ("delayed", "The quotes are 15 to 20 minutes old, for want of a market-data subscription."),
    "Z": ("frozen", "The quotes are the last ones before the market closed."),
    "Y": ("frozen_delayed", "The quotes are the last delayed ones before the market closed."),
    "N": ("not_subscribed", "The user has no market-data subscription for this instrument."),
    "O": ("not_acknowledged", "The user has not signed IBKR's market-data agreement for the API."),
    "i": ("not_acknowledged", "The user has not signed IBKR's market-data agreement for the API."),
}


def parse(field: Field, raw: Any) -> FieldValue:
    """The value of ``field`` that IBKR wrote as ``raw``; whatever ``raw`` is, this does not raise."""
    if raw is None:
        return FieldValue(None, "not_applicable")
    text = _text(raw)
    if text in _NOT_APPLICABLE:
        return FieldValue(None, "not_applicable")
    if field.kind == "flag":
        flag = _FLAGS.get(text.lower())
        return FieldValue(text, "unreadable") if flag is None else FieldValue(flag)
    if field.kind in ("date", "text", "id"):
        return FieldValue(text)
    note: Note = ""
    digits = text
    if field.number == _LAST and text[0] in _LAST_NOTES:
        note, digits = _LAST_NOTES[text[0]], text[1:]
    value = number(digits, percent=field.kind == "percent", scaled=field.kind in ("size", "money"))
    return FieldValue(text, "unreadable") if value is None else FieldValue(value, note)


def number(text: str, *, percent: bool = False, scaled: bool = False) -> Decimal | None:
    """``text`` as a Decimal, or None when it is no number; thousands may be separated by commas.

    ``percent`` admits a trailing "%" (the value stays in percent), ``scaled`` a trailing K, M, B or T.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    digits, exponent, unit = match.groups()
    if (unit == "%" and not percent) or (unit in _SCALE and not scaled):
        return None
    # Through text, so that no context rounds it and nothing is left as 1.5E+6.
    return Decimal(format(Decimal(f"{digits.replace(',', '')}e{exponent or _SCALE.get(unit, 0)}"), "f"))


def availability(letters: str) -> Availability:
    """What the letters of field 6509 mean, e.g. ``RpB``: live, consolidated, with the book.

    The first of R, D, Z, Y, N, O and i decides; letters that say nothing about quotes (v, d, S) are passed over.
    """
    timing, reason = next(
        (_TIMINGS[letter] for letter in letters if letter in _TIMINGS),
        ("unknown", "IBKR did not say whether the quotes are live."),
    )
    return Availability(timing, reason, consolidated="p" in letters, book="B" in letters)


def _text(raw: Any) -> str:
    return ("true" if raw else "false") if isinstance(raw, bool) else str(raw).strip()
