"""Who may ask IBKR next: one line for all callers, fair between them, within IBKR's limits. Pure: time is passed in.

Every place in the line has a tag: the round in which its caller is served. A caller's next place is one round after its
last, a caller without any joins the present round, so nobody with many questions delays one with few.

A caller that would wait too long is told how long, and its place is kept: it is "away", does not hold others up, and
goes before those of its round when it returns at the time it was told.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ib_keepalive.pacing.sliding_window import Hold, Window
from ibkr.operation import Pacing

IN_FLIGHT = 4
MOST_WAITING = 256
MOST_AWAY = 512
MOST_AWAY_EACH = 32
# A promise holds against everybody whose round is not this much earlier: many promises to one caller do not delay one
# who comes with a first question.
_FIRM_ROUNDS = 2
# How long after the promised moment a place is kept.
KEPT_S = 3.0
# Clocks differ, and messages take a moment.
_PUNCTUAL_S = 0.5
_SOONEST_S = 1.0
# In windows as slow as this one a call is kept free for whom it was promised to; faster ones soon have another.
_SLOW_S = 5.0
# Here a caller has one promise, whatever it asks: promises for hours ahead would shut everybody else out.
_VERY_SLOW_S = 60.0
# A request that got no answer may hold one of the gateway's slots for long. An operation that lost two of them rests,
# and is then tried one by one, so that it cannot take all slots.
STUCK_S = 60.0
REST_S = 15.0
_LOST_TO_REST = 2
_FIRST_GUESS_S = 0.15


# A request has an answer, or it was sent and its answer is lost (the gateway may still wait for it), or never sent.
End = Literal["answered", "lost", "unsent"]


class TooLong(Exception):
    """The wait would be longer than the caller has patience for."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"{wait_s:.1f} s")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Limit:
    """What IBKR allows of one operation."""

    pacing: Pacing | None = None
    concurrent: int | None = None


@dataclass(eq=False, slots=True)
class Place:
    """One question in the line. ``order``: its round, then who came first. ``due``: its expected start.

    ``is_back``: its caller was told when to return, and did.
    """

    caller: str
    operation: str
    question: Hashable
    order: tuple[float, float]
    due: float = 0.0
    kept_until: float = 0.0
    is_back: bool = False
    started: float | None = None
    holds: tuple[Hold, ...] = field(default=())


