"""The exact allow-list of the data port: what may be asked, checked and in canonical form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ib_keepalive.upstream.api_request import PREFIX, ApiRequest
from ib_service import strict_json
from ib_service.http.urls import pairs_of
from ibkr.catalogue import Catalogue
from ibkr.errors import InvalidRequest, OperationUnknown
from ibkr.operation import Operation

# The gateway matches the normalised path and forwards the raw one, so only paths that are their own normal form pass.
_SEGMENT = r"[A-Za-z0-9_~@-]+(?:\.[A-Za-z0-9_~@-]+)*"
_SAFE_PATH = re.compile(rf"{PREFIX}((?:/{_SEGMENT})+)")
# IBKR's own documents, and clients after them, write this one path with a slash at its end.
_ALSO = {f"{PREFIX}/iserver/account/trades/": f"{PREFIX}/iserver/account/trades"}
# The gateway refuses longer ones: 4096 bytes with the scheme and host.
_LONGEST_TARGET = 3800
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LISTS = frozenset({"conids", "fields", "algos"})
_MOST_QUERY_FIELDS = 64
_LONGEST_NUMBER = 18


def read_target(catalogue: Catalogue, method: str, raw_path: bytes, raw_query: bytes) -> ApiRequest:
    """The operation that the request line names, without a body.

    OperationUnknown for everything that is not exactly the shape of a catalogue row, InvalidRequest for a query that
    cannot be read.
    """
    if len(raw_path) + len(raw_query) > _LONGEST_TARGET:
        raise InvalidRequest("The address is too long for IBKR's gateway.", action="Ask for less at once.", status=414)
    given = raw_path.decode("latin-1")
    path = _ALSO.get(given, given)
    safe = _SAFE_PATH.fullmatch(path)
    matched = catalogue.match(method, safe[1]) if safe else None
    if safe is None or matched is None:
        raise OperationUnknown("No operation of IBKR's Web API has this method and path.")
    endpoint, values = matched
    for name, value in endpoint.never.items():
        # As IBKR reads numbers.
        if values.get(name, "").lstrip("0-") == value.lstrip("0"):
            raise InvalidRequest(f"IBKR takes {name} {value} for all at once.", action=f"Name one {name}.")
    return ApiRequest(endpoint, safe[1], _read_query(raw_query))


def with_body(request: ApiRequest, content: bytes) -> ApiRequest:
    """``request`` with the request's body, after checking all its parameters. InvalidRequest says what is wrong."""
    endpoint = request.endpoint
    given: dict[str, Any] = {}
    body: bytes | None = None
    if endpoint.method == "GET":
        if content:
            raise InvalidRequest("A GET takes no body.", action="Send the parameters in the query.")
    else:
        given, body = _read_object(content)
    _check_required(endpoint, dict(request.query), given)
    _check_limits(endpoint, dict(request.query), given)
    return request if body is None else replace(request, body=body)


def _read_query(raw: bytes) -> tuple[tuple[str, str], ...]:
    try:
        pairs = pairs_of(raw, _MOST_QUERY_FIELDS)
    except (ValueError, UnicodeError):
        raise InvalidRequest("The query cannot be read.") from None
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise InvalidRequest("A query parameter is given twice.", action="Give each once, lists with commas.")
    if any(_CONTROL.search(name + value) for name, value in pairs):
        raise InvalidRequest("The query holds control characters.")
    return tuple(sorted(pairs))


def _read_object(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON object in a body, and its canonical form."""
    if not content.strip():
        return {}, b"{}"
    try:
        value = strict_json.load(content)
    except ValueError:
        raise InvalidRequest("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value, json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _check_required(endpoint: Operation, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
    missing = [p.name for p in endpoint.query if p.required and not query.get(p.name)]
    missing += [p.name for p in endpoint.body if p.required and body.get(p.name) in (None, "")]
    if missing:
        where = "body" if endpoint.method != "GET" else "query"
        raise InvalidRequest(f"{endpoint.id} needs {', '.join(missing)} in its {where}.")


def _check_limits(endpoint: Operation, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
    for name, most in endpoint.limits.items():
        value = body.get(name, query.get(name))
        if isinstance(value, list) and len(value) > most:
            raise InvalidRequest(f"{endpoint.id} takes at most {most} {name} at once.")
        if isinstance(value, str) and name in _LISTS and value.count(",") >= most:
            raise InvalidRequest(f"{endpoint.id} takes at most {most} {name} at once.")
        if name not in _LISTS and isinstance(value, (int, str)) and _is_above(str(value), most):
            raise InvalidRequest(f"{endpoint.id} takes {name} up to {most}.")


def _is_above(text: str, most: int) -> bool:
    digits = text.lstrip("0") if text.isdecimal() else ""
    return len(digits) > _LONGEST_NUMBER or (digits != "" and int(digits) > most)
