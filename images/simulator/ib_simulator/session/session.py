"""One user's session at IBKR: sign-in (SSO) and brokerage session, moved by time and by what others do.

Pure: every method is told the time (simulated epoch seconds) and nothing here waits. ``settle(now)`` brings the
session up to date and comes before any other question. Durations are IBKR's as far as they are known
(5-6 min idle, 24 h at most, New York midnight, weekday 01:00, Saturday evening); the rest is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from ib_simulator.call import Memory
from ib_simulator.session import calendar
from ib_simulator.session.users import User

NEEDS_FORCE = "Force compete capability must be used together with compete flag"


@dataclass
class Timing:
    """Seconds. ``calendar``: keep IBKR's hours (midnight, 01:00, Saturday); off, so that tests never meet them."""

    login_life: float = 24 * 3600
    login_idle: float = 460
    brokerage_idle: float = 360
    establish: float = 1
    gateway_login: float = 0.4
    opening: float = 0
    reset: float = 60
    calendar: bool = False


@dataclass(frozen=True, slots=True)
class Flags:
    """What auth/status says."""

    connected: bool
    authenticated: bool
    established: bool
    competing: bool
    fail: str = ""


class Session:
    """Times are None when the thing did not happen; ``opened_at`` may lie ahead (opening)."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self.user: User | None = None
        self.token = ""
        self.memory = Memory()
        self.login_at = 0.0
        self.seen_at = 0.0
        self.opened_at: float | None = None
        self.ever_opened = False
        self.competitor = False
        self.fail = ""
        self.ended = "never signed in"
        self.dropped = ""
        self._login_ends = 0.0
        self._competitor_returns_s: float | None = None
        self._competitor_back_at: float | None = None
        self._down_until = 0.0
        self._next_reset: float | None = None
        self._weekly: tuple[float, float] | None = None
        self._forced_maintenance_until: float | None = None

    # What time does

    def settle(self, now: float) -> None:
        """Let everything happen that was due until ``now``."""
        if self.user is None:
            return None
        timing = self.timing
        if now >= self._login_ends:
            return self.end("the sign-in reached its age limit")
        if now >= self.seen_at + timing.login_idle:
            return self.end("the sign-in was idle for too long")
        if timing.calendar:
            self._settle_calendar(now)
        if self._competitor_back_at is not None and now >= self._competitor_back_at:
            self._take_over()
        if self.opened_at is not None and now >= max(self.opened_at, self.seen_at) + timing.brokerage_idle:
            self.drop("idle")
        return None

    def _settle_calendar(self, now: float) -> None:
        if self._next_reset is None:
            self._next_reset = calendar.next_reset(self.login_at)
        if now >= self._next_reset:
            self.drop("nightly reset", connected_at=self._next_reset + self.timing.reset)
            self._next_reset = calendar.next_reset(now)
        start, end = self._weekly or calendar.maintenance_after(self.login_at)
        if now >= start:
            self.drop("maintenance")
        self._weekly = calendar.maintenance_after(now) if now >= end else (start, end)

    def maintenance_until(self, now: float) -> float | None:
        """When the present maintenance ends, or None outside one."""
        if self._forced_maintenance_until is not None and now < self._forced_maintenance_until:
            return self._forced_maintenance_until
        if self.timing.calendar:
            start, end = self._weekly or calendar.maintenance_after(now)
            if start <= now < end:
                return end
        return None

    # What the user and the gateway do

    def sign_in(self, user: User, token: str, now: float) -> None:
        """The browser login, known by its cookie ``token``; the brokerage session is another matter."""
        self.user, self.token = user, token
        self.memory = Memory()
        self.login_at = self.seen_at = now
        self._next_reset = self._weekly = None
        self.retime()
        self.opened_at, self.ever_opened = None, False
        self.fail = self.dropped = self.ended = ""

    def open(self, now: float, *, compete: bool, after: float = 0.0) -> bool:
        """Open the brokerage session in ``after`` seconds; False when a competitor or a reset is in the way."""
        if self.user is None or now < self._down_until or self.maintenance_until(now) is not None:
            return False
        if self.competitor:
            if not compete:
                self.fail = NEEDS_FORCE
                return False
            self.competitor = False
            if self._competitor_returns_s is not None:
                self._competitor_back_at = now + after + self._competitor_returns_s
        if self.opened_at is None:
            self.opened_at, self.ever_opened = now + after, True
            self.memory = Memory()
        self.fail = self.dropped = ""
        return True

    def touch(self, now: float) -> None:
        """A request with this session came in."""
        self.seen_at = now

    def forget_accounts(self) -> None:
        """IBKR wants the list of accounts asked for again, in the middle of a session."""
        self.memory.seen["list_brokerage_accounts"] = 0

    def shift(self, seconds: float) -> None:
        """The clock was set by that much: what began keeps its age."""
        self.login_at += seconds
        self.seen_at += seconds
        self._down_until += seconds
        if self.opened_at is not None:
            self.opened_at += seconds
        if self._competitor_back_at is not None:
            self._competitor_back_at += seconds
        if self._forced_maintenance_until is not None:
            self._forced_maintenance_until += seconds
        self._next_reset = self._weekly = None
        self.retime()

    def retime(self) -> None:
        """``timing`` or ``login_at`` has changed."""
        self._login_ends = self.login_at + self.timing.login_life
        if self.timing.calendar:
            self._login_ends = min(self._login_ends, calendar.next_midnight(self.login_at))

    # What ends it

    def end(self, why: str) -> None:
        """The sign-in is over, and the brokerage session with it."""
        self.user = None
        self.opened_at = None
        self.ended, self.fail = why, ""

    def drop(self, why: str, *, connected_at: float = 0.0) -> None:
        """The brokerage session is over while the sign-in goes on; not connected before ``connected_at``."""
        if self.opened_at is not None:
            self.opened_at, self.dropped = None, why
        self._down_until = max(self._down_until, connected_at)

    def compete(self, returns_s: float | None = None) -> None:
        """Another session of the user takes over; thrown out, it comes back after ``returns_s`` (None: never)."""
        self._competitor_returns_s = returns_s
        self._take_over()

    def _take_over(self) -> None:
        self.competitor, self._competitor_back_at = True, None
        self.drop("another session of this user")

    def stop_competing(self) -> None:
        self.competitor, self._competitor_back_at, self._competitor_returns_s = False, None, None
        self.fail = ""

    def maintain(self, until: float | None) -> None:
        """Maintenance until then, or none any more; the brokerage session does not survive it."""
        self._forced_maintenance_until = until
        if until is not None:
            self.drop("maintenance")

    # What is asked of it

    @property
    def socket_key(self) -> str:
        """tickle's ``session``: what a WebSocket shows as its ``api`` cookie."""
        return self.token[:16]

    def flags(self, now: float) -> Flags:
        if self.user is None:
            return Flags(False, False, False, False)
        opened = self.opened_at is not None and now >= self.opened_at
        return Flags(
            connected=now >= self._down_until,
            authenticated=opened,
            established=self.established(now),
            competing=self.competitor,
            fail=self.fail,
        )

    def established(self, now: float) -> bool:
        return self.opened_at is not None and now >= self.opened_at + self.timing.establish

    def login_left(self, now: float) -> float:
        """Seconds until the sign-in ends of age."""
        return max(0.0, self._login_ends - now)

    def idle_left(self, now: float) -> float:
        """Seconds until the sign-in ends unless something is asked before: tickle's ``ssoExpires``."""
        return max(0.0, min(self.seen_at + self.timing.login_idle, self._login_ends) - now)
