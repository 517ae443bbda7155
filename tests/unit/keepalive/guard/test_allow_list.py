"""The exact allow-list: which request lines are operations, and which parameters are refused before IBKR sees them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_keepalive.guard.allow_list import read_target, with_body
from ib_keepalive.upstream.api_request import PREFIX, ApiRequest
from ibkr import catalogue
from ibkr.errors import IbError, InvalidRequest, OperationUnknown

ROWS = catalogue.load()


def target(path: str, method: str = "GET", query: str = "") -> ApiRequest:
    return read_target(ROWS, method, (PREFIX + path).encode("latin-1"), query.encode("latin-1"))


def test_every_operation_that_the_gateway_serves_is_found_by_its_own_shape():
    for row in (row for row in ROWS if row.status != "unsupported"):
        path = row.path
        for name in row.path_parameters:
            path = path.replace(f"{{{name}}}", "X1")
        assert target(path, row.method).endpoint.path == row.path


@pytest.mark.parametrize(
    "path",
    [
        "/iserver/accounts/",
        "//iserver/accounts",
        "/iserver//accounts",
        "/iserver/./accounts",
        "/iserver/x/../accounts",
        "/iserver/..%2faccounts",
        "/iserver/%61ccounts",
        "/iserver/%2e%2e/accounts",
        "/iserver/accounts;v=1",
        "/iserver/accounts%00",
        "/iserver/accounts%20",
        "/ISERVER/accounts",
        "/iserver/Accounts",
        "/iserver/accounts\\",
        "/portfolio/../ledger",
        "/portfolio/./ledger",
        "/portfolio//ledger",
        "/portfolio/DU1%2fledger/ledger",
        "/portfolio/DU1/ledger/extra",
        "/portfolio/.hidden/ledger",
        "/portfolio/DU1./ledger",
        "/portfolio/D\xfc1/ledger",
        "/portfolio/{accountId}/ledger",
        "/../../clear",
        "/clear",
        "",
        "/",
    ],
)
def test_a_path_that_is_not_its_own_plain_form_is_unknown(path: str):
    with pytest.raises(OperationUnknown):
        target(path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/portfolio/accounts"),
        ("HEAD", "/portfolio/accounts"),
        ("get", "/portfolio/accounts"),
        ("PATCH", "/iserver/accounts"),
    ],
)
def test_another_method_is_another_operation(method: str, path: str):
    with pytest.raises(OperationUnknown):
        target(path, method)


@pytest.mark.parametrize("prefix", ["/v1/portal", "/qa/api", "/V1/api", "/v1/api/v1/api", "/v1%2fapi", "//v1/api"])
def test_other_prefixes_that_the_gateway_forwards_are_unknown(prefix: str):
    with pytest.raises(OperationUnknown):
        read_target(ROWS, "GET", f"{prefix}/portfolio/accounts".encode(), b"")


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_whatever_is_sent_reaches_ibkr_as_exactly_the_path_that_was_checked(text: str):
    try:
        request = target(f"/portfolio/{text}/ledger")
    except IbError:
        return
    assert request.target == f"{PREFIX}/portfolio/{text}/ledger"
    assert not set(text) & set("/%\\;?#. ") or "." in text.strip(".")


def test_a_trailing_slash_passes_only_where_ibkr_documents_it():
    assert target("/iserver/account/trades/") == target("/iserver/account/trades")


def test_the_order_of_query_parameters_does_not_matter():
    one = target("/iserver/marketdata/history", query="conid=8314&bar=1d&period=1w")
    other = target("/iserver/marketdata/history", query="period=1w&conid=8314&bar=1d")
    assert one.key == other.key


def test_encoded_commas_and_plain_ones_are_the_same():
    one = target("/iserver/marketdata/snapshot", query="conids=1%2C2&fields=31")
    assert one.argument("conids") == "1,2"
    assert one.target == f"{PREFIX}/iserver/marketdata/snapshot?conids=1,2&fields=31"


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4))
def test_a_query_keeps_its_meaning_on_the_way(pairs: dict[str, str]):
    from urllib.parse import parse_qsl, urlencode

    try:
        request = target("/iserver/accounts", query=urlencode(pairs))
    except InvalidRequest:
        return
    sent = request.target.partition("?")[2]
    assert dict(parse_qsl(sent, keep_blank_values=True)) == pairs


@pytest.mark.parametrize(
    "query", ["a=1&a=2", "a=%00", "a=%ff", "a=\xe9", "a=1%0d%0aX: y", "&".join(f"a{n}=1" for n in range(100))]
)
def test_a_query_that_can_be_read_two_ways_is_refused(query: str):
    with pytest.raises(InvalidRequest):
        target("/iserver/accounts", query=query)


def test_an_address_too_long_for_the_gateway_is_refused():
    with pytest.raises(InvalidRequest) as refused:
        target("/iserver/accounts", query="a=" + "1" * 4000)
    assert refused.value.status == 414


@pytest.mark.parametrize(
    ("path", "query", "missing"),
    [
        ("/iserver/marketdata/history", "conid=8314", "bar"),
        ("/iserver/marketdata/history", "conid=&bar=1d", "conid"),
        ("/iserver/secdef/search", "", "symbol"),
    ],
)
def test_missing_parameters_are_named(path: str, query: str, missing: str):
    with pytest.raises(InvalidRequest, match=missing):
        with_body(target(path, query=query), b"")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/iserver/marketdata/snapshot", "conids=" + ",".join(map(str, range(1, 102)))),
        ("/iserver/marketdata/snapshot", "conids=1&fields=" + ",".join(map(str, range(51)))),
        ("/iserver/account/trades", "days=8"),
        ("/fyi/notifications", "max=11"),
    ],
)
def test_more_than_ibkr_takes_at_once_is_refused(path: str, query: str):
    with pytest.raises(InvalidRequest, match=r"at most|up to"):
        with_body(target(path, query=query), b"")


def test_a_hundred_conids_and_fifty_fields_pass():
    query = "conids=" + ",".join(map(str, range(1, 101))) + "&fields=" + ",".join(map(str, range(50)))
    assert with_body(target("/iserver/marketdata/snapshot", query=query), b"").body is None


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"1", b"null", b'"text"', b"\xff", b'{"a":NaN}', b'{"a":1}x', b"[" * 30_000, b'{"a":' * 9000]
)
def test_a_body_that_is_not_one_json_object_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        with_body(target("/iserver/secdef/search", "POST"), body)


def test_a_get_takes_no_body():
    with pytest.raises(InvalidRequest):
        with_body(target("/iserver/accounts"), b"{}")


def test_an_absent_body_becomes_an_empty_object():
    request = with_body(target("/pa/allocation", "POST"), b"")
    assert request.body == b"{}"


def test_what_ibkr_gets_is_what_was_checked():
    sent = b'{"symbol": "IBM",\n "symbol": "AAPL", "name": false}'
    body = with_body(target("/iserver/secdef/search", "POST"), sent).body
    assert body is not None
    assert json.loads(body) == {"symbol": "AAPL", "name": False}
    assert body.count(b"symbol") == 1


def test_missing_body_parameters_are_named():
    with pytest.raises(InvalidRequest, match="period"):
        with_body(target("/pa/performance", "POST"), b'{"acctIds":["DU1"]}')


def test_a_list_in_a_body_is_limited_too():
    body = b'{"acctIds":["DU1"],"conids":[1,2],"currency":"USD"}'
    with pytest.raises(InvalidRequest, match="at most 1 conids"):
        with_body(target("/pa/transactions", "POST"), body)
