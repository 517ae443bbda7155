"""The rows of ibkr/endpoints.toml, against themselves and against what IBKR publishes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

from ibkr import catalogue, not_served
from ibkr.fields import FIELDS
from ibkr.operation import TAGS, Effect, Method, Operation, Pacing, Support, Tier
from support import published

ROWS = list(catalogue.load())

_SWITCH = "it changes what every client of the session sees, so that it wants the permission of the writes"
# Where our judgement of an operation's effect differs from the published list's, with the reason.
OTHER_EFFECTS: dict[str, tuple[Effect, str]] = {
    "select_account": ("write", _SWITCH),
    "select_dynamic_account": ("write", _SWITCH),
}


def broken(rule: Callable[[Operation], bool]) -> list[str]:
    """Ids of the rows that do not keep ``rule``."""
    return [endpoint.id for endpoint in ROWS if not rule(endpoint)]


def test_rows_keep_to_the_closed_lists() -> None:
    assert {endpoint.method for endpoint in ROWS} <= set(get_args(Method))
    assert {endpoint.tier for endpoint in ROWS} <= set(get_args(Tier))
    assert {endpoint.effect for endpoint in ROWS} <= set(get_args(Effect))
    assert {endpoint.status for endpoint in ROWS} <= set(get_args(Support))
    assert {tag for endpoint in ROWS for tag in endpoint.tags} == set(TAGS)
    assert broken(lambda endpoint: 1 <= len(endpoint.tags) == len(set(endpoint.tags))) == []


def test_ids_and_paths_are_well_formed() -> None:
    assert broken(lambda endpoint: bool(re.fullmatch(r"[a-z]+(_[a-z]+)*", endpoint.id))) == []
    assert broken(lambda endpoint: bool(re.fullmatch(r"(/([a-z0-9_-]+|\{[a-zA-Z]+\}))+", endpoint.path))) == []


def test_numbers_are_possible_ones() -> None:
    assert broken(lambda endpoint: endpoint.fresh_s >= 0) == []
    assert broken(lambda endpoint: endpoint.pacing is None or min(endpoint.pacing) > 0) == []
    assert broken(lambda endpoint: endpoint.concurrent is None or endpoint.concurrent > 0) == []
    assert broken(lambda endpoint: min(endpoint.limits.values(), default=1) > 0) == []


def test_parameter_names_of_a_row_are_unique() -> None:
    def unique(endpoint: Operation) -> bool:
        groups = ([parameter.name for parameter in group] for group in (endpoint.query, endpoint.body))
        return all(
            len({*names, *endpoint.path_parameters}) == len([*names, *endpoint.path_parameters]) for names in groups
        )

    assert broken(unique) == []


def test_limits_are_about_parameters_of_the_row() -> None:
    assert broken(lambda row: set(row.limits) <= {parameter.name for parameter in (*row.query, *row.body)}) == []


def test_preflight_names_other_operations_that_can_come_before() -> None:
    tiers = get_args(Tier)

    def possible(endpoint: Operation) -> bool:
        needed = [catalogue.load()[name] for name in endpoint.preflight]
        return all(
            one.id != endpoint.id
            and tiers.index(one.tier) <= tiers.index(endpoint.tier)
            and one.effect in ("read", "session")
            and (one.status != "unsupported" or endpoint.status == "unsupported")
            for one in needed
        )

    assert broken(possible) == []


def test_only_answers_of_reads_are_shared() -> None:
    assert broken(lambda endpoint: endpoint.fresh_s == 0 or endpoint.effect == "read") == []


def test_a_slow_answer_is_shared_until_the_next_call_is_allowed() -> None:
    def lasts(endpoint: Operation) -> bool:
        if endpoint.pacing is None or endpoint.effect != "read" or endpoint.pacing.seconds < 2:
            return True
        return endpoint.fresh_s >= endpoint.pacing.seconds / endpoint.pacing.calls

    assert broken(lasts) == []


def test_unsupported_rows_give_a_reason_in_a_sentence() -> None:
    assert broken(lambda endpoint: bool(endpoint.reason) or endpoint.status != "unsupported") == []
    assert broken(lambda endpoint: not endpoint.reason or endpoint.reason.endswith(".")) == []


def test_titles_are_one_line_to_choose_by() -> None:
    assert broken(lambda endpoint: 12 <= len(endpoint.title) <= 120) == []
    assert broken(lambda endpoint: endpoint.title[0].isupper() and not endpoint.title.endswith(".")) == []
    assert broken(lambda endpoint: "\n" not in endpoint.title) == []


def test_titles_are_unique() -> None:
    titles = [endpoint.title for endpoint in ROWS]
    assert len(set(titles)) == len(titles)


def test_what_costs_money_or_trades_is_never_a_read() -> None:
    assert {endpoint.id for endpoint in ROWS if endpoint.effect == "charge"} == {"get_regulatory_snapshot"}
    order = re.compile(r"/(orders|order/\{orderId\}|reply/\{replyId\}|submit-transfers)$")
    changes = [endpoint for endpoint in ROWS if endpoint.method != "GET" and order.search(endpoint.path)]
    assert len(changes) == 6
    assert {endpoint.effect for endpoint in changes} == {"trade"}


def test_two_supported_operations_never_have_the_same_shape() -> None:
    shapes = [
        (endpoint.method, re.sub(r"\{\w+\}", "{}", endpoint.path))
        for endpoint in ROWS
        if endpoint.status != "unsupported"
    ]
    assert len(set(shapes)) == len(shapes)


def test_catalogue_holds_exactly_what_the_gateway_serves() -> None:
    assert {(endpoint.method, endpoint.path) for endpoint in ROWS} == set(published.operations())


def test_what_is_published_is_in_the_catalogue_or_named_as_not_served() -> None:
    named = {call for elsewhere in not_served.load() for call in elsewhere.operations}
    known = {_shape(f"{endpoint.method} {endpoint.path}") for endpoint in ROWS}
    written = {
        f"{method.upper()} {path}"
        for document in published.documents()
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "post", "put", "delete", "patch")
    }
    assert {call for call in written if _shape(call) not in known} == named


def _shape(call: str) -> str:
    return re.sub(r"\{\w+\}", "{}", call.rstrip("/"))


def test_effects_are_those_of_the_published_list() -> None:
    listed = published.operations()
    ours = {endpoint.id: endpoint.effect for endpoint in ROWS}
    expected = {endpoint.id: listed[endpoint.method, endpoint.path]["effect"] for endpoint in ROWS}
    assert ours == expected | {name: effect for name, (effect, _) in OTHER_EFFECTS.items()}


def test_tiers_are_those_of_the_published_list_or_marked_as_assumed() -> None:
    listed = published.operations()
    for endpoint in ROWS:
        session = listed[endpoint.method, endpoint.path]["session"].partition(" ")[0]
        assert endpoint.tier_assumed == (session == "unverified"), endpoint.id
        assert endpoint.tier_assumed or endpoint.tier == {"portal": "sso", "brokerage": "brokerage"}[session]


def test_pacing_is_that_of_the_published_list() -> None:
    seconds = {"s": 1, "5s": 5, "min": 60, "15min": 900}
    listed = published.operations()
    for endpoint in ROWS:
        limit = listed[endpoint.method, endpoint.path]["pacing"].rstrip("?")
        if limit == "5 concurrent":
            assert (endpoint.concurrent, endpoint.pacing) == (5, None)
        elif limit == "10/s global":
            assert (endpoint.concurrent, endpoint.pacing) == (None, None), endpoint.id
        else:
            calls, _, span = limit.partition("/")
            assert endpoint.pacing == Pacing(int(calls), seconds[span]), endpoint.id


def test_preflight_covers_the_published_list() -> None:
    listed = published.operations()
    ids = {endpoint.path: endpoint.id for endpoint in reversed(ROWS)}
    for endpoint in ROWS:
        for wanted in listed[endpoint.method, endpoint.path]["preflight"].split(";"):
            # Only derivatives need it, and a conid does not say what it is; watchlists write so for GET alone.
            if "derivatives:" in wanted or (endpoint.method != "GET" and "GET:" in wanted):
                continue
            assert {ids[path] for path in re.findall(r"/[a-z/]+", wanted)} <= set(endpoint.preflight), endpoint.id
            assert endpoint.warms_up or "twice" not in wanted, endpoint.id


def test_parameters_of_the_newest_document_are_known() -> None:
    named = published.parameters()
    missing = {}
    for endpoint in ROWS:
        query, body = named.get((endpoint.method, endpoint.path.lower()), (set(), set()))
        missing[endpoint.id] = (query - {p.name for p in endpoint.query}) | (body - {p.name for p in endpoint.body})
    assert {name: left for name, left in missing.items() if left} == {}


def test_titles_reasons_and_meanings_are_our_own_words() -> None:
    theirs = {_plain(sentence) for document in published.documents() for sentence in _sentences(document)}
    theirs = {sentence for sentence in theirs if len(sentence.split()) >= 3}
    assert len(theirs) > 500
    texts = [text for endpoint in ROWS for text in (endpoint.title, endpoint.reason)]
    ours = [f" {_plain(text)} " for text in (*texts, *(field.meaning for field in FIELDS))]
    assert [sentence for sentence in theirs if any(f" {sentence} " in text for text in ours)] == []


def _sentences(part: Any) -> Iterator[str]:
    """Every sentence of every summary and description in a document."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("summary", "description") and isinstance(value, str):
                yield from re.split(r"[.;:\n]", value)
            else:
                yield from _sentences(value)
    elif isinstance(part, list):
        for value in part:
            yield from _sentences(value)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def test_how_operations_tell_of_accounts_is_written_as_the_head_says() -> None:
    kinds = {"none", "named", "rows", "keys", "object", "only", "lists"}
    for operation in catalogue.load():
        rule = operation.accounts.partition(" without ")[0].split()
        assert not rule or rule[0] in kinds, operation.id
        if rule and rule[0] == "named":
            names = {*operation.path_parameters, *(one.name for one in (*operation.query, *operation.body))}
            assert names & {"accountId", "acctId", "acctIds"}, operation.id
        if "accountId" in operation.path_parameters and operation.status != "unsupported":
            assert operation.accounts == "named", operation.id
