"""Spans of time by the clocks of a place."""

from __future__ import annotations

import pytest

from ib_operator.decision.policy import parse
from ib_operator.decision.spans import Span, epoch, until, utc


def _span(**given: object) -> Span:
    (span,) = parse({"maintenanceWindows": [{"timeZone": "America/New_York", **given}]}).windows
    return span


def _at(text: str) -> float:
    found = epoch(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("moment", "ends"),
    [
        ("2026-11-21T22:59:59Z", None),
        ("2026-11-21T23:00:00Z", "2026-11-22T09:00:00Z"),
        ("2026-11-22T08:59:59Z", "2026-11-22T09:00:00Z"),
        ("2026-11-22T09:00:00Z", None),
        ("2026-11-22T23:30:00Z", None),
    ],
)
def test_a_saturday_evening_lasts_into_sunday(moment: str, ends: str | None) -> None:
    span = _span(days=["Sat"], start="18:00", end="04:00")
    found = span.ends_after(_at(moment))
    assert (None if found is None else utc(found)) == ends


def test_the_clocks_go_with_the_season() -> None:
    span = _span(start="18:00", end="19:00")
    assert span.ends_after(_at("2026-07-01T22:30:00Z")) is not None
    assert span.ends_after(_at("2026-12-01T22:30:00Z")) is None
    assert span.ends_after(_at("2026-12-01T23:30:00Z")) is not None


def test_of_two_spans_the_later_end_counts() -> None:
    spans = (_span(start="18:00", end="19:00"), _span(start="18:30", end="20:00"))
    assert until(spans, _at("2026-12-01T23:45:00Z")) == _at("2026-12-02T01:00:00Z")
    assert until(spans, _at("2026-12-01T12:00:00Z")) is None


@pytest.mark.parametrize("text", ["2026-12-01T12:00:00", "yesterday", "", None, 5])
def test_a_time_without_a_zone_is_none(text: object) -> None:
    assert epoch(text) is None


@pytest.mark.parametrize(
    "window", [{}, {"start": "25:00", "end": "1"}, {"start": "1", "end": "2", "days": ["Someday"]}, "now", None]
)
def test_a_window_that_cannot_be_read_is_named_and_left_out(window: object) -> None:
    policy = parse({"maintenanceWindows": [window]})
    assert policy.windows == ()
    assert "spec.maintenanceWindows[0]" in policy.problems[0]
