"""When the owner is told: once per episode and reason, then reminders, then that all is well again. Pure.

A message counts as told when a channel has it. One that did not arrive goes out again while it is still true.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ib_operator.decision.states import ROWS, Reason

# After the first message of a reason.
REMINDERS_S = (3600.0, 6 * 3600.0)
DAILY_S = 24 * 3600.0
# A session open for a moment only is no recovery worth a message.
RECOVERED_AFTER_S = 60.0
# Between two first messages of the same reason, when the session comes and goes.
SAME_AGAIN_S = 600.0
# A message that is under way for so long is stuck.
STUCK_S = 60.0

Kind = Literal["needed", "reminder", "recovered"]


@dataclass(frozen=True, slots=True)
class Notified:
    """``count`` messages about ``reason``, the first and the last of them at these epoch seconds.

    A message's time is when it was decided on, and from its first delivery on when that was. ``kind`` is the last
    message's, ``pending`` the channels that lack it. ``is_open``: in the present episode. ``signed_in``: a session was
    open since, so a person has done what was asked.
    """

    reason: Reason
    first_at: float
    last_at: float
    count: int = 1
    is_open: bool = True
    signed_in: bool = False
    kind: Kind = "needed"
    pending: tuple[str, ...] = ()
    is_delivered: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """A message for these channels: ``needed`` and ``reminder`` about a reason, ``recovered`` after ``reason``."""

    kind: Kind
    reason: Reason
    channels: tuple[str, ...]


def due(
    notified: tuple[Notified, ...],
    reason: Reason,
    *,
    channels: tuple[str, ...],
    lasted_s: float,
    wall: float,
    is_hushed: bool,
) -> tuple[tuple[Notified, ...], Due | None]:
    """What to send now, and what is known of messages when it is sent.

    ``lasted_s``: how long ``reason`` has been so. ``is_hushed``: quiet hours, maintenance or a pause hold messages
    back; they go out afterwards if they are still true. What is pending is due at every call: the caller knows what
    is under way.
    """
    row = ROWS[reason]
    if is_hushed or not channels:
        return notified, None
    if row.authenticated == "True":
        return _recovered(notified, reason, channels, lasted_s)
    # That all is well again is true no longer.
    notified = tuple(replace(one, pending=()) if one.kind == "recovered" else one for one in notified)
    if row.notify_after_s is None or lasted_s < row.notify_after_s:
        return notified, None
    before = next((one for one in notified if one.reason is reason), None)
    others = tuple(one for one in notified if one.reason is not reason)
    if before is None or not before.is_open or before.signed_in:
        # A sign-in does not come and go by itself: its loss is news at any time.
        if before is not None and not before.signed_in and before.is_delivered and wall - before.last_at < SAME_AGAIN_S:
            return notified, None
        news = Notified(reason, wall, wall, pending=channels, is_delivered=False)
        return (*others, news), Due("needed", reason, channels)
    pending = tuple(name for name in before.pending if name in channels)
    if before.is_delivered and wall >= _reminder_at(before):
        again = replace(before, last_at=wall, count=before.count + 1, kind="reminder", pending=channels)
        return (*others, again), Due("reminder", reason, channels)
    if pending:
        return notified, Due(before.kind, reason, pending)
    return notified, None


def delivered(notified: tuple[Notified, ...], message: Due, channel: str, wall: float) -> tuple[Notified, ...]:
    """What is known when ``channel`` has got ``message``."""
    return tuple(_take(one, channel, wall) if _is_about(one, message) else one for one in notified)


def stuck(notified: tuple[Notified, ...], wall: float) -> tuple[str, ...]:
    """Channels that should have got a message by now and have not."""
    late = {name for one in notified if one.is_open and wall - one.last_at >= STUCK_S for name in one.pending}
    return tuple(sorted(late))


def _is_about(one: Notified, message: Due) -> bool:
    about = one.kind == message.kind
    return about if message.kind == "recovered" else about and one.reason is message.reason


def _take(one: Notified, channel: str, wall: float) -> Notified:
    if channel not in one.pending:
        return one
    pending = tuple(name for name in one.pending if name != channel)
    if one.is_delivered:
        return replace(one, pending=pending)
    return replace(one, pending=pending, first_at=wall, last_at=wall, is_delivered=True)


def _recovered(
    notified: tuple[Notified, ...], reason: Reason, channels: tuple[str, ...], lasted_s: float
) -> tuple[tuple[Notified, ...], Due | None]:
    notified = tuple(replace(one, signed_in=one.reason is Reason.LOGIN_REQUIRED) for one in notified)
    if lasted_s < RECOVERED_AFTER_S:
        return notified, None
    notified = tuple(_close(one, channels) if one.is_open else one for one in notified)
    waiting = {name for one in notified if one.kind == "recovered" for name in one.pending}
    pending = tuple(name for name in channels if name in waiting)
    return notified, Due("recovered", reason, pending) if pending else None


def _close(one: Notified, channels: tuple[str, ...]) -> Notified:
    """Who never got the bad news needs no good news."""
    had = channels if one.count > 1 or not one.pending else tuple(name for name in channels if name not in one.pending)
    informed = had if one.is_delivered else ()
    return replace(one, is_open=False, kind="recovered", pending=informed)


def _reminder_at(notified: Notified) -> float:
    """Reminders keep to the schedule of the first message, but a late one is not followed at once by the next."""
    if notified.count <= len(REMINDERS_S):
        planned = notified.first_at + REMINDERS_S[notified.count - 1]
    else:
        planned = notified.first_at + DAILY_S * (notified.count - len(REMINDERS_S))
    return max(planned, notified.last_at + REMINDERS_S[0])
