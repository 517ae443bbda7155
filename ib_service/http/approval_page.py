"""The page on which a person approves orders: everything of each order, two buttons, no script.

What will be sent is shown field by field as the guard holds it; the words, the cost and the warnings beside it are
those of the preview, which came from whoever asked; what IBKR calls the instruments is shown as well.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from ib_service.http import page
from ibkr.wording import Tone

Answer = Literal["approve", "refuse"]

TITLE = "Orders to approve"
NOTICES = {"approved": "Approved: the agent can submit it now.", "refused": "Refused: it will not be sent."}
"""After a decision."""

GONE = "That order waits no more: it was decided, or its time is over."
_FIELDS = {
    "side": "Side",
    "quantity": "Quantity",
    "cashQty": "Amount of money",
    "fxQty": "Amount to convert",
    "orderType": "Order type",
    "price": "Price",
    "auxPrice": "Stop or trigger price",
    "trailingAmt": "Trailing amount",
    "trailingType": "Trailing in",
    "tif": "Time in force",
    "outsideRTH": "Outside regular hours",
    "conid": "Instrument (conid)",
    "conidex": "Instrument (conidex)",
    "ticker": "Symbol given",
    "acctId": "Account",
    "cOID": "Client order id",
    "parentId": "After the order",
    "isSingleGroup": "One of the group only",
    "strategy": "Algo",
    "strategyParameters": "Algo parameters",
    "manualIndicator": "Entered by hand",
    "allOrNone": "All or none",
}
_SHOWN_APART = ("words", "warnings", "account", "is_paper", "instruments")
_DEEPEST = 6
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Paths:
    """``listed`` is the page's address; a decision goes to ``listed`` as a form."""

    listed: str
    back: str
    back_label: str


