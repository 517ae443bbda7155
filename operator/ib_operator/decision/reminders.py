"""When the owner is told: once per episode and reason, then reminders, then that all is well again. Pure."""

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

Kind = Literal["needed", "reminder", "recovered"]


@dataclass(frozen=True, slots=True)
class Notified:
    """``reason`` was told ``count`` times, first and last at these epoch seconds, in the present episode if open.

    ``signed_in``: a session was open since, so a person has done what was asked.
    """

    reason: Reason
    first_at: float
    last_at: float
    count: int = 1
    is_open: bool = True
    signed_in: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A message to send: ``needed`` and ``reminder`` about a reason, ``recovered`` after one."""

    kind: Kind
    reason: Reason


def due(
    notified: tuple[Notified, ...], reason: Reason, *, lasted_s: float, wall: float, is_hushed: bool
) -> tuple[tuple[Notified, ...], Due | None]:
    """What to send now, and what was told when it is sent.

    ``lasted_s``: how long ``reason`` has been so. ``is_hushed``: quiet hours, maintenance or a pause hold messages
    back; they go out afterwards if they are still true.
    """
    row = ROWS[reason]
    if is_hushed:
        return notified, None
    if row.authenticated == "True":
        notified = tuple(replace(one, signed_in=one.reason is Reason.LOGIN_REQUIRED) for one in notified)
        if lasted_s < RECOVERED_AFTER_S or not any(one.is_open for one in notified):
            return notified, None
        return tuple(replace(one, is_open=False) for one in notified), Due("recovered", reason)
    if row.notify_after_s is None or lasted_s < row.notify_after_s:
        return notified, None
    before = next((one for one in notified if one.reason is reason), None)
    others = tuple(one for one in notified if one.reason is not reason)
    if before is None or not before.is_open or before.signed_in:
        # A sign-in does not come and go by itself: its loss is news at any time.
        if before is not None and not before.signed_in and wall - before.last_at < SAME_AGAIN_S:
            return notified, None
        return (*others, Notified(reason, wall, wall)), Due("needed", reason)
    if wall < _reminder_at(before):
        return notified, None
    return (*others, replace(before, last_at=wall, count=before.count + 1)), Due("reminder", reason)


def _reminder_at(notified: Notified) -> float:
    """Reminders keep to the schedule of the first message, but a late one is not followed at once by the next."""
    if notified.count <= len(REMINDERS_S):
        planned = notified.first_at + REMINDERS_S[notified.count - 1]
    else:
        planned = notified.first_at + DAILY_S * (notified.count - len(REMINDERS_S))
    return max(planned, notified.last_at + REMINDERS_S[0])
