"""The session machine by itself: what the passing of time and other sessions do to a sign-in."""

from datetime import datetime
from zoneinfo import ZoneInfo

from ib_simulator.session import calendar
from ib_simulator.session.session import NEEDS_FORCE, Session, Timing
from ib_simulator.session.users import USERS

NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> float:
    """Epoch seconds of a New York time."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


def opened(now: float, **timing: float | bool) -> Session:
    session = Session(Timing(**timing))  # type: ignore[arg-type]
    session.sign_in(USERS["paper"], "token", now)
    assert session.open(now, compete=False)
    return session


def kept_alive(session: Session, start: float, end: float) -> None:
    """Ask something every minute until ``end``."""
    now = start
    while now < end:
        now = min(now + 60, end)
        session.settle(now)
        if session.user is None:
            return
        session.touch(now)


def test_signing_in_alone_opens_no_brokerage_session():
    session = Session()
    session.sign_in(USERS["paper"], "token", 0)
    flags = session.flags(0)
    assert (flags.connected, flags.authenticated, flags.established) == (True, False, False)


def test_authenticated_comes_before_established():
    session = opened(0, establish=5)
    assert (session.flags(4.9).authenticated, session.flags(4.9).established) == (True, False)
    assert session.flags(5).established


def test_six_quiet_minutes_close_the_brokerage_session_and_keep_the_sign_in():
    session = opened(0)
    session.settle(359)
    assert session.flags(359).authenticated
    session.settle(360)
    assert session.user is not None
    assert not session.flags(360).authenticated
    assert session.dropped == "idle"


def test_longer_quiet_ends_the_sign_in_and_the_tickle_counts_down_to_it():
    session = opened(0)
    assert session.idle_left(60) == 400
    session.settle(460)
    assert session.user is None


def test_asking_keeps_it_alive_for_24_hours_and_not_longer():
    session = opened(0)
    kept_alive(session, 0, 24 * 3600 - 1)
    assert session.flags(24 * 3600 - 1).authenticated
    session.settle(24 * 3600)
    assert session.user is None


def test_the_calendar_ends_a_sign_in_at_midnight_in_new_york():
    evening = at("2026-11-24 22:00")
    session = opened(evening, calendar=True)
    kept_alive(session, evening, at("2026-11-24 23:59:59"))
    assert session.user is not None
    session.settle(at("2026-11-25 00:00"))
    assert session.user is None


def test_the_calendar_drops_the_brokerage_side_at_one_on_weekdays_for_a_minute():
    night = at("2026-11-25 00:30")
    session = opened(night, calendar=True)
    kept_alive(session, night, at("2026-11-25 01:00:10"))
    flags = session.flags(at("2026-11-25 01:00:10"))
    assert (flags.connected, flags.authenticated) == (False, False)
    assert not session.open(at("2026-11-25 01:00:50"), compete=True)
    assert session.open(at("2026-11-25 01:01"), compete=False)
    session.settle(at("2026-11-25 01:02"))
    assert session.flags(at("2026-11-25 01:02")).authenticated


def test_no_reset_on_a_sunday():
    night = at("2026-11-29 00:30")
    session = opened(night, calendar=True)
    kept_alive(session, night, at("2026-11-29 02:00"))
    assert session.flags(at("2026-11-29 02:00")).authenticated


def test_saturday_evening_is_maintenance_and_drops_the_brokerage_session():
    evening = at("2026-11-28 21:55")
    session = opened(evening, calendar=True)
    assert session.maintenance_until(evening) is None
    kept_alive(session, evening, at("2026-11-28 22:01"))
    assert session.maintenance_until(at("2026-11-28 22:01")) == at("2026-11-28 22:00") + calendar.MAINTENANCE_SECONDS
    assert not session.flags(at("2026-11-28 22:01")).authenticated


def test_without_the_calendar_no_hour_matters():
    saturday = at("2026-11-28 21:55")
    session = opened(saturday)
    kept_alive(session, saturday, at("2026-11-29 12:00"))
    assert session.flags(at("2026-11-29 12:00")).authenticated


def test_the_calendar_follows_new_york_through_the_change_of_clocks():
    assert calendar.next_midnight(at("2026-11-01 12:00")) - calendar.next_midnight(at("2026-10-31 12:00")) == 25 * 3600


def test_a_competitor_takes_the_session_and_yields_only_to_compete():
    session = opened(0)
    session.compete()
    assert (session.flags(1).competing, session.flags(1).authenticated) == (True, False)
    assert not session.open(2, compete=False)
    assert session.flags(2).fail == NEEDS_FORCE
    assert session.open(3, compete=True)
    assert (session.flags(3).competing, session.flags(3).authenticated, session.flags(3).fail) == (False, True, "")


def test_a_stubborn_competitor_comes_back():
    session = opened(0)
    session.compete(returns_s=30)
    session.open(1, compete=True)
    session.settle(30.9)
    assert session.flags(30.9).authenticated
    session.settle(31)
    assert (session.flags(31).competing, session.flags(31).authenticated) == (True, False)


def test_when_the_competitor_leaves_the_session_must_still_be_opened():
    session = opened(0)
    session.compete()
    session.stop_competing()
    assert (session.flags(1).competing, session.flags(1).authenticated) == (False, False)
    assert session.open(1, compete=False)


def test_opening_again_forgets_what_the_session_remembered():
    session = opened(0)
    session.memory.seen["list_brokerage_accounts"] += 1
    assert session.open(1, compete=False)
    assert session.memory.seen
    session.drop("test")
    assert session.open(2, compete=False)
    assert not session.memory.seen


def test_setting_the_calendar_keeps_the_age_of_the_session():
    session = opened(0)
    session.shift(1_000_000)
    session.settle(1_000_359)
    assert session.flags(1_000_359).authenticated
    session.settle(1_000_360)
    assert not session.flags(1_000_360).authenticated


def test_a_competitor_without_a_return_does_not_inherit_an_earlier_one():
    session = opened(0)
    session.compete(returns_s=30)
    session.compete()
    session.open(1, compete=True)
    session.settle(60)
    assert session.flags(60).authenticated