class FormKeys:
    """What proves that a form came from this page: nobody else can make one."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, ticket: str) -> str:
        return hmac.new(self._secret, ticket.encode(), hashlib.sha256).hexdigest()

    def is_right(self, ticket: str, key: str) -> bool:
        return hmac.compare_digest(self.of(ticket).encode(), key.encode())


def main(
    approvals: Sequence[Mapping[str, Any]],
    paths: Paths,
    keys: FormKeys | None,
    *,
    mode: str,
    now: float,
    notice: str = "",
    more_fields: str = "",
) -> tuple[str, Tone]:
    """The page's content, and its tone. ``approvals`` are those of the guard; ``mode`` paper, live or unknown.

    ``keys`` and ``more_fields`` (HTML) go into each form. An item's own ``mode`` comes before ``mode``.
    """
    said = f'<p role="status">{escape(notice)}</p>' if notice else ""
    items = "".join(_approval(item, paths, keys, mode, now, more_fields) for item in approvals)
    none = "" if items else "<p>No order waits for you.</p>"
    back = (
        f'<p class="detail"><a href="{escape(paths.listed)}">Look again</a> · '
        f'<a href="{escape(paths.back)}">{escape(paths.back_label)}</a></p>'
    )
    return f"{said}{none}{items}{back}", "act" if items else "good"


def first(approvals: Iterable[Mapping[str, Any]], ticket: str) -> tuple[list[Mapping[str, Any]], bool]:
    """The same with that of ``ticket`` first, and whether it is not among them."""
    ordered = sorted(approvals, key=lambda item: item.get("ticket") != ticket)
    return ordered, bool(ticket) and (not ordered or ordered[0].get("ticket") != ticket)


def _approval(
    item: Mapping[str, Any], paths: Paths, keys: FormKeys | None, mode: str, now: float, more_fields: str
) -> str:
    ticket = str(item.get("ticket", ""))
    summary = item.get("summary")
    summary = summary if isinstance(summary, Mapping) else {}
    mode = str(item.get("mode") or mode)
    left = max(0, round(float(item.get("decide_by") or now) - now))
    kind = "Change of order " + str(item.get("order_id")) if item.get("kind") == "modify" else "New order"
    facts = [
        ("Account", f"{item.get('account')} ({_mode(mode)})"),
        ("Asked by", str(item.get("caller") or "an agent without a name")),
        ("Left to decide", f"{left // 60} min {left % 60} s"),
    ]
    key = "" if keys is None else f'<input type="hidden" name="key" value="{keys.of(ticket)}">'
    buttons = (
        f'<form method="post" action="{escape(paths.listed)}">{key}{more_fields}'
        f'<input type="hidden" name="ticket" value="{escape(ticket)}">'
        f'<button class="button" name="answer" value="approve" aria-label="Approve: {escape(_words(summary))}">'
        "Approve</button>"
        f'<button class="quiet" name="answer" value="refuse" aria-label="Refuse: {escape(_words(summary))}">'
        "Refuse</button></form>"
    )
    return (
        f'<section class="approval" id="{escape(ticket)}"><h2>{escape(kind)} {_badge(mode)}</h2>'
        f'<p class="named">{escape(_words(summary))}</p>{_doubts(item, summary, mode)}{_warnings(summary)}'
        f"<dl>{_rows(facts)}{_rows(_told(summary))}</dl>"
        f"<h3>What is sent to IBKR</h3>{_sent(item, summary)}{buttons}</section>"
    )


def _words(summary: Mapping[str, Any]) -> str:
    return _text(summary.get("words") or "An order without words; read what is sent.")


def _mode(mode: str) -> str:
    return {"paper": "PAPER account", "live": "LIVE account, real money"}.get(mode, "paper or live: not known")


def _badge(mode: str) -> str:
    return "" if mode not in ("paper", "live") else f'<span class="badge" data-mode="{mode}">{mode.upper()}</span>'


def _doubts(item: Mapping[str, Any], summary: Mapping[str, Any], mode: str) -> str:
    """Where the words say something else than what is sent."""
    found = []
    if summary.get("account") not in (None, item.get("account")):
        found.append(f"The words name another account: {_text(summary['account'])}.")
    if mode in ("paper", "live") and summary.get("is_paper") not in (None, mode == "paper"):
        found.append(f"The words call it {'paper' if summary['is_paper'] else 'live'}; this is the {mode} login.")
    return "".join(f'<p role="alert">{escape(text)}</p>' for text in found)


def _warnings(summary: Mapping[str, Any]) -> str:
    warnings = summary.get("warnings")
    listed = warnings if isinstance(warnings, list) else [warnings] if warnings else []
    return "".join(f'<p role="alert">{escape(_text(warning))}</p>' for warning in listed)


def _told(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rest = {name: value for name, value in summary.items() if name not in _SHOWN_APART}
    return list(_flat(rest, ""))


def _flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Names and texts of everything in it."""
    if isinstance(value, Mapping) and value.keys() == {"amount", "currency"}:
        yield name, f"{_text(value['amount'])} {_text(value['currency'])}"
    elif isinstance(value, Mapping) and depth < _DEEPEST:
        for key, inner in value.items():
            label = str(key).replace("_", " ")
            yield from _flat(inner, f"{name}, {label}" if name else label.capitalize(), depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for inner in value:
            yield from _flat(inner, name, depth + 1)
    elif value is not None:
        yield name, _text(value)


def _sent(item: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    orders, named = item.get("orders"), summary.get("instruments")
    tables = []
    for order in orders if isinstance(orders, list) else []:
        rows = [(label, _text(order[name])) for name, label in _FIELDS.items() if name in order]
        rows += [(name, _text(value)) for name, value in order.items() if name not in _FIELDS]
        tables.append(f"<dl>{_rows(rows)}</dl>")
    # As IBKR calls them, whatever the words say.
    called = named.items() if isinstance(named, Mapping) else ()
    names = _rows((f"{conid} at IBKR", _text(name)) for conid, name in called)
    return "".join(tables) + (f"<dl>{names}</dl>" if names else "")


def _rows(rows: Any) -> str:
    return "".join(f"<div><dt>{escape(str(name))}</dt><dd>{escape(text)}</dd></div>" for name, text in rows)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def document(content: str, tone: Tone) -> str:
    """The whole page."""
    return page.document(TITLE, page.heading(TITLE) + content, tone=tone)
