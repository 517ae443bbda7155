"""IBKR's calendar as the keeper knows it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ib_keepalive.session.calendar import maintenance_until, sign_in_ends

NEW_YORK = "America/New_York"


def epoch(text: str, zone: str = NEW_YORK) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("at", "down"),
    [
        ("2026-11-21T17:59", False),
        ("2026-11-21T18:00", True),
        ("2026-11-21T23:59", True),
        ("2026-11-22T03:59", True),
        ("2026-11-22T04:00", False),
        ("2026-11-24T20:00", False),
        ("2026-07-04T20:00", True),
    ],
)
def test_maintenance_is_on_saturday_evening_in_new_york(at: str, down: bool) -> None:
    assert (maintenance_until(epoch(at)) is not None) is down


def test_maintenance_ends_on_sunday_morning() -> None:
    assert maintenance_until(epoch("2026-11-21T20:00")) == epoch("2026-11-22T04:00")


@pytest.mark.parametrize(
    ("region", "zone"),
    [(None, NEW_YORK), ("NJ", NEW_YORK), ("EU", "Europe/Zurich"), ("hk", "Asia/Hong_Kong")],
)
def test_sign_in_ends_at_the_next_midnight_of_its_region(region: str | None, zone: str) -> None:
    wall = epoch("2026-11-24T15:00", zone)
    ends = sign_in_ends(wall, region=region, signed_in_at=None, sso_left_s=None)
    assert ends == epoch("2026-11-25T00:00", zone)


def test_midnight_is_right_on_the_day_the_clocks_change() -> None:
    wall = epoch("2026-11-01T00:30")
    assert sign_in_ends(wall, region=None, signed_in_at=None, sso_left_s=None) == epoch("2026-11-02T00:00")


def test_sign_in_lasts_a_day_at_most() -> None:
    wall = epoch("2026-11-24T15:00")
    ends = sign_in_ends(wall, region=None, signed_in_at=wall - 23 * 3600, sso_left_s=None)
    assert ends == wall + 3600


def test_falling_count_of_ibkr_brings_the_end_near() -> None:
    wall = epoch("2026-11-24T15:00")
    assert sign_in_ends(wall, region=None, signed_in_at=None, sso_left_s=180) == wall + 180


def test_sign_in_from_the_future_is_not_believed() -> None:
    wall = epoch("2026-11-24T15:00")
    ends = sign_in_ends(wall, region=None, signed_in_at=wall + 1e9, sso_left_s=None)
    assert ends == epoch("2026-11-25T00:00")
