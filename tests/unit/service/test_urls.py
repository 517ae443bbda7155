"""Queries of URLs."""

from __future__ import annotations

from urllib.parse import parse_qsl

from ib_service.http.urls import query_of


def test_what_needs_no_encoding_stays_and_the_rest_comes_back_as_it_was() -> None:
    assert query_of([("startTime", "20260601-00:00:00"), ("conids", "1,2@SMART")]) == (
        "startTime=20260601-00:00:00&conids=1,2@SMART"
    )
    odd = [("a b", "c&d=e"), ("umlaut", "Zürich"), ("empty", ""), ("plus", "1+1 %"), ("line", "a\nb")]
    assert "\n" not in query_of(odd)
    assert parse_qsl(query_of(odd), keep_blank_values=True) == odd
    assert query_of([]) == ""
