"""Answers as IBKR has been seen to give them, by the name of the fault: what becomes of an ordinary answer.

Each takes the reply, and the name of a field or None, and changes the reply.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ib_simulator.network.http import Reply
from ib_simulator.sign_in import pages

_MARK = "\ufffe"
_IDENTIFIERS = frozenset(
    {"conid", "conidEx", "conidex", "con_id", "acctId", "acct", "orderId", "order_id", "execution_id"}
)

Place = tuple[Any, Any]
"""An object or list, and the key or index of a value in it."""


def _places(body: Any) -> Iterator[Place]:
    """Every value that is no object and no list, in the order of the text."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in list(items):
        if isinstance(value, (dict, list)):
            yield from _places(value)
        else:
            yield body, key


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).replace(",", "").lstrip("-").isdecimal()
    return isinstance(value, float)


def _write(reply: Reply, body: Any) -> None:
    reply.body = json.dumps(body, separators=(",", ":")).encode()


def _number(written: float) -> Callable[[Reply, str | None], None]:
    def replace(reply: Reply, field: str | None) -> None:
        body = json.loads(reply.body)
        places = [
            (owner, key) for owner, key in _places(body) if (_is_number(owner[key]) if field is None else key == field)
        ]
        for owner, key in places if field is not None else places[:1]:
            owner[key] = written
        _write(reply, body)

    return replace


def _marked(reply: Reply, field: str | None) -> bytes:
    """The body with a mark at the end of the first text, or of the texts of ``field``."""
    body = json.loads(reply.body)
    places = [
        (owner, key)
        for owner, key in _places(body)
        if isinstance(owner[key], str) and (key == field if field is not None else owner[key].isascii() and owner[key])
    ]
    for owner, key in places if field is not None else places[:1]:
        owner[key] += _MARK
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _not_utf8(reply: Reply, field: str | None) -> None:
    reply.body = _marked(reply, field).replace(_MARK.encode(), b"\xff")


def _lone_surrogate(reply: Reply, field: str | None) -> None:
    reply.body = _marked(reply, field).replace(_MARK.encode(), b"\\ud83d")


def _compressed(encoding: bytes, compress: Callable[[bytes], bytes]) -> Callable[[Reply, str | None], None]:
    def replace(reply: Reply, _: str | None) -> None:
        reply.body = compress(reply.body)
        reply.headers = (*reply.headers, (b"content-encoding", encoding))

    return replace


def _changed(change: Callable[[Any, Any], None]) -> Callable[[Reply, str | None], None]:
    """Applies ``change`` to every place of the body."""

    def replace(reply: Reply, _: str | None) -> None:
        body = json.loads(reply.body)
        for owner, key in list(_places(body)):
            change(owner, key)
        _write(reply, body)

    return replace


def _drop_trade_time(owner: Any, key: Any) -> None:
    if key == "trade_time_r":
        del owner[key]


def _negative_volume(owner: Any, key: Any) -> None:
    if key == "v":
        owner[key] = -1


def _conid_as_text(owner: Any, key: Any) -> None:
    if isinstance(key, str) and key.lower().replace("_", "").endswith("conid") and isinstance(owner[key], int):
        owner[key] = str(owner[key])


def _empty(reply: Reply, _: str | None) -> None:
    reply.status, reply.body = 204, b""


def _bad_row(reply: Reply, _: str | None) -> None:
    """The middle row of the first list of objects keeps what it is about and loses the rest."""
    body = json.loads(reply.body)
    rows = next(_lists(body), None)
    if rows:
        middle = len(rows) // 2
        kept = {name: value for name, value in rows[middle].items() if name in _IDENTIFIERS}
        rows[middle] = kept | {"error": "Internal error"}
    _write(reply, body)


def _lists(body: Any) -> Iterator[list[Any]]:
    if isinstance(body, list) and body and all(isinstance(row, dict) for row in body):
        yield body
    for value in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        yield from _lists(value)


def _maintenance_page(reply: Reply, _: str | None) -> None:
    reply.status, reply.body, reply.media = 200, pages.maintenance().encode(), b"text/html;charset=utf-8"


ODD_ANSWERS: dict[str, Callable[[Reply, str | None], None]] = {
    "nan": _number(float("nan")),
    "infinity": _number(float("inf")),
    "not_utf8": _not_utf8,
    "lone_surrogate": _lone_surrogate,
    "gzip": _compressed(b"gzip", gzip.compress),
    "deflate": _compressed(b"deflate", zlib.compress),
    "no_trade_time": _changed(_drop_trade_time),
    "negative_volume": _changed(_negative_volume),
    "text_conids": _changed(_conid_as_text),
    "empty": _empty,
    "bad_row": _bad_row,
    "maintenance_page": _maintenance_page,
}
