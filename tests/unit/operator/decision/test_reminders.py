"""When a message is due."""

from __future__ import annotations

from ib_operator.decision.reminders import Due, Notified, due
from ib_operator.decision.states import Reason

HOUR = 3600.0


def test_reminders_come_after_one_hour_six_hours_and_then_daily() -> None:
    notified: tuple[Notified, ...] = ()
    sent = []
    for minute in range(60 * 60):
        notified, message = due(
            notified, Reason.LOGIN_REQUIRED, lasted_s=minute * 60.0, wall=1e9 + minute * 60, is_hushed=False
        )
        if message is not None:
            sent.append((minute / 60, message.kind))
    assert sent == [(0, "needed"), (1, "reminder"), (6, "reminder"), (24, "reminder"), (48, "reminder")]


def test_after_a_long_hush_one_reminder_comes_and_not_all_that_were_due() -> None:
    notified: tuple[Notified, ...] = (Notified(Reason.LOGIN_REQUIRED, 1e9, 1e9),)
    sent = []
    for minute in range(8 * 60, 30 * 60):
        notified, message = due(
            notified, Reason.LOGIN_REQUIRED, lasted_s=HOUR, wall=1e9 + minute * 60, is_hushed=minute < 9 * 60
        )
        if message is not None:
            sent.append(minute / 60)
    assert sent == [9, 10, 24]


def test_a_recovery_is_told_only_where_something_was_told() -> None:
    assert due((), Reason.SESSION_OPEN, lasted_s=HOUR, wall=1e9, is_hushed=False) == ((), None)
    notified, message = due(
        (Notified(Reason.SESSION_COMPETING, 1e9, 1e9),),
        Reason.SESSION_OPEN,
        lasted_s=HOUR,
        wall=1e9 + 60,
        is_hushed=False,
    )
    assert message == Due("recovered", Reason.SESSION_OPEN)
    assert due(notified, Reason.SESSION_OPEN, lasted_s=HOUR, wall=1e9 + 120, is_hushed=False)[1] is None


def test_a_sign_in_that_is_lost_at_once_is_told_of_at_once() -> None:
    notified: tuple[Notified, ...] = (Notified(Reason.LOGIN_REQUIRED, 1e9, 1e9),)
    notified, message = due(notified, Reason.SESSION_OPEN, lasted_s=5, wall=1e9 + 30, is_hushed=False)
    assert message is None
    notified, message = due(notified, Reason.LOGIN_REQUIRED, lasted_s=0, wall=1e9 + 60, is_hushed=False)
    assert message == Due("needed", Reason.LOGIN_REQUIRED)
    assert due(notified, Reason.LOGIN_REQUIRED, lasted_s=5, wall=1e9 + 65, is_hushed=False)[1] is None


def test_a_new_loss_soon_after_a_recovery_waits_ten_minutes() -> None:
    closed = (Notified(Reason.SESSION_COMPETING, 1e9, 1e9, is_open=False),)
    assert due(closed, Reason.SESSION_COMPETING, lasted_s=0, wall=1e9 + 300, is_hushed=False)[1] is None
    assert due(closed, Reason.SESSION_COMPETING, lasted_s=0, wall=1e9 + 600, is_hushed=False)[1] == Due(
        "needed", Reason.SESSION_COMPETING
    )
