"""When a message is due, and when it counts as told."""

from __future__ import annotations

from typing import Any

from ib_operator.decision.reminders import Due, Notified, delivered, due, stuck
from ib_operator.decision.states import Reason

HOUR = 3600.0
PHONE = ("phone",)
Known = tuple[Notified, ...]


def _due(notified: Known, reason: Reason, second: float, **given: Any) -> tuple[Known, Due | None]:
    defaults = {"channels": PHONE, "lasted_s": HOUR, "is_hushed": False}
    return due(notified, reason, wall=1e9 + second, **defaults | given)


def _told(notified: Known, reason: Reason, second: float, **given: Any) -> tuple[Known, Due | None]:
    """The same where every channel takes every message at once."""
    notified, message = _due(notified, reason, second, **given)
    for channel in message.channels if message else ():
        assert message is not None
        notified = delivered(notified, message, channel, 1e9 + second)
    return notified, message


def test_reminders_come_after_one_hour_six_hours_and_then_daily() -> None:
    notified: Known = ()
    sent = []
    for minute in range(60 * 60):
        notified, message = _told(notified, Reason.LOGIN_REQUIRED, minute * 60.0, lasted_s=minute * 60.0)
        if message is not None:
            sent.append((minute / 60, message.kind))
    assert sent == [(0, "needed"), (1, "reminder"), (6, "reminder"), (24, "reminder"), (48, "reminder")]


def test_after_a_long_hush_one_reminder_comes_and_not_all_that_were_due() -> None:
    notified: Known = (Notified(Reason.LOGIN_REQUIRED, 1e9, 1e9),)
    sent = []
    for minute in range(8 * 60, 30 * 60):
        notified, message = _told(notified, Reason.LOGIN_REQUIRED, minute * 60.0, is_hushed=minute < 9 * 60)
        if message is not None:
            sent.append(minute / 60)
    assert sent == [9, 10, 24]


def test_a_message_that_did_not_arrive_is_due_until_it_does_and_reminders_count_from_then() -> None:
    notified: Known = ()
    for second in range(0, 300, 5):
        notified, message = _due(notified, Reason.LOGIN_REQUIRED, second)
        assert message == Due("needed", Reason.LOGIN_REQUIRED, PHONE)
    assert stuck(notified, 1e9 + 59) == ()
    assert stuck(notified, 1e9 + 60) == PHONE
    assert message is not None
    notified = delivered(notified, message, "phone", 1e9 + 300)
    assert stuck(notified, 1e9 + 900) == ()
    assert _due(notified, Reason.LOGIN_REQUIRED, 300 + HOUR - 1)[1] is None
    notified, message = _due(notified, Reason.LOGIN_REQUIRED, 300 + HOUR)
    assert message == Due("reminder", Reason.LOGIN_REQUIRED, PHONE)


def test_one_channel_that_is_down_keeps_no_message_from_another_and_none_comes_twice() -> None:
    both = ("home", "phone")
    notified, message = _due((), Reason.LOGIN_REQUIRED, 0, channels=both)
    assert message == Due("needed", Reason.LOGIN_REQUIRED, both)
    assert message is not None
    notified = delivered(notified, message, "home", 1e9)
    notified, again = _due(notified, Reason.LOGIN_REQUIRED, 5, channels=both)
    assert again == Due("needed", Reason.LOGIN_REQUIRED, PHONE)
    assert _due(notified, Reason.LOGIN_REQUIRED, HOUR, channels=both)[1] == Due("reminder", Reason.LOGIN_REQUIRED, both)


def test_a_message_that_is_true_no_longer_is_not_sent_late() -> None:
    notified, _ = _due((), Reason.LOGIN_REQUIRED, 0)
    notified, message = _due(notified, Reason.SESSION_OPEN, 120)
    assert message is None, "who never got the bad news needs no good news"
    assert stuck(notified, 1e9 + 900) == ()
    assert _due(notified, Reason.LOGIN_REQUIRED, 130)[1] == Due("needed", Reason.LOGIN_REQUIRED, PHONE)


def test_good_news_goes_out_until_it_arrives_or_is_true_no_longer() -> None:
    notified, _ = _told((), Reason.SESSION_COMPETING, 0)
    for second in (120, 125):
        notified, message = _due(notified, Reason.SESSION_OPEN, second)
        assert message == Due("recovered", Reason.SESSION_OPEN, PHONE)
    lost, _ = _due(notified, Reason.GATEWAY_HUNG, 130, lasted_s=0)
    assert _due(lost, Reason.SESSION_OPEN, 300)[1] is None
    assert message is not None
    notified = delivered(notified, message, "phone", 1e9 + 130)
    assert _due(notified, Reason.SESSION_OPEN, 300)[1] is None


def test_a_recovery_is_told_only_where_something_was_told() -> None:
    assert _due((), Reason.SESSION_OPEN, 0) == ((), None)
    told = (Notified(Reason.SESSION_COMPETING, 1e9, 1e9),)
    assert _due(told, Reason.SESSION_OPEN, 59, lasted_s=59)[1] is None
    assert _due(told, Reason.SESSION_OPEN, 60, lasted_s=60)[1] == Due("recovered", Reason.SESSION_OPEN, PHONE)


def test_without_channels_nothing_is_due() -> None:
    assert _due((), Reason.LOGIN_REQUIRED, 0, channels=()) == ((), None)


def test_a_sign_in_that_is_lost_at_once_is_told_of_at_once() -> None:
    notified, _ = _told((), Reason.LOGIN_REQUIRED, 0)
    notified, message = _told(notified, Reason.SESSION_OPEN, 30, lasted_s=5)
    assert message is None
    notified, message = _told(notified, Reason.LOGIN_REQUIRED, 60, lasted_s=0)
    assert message == Due("needed", Reason.LOGIN_REQUIRED, PHONE)
    assert _told(notified, Reason.LOGIN_REQUIRED, 65, lasted_s=5)[1] is None


def test_a_new_loss_soon_after_a_recovery_waits_ten_minutes() -> None:
    closed = (Notified(Reason.SESSION_COMPETING, 1e9, 1e9, is_open=False),)
    assert _due(closed, Reason.SESSION_COMPETING, 599, lasted_s=0)[1] is None
    assert _due(closed, Reason.SESSION_COMPETING, 600, lasted_s=0)[1] == Due("needed", Reason.SESSION_COMPETING, PHONE)


def test_a_message_that_never_arrived_is_still_the_first_one_hours_later() -> None:
    notified, _ = _due((), Reason.LOGIN_REQUIRED, 0)
    notified, message = _due(notified, Reason.LOGIN_REQUIRED, 7 * HOUR)
    assert message == Due("needed", Reason.LOGIN_REQUIRED, PHONE)
    assert notified[0].count == 1