class Schedule:
    """``together``: what all operations may do; ``limits``: by operation, on top of that."""

    def __init__(self, together: Pacing, limits: Mapping[str, Limit]) -> None:
        self._together = Window(together.calls, together.seconds)
        self._windows = {
            operation: Window(limit.pacing.calls, limit.pacing.seconds)
            for operation, limit in limits.items()
            if limit.pacing is not None
        }
        self._concurrent = {
            operation: limit.concurrent for operation, limit in limits.items() if limit.concurrent is not None
        }
        self._line: list[Place] = []
        self._away: dict[tuple[str, str, Hashable], Place] = {}
        self._running: list[Place] = []
        self._stuck: list[tuple[float, str]] = []
        self._took: dict[str, float] = {}
        self._round = 0.0
        self._number = 0
        self.most_at_once = IN_FLIGHT
        # How many calls are kept free for requests that go upstream outside this line.
        self.kept_free = 0

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def running(self) -> int:
        return len(self._running)

    def join(self, now: float, caller: str, operation: str, question: Hashable, patience_s: float) -> Place:
        """A place in the line. TooLong when it would not start within ``patience_s``; its place is kept then."""
        self._forget_away(now)
        place = self._away.pop(self._key(caller, operation, question), None)
        is_new = place is None
        if place is None:
            self._number += 1
            place = Place(caller, operation, question, (self._next_round(caller), self._number))
        elif place.due - _PUNCTUAL_S <= now and not place.is_back:
            # Those who are back stand by the time they were told, before everybody of the present round.
            place.is_back = True
            place.order = (max(place.order[0] - _FIRM_ROUNDS, self._round) - 0.5, place.due)
        place.due = self._expect(now, place)
        wait_s = place.due - now
        if wait_s > patience_s or (is_new and len(self._line) >= MOST_WAITING):
            self._keep(place)
            raise TooLong(max(wait_s, _SOONEST_S))
        bisect.insort(self._line, place, key=_order)
        return place

    def start(self, now: float) -> Place | None:
        """Take the next place out of the line, if one may start now."""
        if not self._line or len(self._running) >= self._slots(now) or self._together.free(now) <= self.kept_free:
            return None
        for index, place in enumerate(self._line):
            if self._may_start(place.operation, now):
                del self._line[index]
                place.started = now
                place.holds = self._take(place.operation, now)
                self._round = max(self._round, place.order[0])
                self._running.append(place)
                return place
        return None

    def finish(self, place: Place, now: float, end: End = "answered") -> None:
        """It ended, however that was."""
        self._running.remove(place)
        for hold in place.holds:
            if end == "unsent":
                hold.void()
            else:
                hold.answer(now)
        if end == "lost":
            self._stuck.append((now, place.operation))
        if end != "answered":
            return
        self._stuck = [each for each in self._stuck if each[1] != place.operation]
        if place.started is not None:
            before = self._took.get(place.operation, _FIRST_GUESS_S)
            self._took[place.operation] = before + 0.2 * (now - place.started - before)

    def leave(self, place: Place, now: float, *, keep: bool) -> None:
        """Its caller does not wait any more; ``keep``: it was told when to return."""
        self._line.remove(place)
        if keep:
            place.due = self._expect(now, place)
            self._keep(place)

    def clear(self) -> None:
        """Send everybody away without a promise."""
        self._line.clear()
        self._away.clear()

    def remember(self, operation: str, started: float) -> None:
        """Count an earlier call of an operation with a limit of its own."""
        self._windows[operation].take(started)

    def spend(self, operation: str, now: float) -> None:
        """Count a request that goes upstream outside this line."""
        self._take(operation, now)

    def opening(self, now: float) -> float:
        """When the next request may go upstream outside this line."""
        return self._together.opening(now)

    def expect(self, place: Place, now: float) -> float:
        """Seconds until a waiting place starts."""
        return max(0.0, self._expect(now, place) - now)

    def next_change(self, now: float) -> float | None:
        """When a waiting place may start if nothing else happens; None when only the end of a running one helps."""
        if not self._line or len(self._running) >= self._slots(now):
            return self._stuck[0][0] + STUCK_S if self._line and self._stuck else None
        openings = [self._opens(place, now) for place in self._line if not self._is_full(place.operation)]
        return max(min(openings), self._together.opening(now, self.kept_free)) if openings else None

    def _take(self, operation: str, now: float) -> tuple[Hold, ...]:
        own = self._windows.get(operation)
        return (self._together.take(now), *(() if own is None else (own.take(now),)))

    def _slots(self, now: float) -> int:
        self._stuck = [each for each in self._stuck if now < each[0] + STUCK_S]
        return min(self.most_at_once, max(1, IN_FLIGHT - len(self._stuck)))

    def _may_start(self, operation: str, now: float) -> bool:
        if self._is_full(operation):
            return False
        window = self._windows.get(operation)
        return window is None or window.free(now) > len(self._promised(operation, now))

    def rests_s(self, operation: str, now: float) -> float:
        """Seconds for which ``operation`` is not to be sent, because IBKR left it unanswered twice."""
        lost = [at for at, other in self._stuck if other == operation and now < at + STUCK_S]
        return max(0.0, lost[-1] + REST_S - now) if len(lost) >= _LOST_TO_REST else 0.0

    def of(self, operation: str) -> list[Place]:
        """Who waits in the line for ``operation``."""
        return [place for place in self._line if place.operation == operation]

    def _is_full(self, operation: str) -> bool:
        most = self._concurrent.get(operation)
        if sum(other == operation for _, other in self._stuck) >= _LOST_TO_REST:
            most = 1
        return most is not None and sum(place.operation == operation for place in self._running) >= most

    def _opens(self, place: Place, now: float) -> float:
        window = self._windows.get(place.operation)
        if window is None:
            return now
        promised = self._promised(place.operation, now)
        if promised and window.free(now):
            return min(other.kept_until for other in promised)
        return window.opening(now)

    def _promised(self, operation: str, now: float) -> list[Place]:
        """Places whose callers were told that they may come now."""
        window = self._windows.get(operation)
        if window is None or window.seconds < _SLOW_S:
            return []
        return [
            place
            for place in self._away.values()
            if place.operation == operation and place.due - _PUNCTUAL_S <= now < place.kept_until
        ]

    def _expect(self, now: float, place: Place) -> float:
        """When it starts: after those before it in the line, and those who are promised an earlier time."""
        after = self._starts(place.operation, now)
        line = [other for other in self._line if other.order < place.order]
        same = sum(other.operation == place.operation for other in line)
        ahead, work = len(line), sum(map(self._lasts, line))
        start = after(ahead, same, work)
        for other in () if place.is_back else sorted(self._away.values(), key=_due):
            if other.due > start:
                break
            is_firm = other.order[0] - _FIRM_ROUNDS <= place.order[0]
            if other is not place and is_firm and now <= other.due + _PUNCTUAL_S:
                ahead, same = ahead + 1, same + (other.operation == place.operation)
                work += self._lasts(other)
                start = max(start, after(ahead, same, work))
        return start

    def _starts(self, operation: str, now: float) -> Callable[[int, int, float], float]:
        """When ``operation`` starts after others, ``same`` of its kind, that need ``work`` seconds of the slots."""
        together, window = self._together.openings(now), self._windows.get(operation)
        own = None if window is None else window.openings(now)
        slots, running = self._slots(now), len(self._running)
        under_way = sum(map(self._lasts, self._running)) / 2

        def after(ahead: int, same: int, work: float) -> float:
            start = together(ahead) if own is None else max(together(ahead), own(same))
            return start if ahead + running < slots else max(start, now + (work + under_way) / slots)

        return after

    def _lasts(self, place: Place) -> float:
        return self._took.get(place.operation, _FIRST_GUESS_S)

    def _next_round(self, caller: str) -> float:
        own = [place.order[0] for place in (*self._line, *self._away.values()) if place.caller == caller]
        return max(self._round, *own, 0) + 1

    def _keep(self, place: Place) -> None:
        mine = sum(other.caller == place.caller for other in self._away.values())
        if len(self._away) < MOST_AWAY and mine < MOST_AWAY_EACH:
            place.kept_until = place.due + KEPT_S
            self._away[self._key(place.caller, place.operation, place.question)] = place

    def _key(self, caller: str, operation: str, question: Hashable) -> tuple[str, str, Hashable]:
        window = self._windows.get(operation)
        return caller, operation, None if window is not None and window.seconds >= _VERY_SLOW_S else question

    def _forget_away(self, now: float) -> None:
        if any(place.kept_until <= now for place in self._away.values()):
            self._away = {key: place for key, place in self._away.items() if place.kept_until > now}


def _due(place: Place) -> float:
    return place.due


def _order(place: Place) -> tuple[float, float]:
    return place.order
