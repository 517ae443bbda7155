"""Queries of URLs."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from ib_service.http.urls import pairs_of, query_of


def test_what_needs_no_encoding_stays_and_the_rest_comes_back_as_it_was() -> None:
    assert query_of([("startTime", "20260601-00:00:00"), ("conids", "1,2@SMART")]) == (
        "startTime=20260601-00:00:00&conids=1,2@SMART"
    )
    odd = [("a b", "c&d=e"), ("umlaut", "Zürich"), ("empty", ""), ("plus", "1+1 %"), ("line", "a\nb")]
    assert "\n" not in query_of(odd)
    assert parse_qsl(query_of(odd), keep_blank_values=True) == odd
    assert query_of([]) == ""


@pytest.mark.parametrize(
    "query",
    ["", "a=1", "a=1&b=2,3@X&c=", "a", "&a=1&&b=2&", "a=b=c", "=1", "a=1;b", "a%20b=c%26", "a+b=1+1", "a=%FC"],
)
def test_a_query_is_read_as_the_library_reads_it(query: str) -> None:
    try:
        expected = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=4)
    except ValueError:
        with pytest.raises(ValueError, match=r"\S"):
            pairs_of(query.encode(), 4)
    else:
        assert pairs_of(query.encode(), 4) == expected


@pytest.mark.parametrize("query", [b"a=1&b=2&c=3", "a=ü".encode()])
def test_too_many_pairs_and_other_letters_are_refused(query: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        pairs_of(query, 2)
