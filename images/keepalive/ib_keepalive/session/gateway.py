"""IBKR's gateway program as the keeper knows it: which one it is, how old, and whether it tickles by itself."""

from __future__ import annotations

import uuid

from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.observation import Outcome, ProbeResult
from ibkr.session import Opener, SessionState

DAY_S = 86_400.0
# A sign-in's timer fires after 24 days and 20 hours at the latest (authDelay is an int of milliseconds), and the chain
# of that sign-in then goes on to the tickle that logs out when the session is lost.
REPLACE_AFTER_S = 20 * DAY_S
TIMERS_FIRE_S = 2_147_483.0
OWN_TICKLE_S = 30.0
# A logout follows the loss within one of its own tickles.
_LOGOUT_WITHIN_S = OWN_TICKLE_S + 5


class GatewayProcess:
    """``instance``: the pod's name for itself. ``opener`` is who opens the session, which the tickle depends on.
    Without ``is_program`` IBKR is asked directly: nothing grows old, and nobody else tickles.

    ``started`` is a loop second, None when it ran before this keeper did.
    """

    def __init__(
        self,
        journal: SessionJournal,
        opener: Opener,
        instance: str | None,
        build: str | None,
        *,
        is_program: bool = True,
    ) -> None:
        self._journal = journal
        self._opener = opener
        self._is_program = is_program
        self.instance = instance or uuid.uuid4().hex[:12]
        self.build = build
        self.started: float | None = None
        self._was_refused = False
        self._tickled_at: float | None = None
        self._is_caught = False

    def note(self, result: ProbeResult, now: float, wall: float) -> None:
        """Take what a probe showed of the program."""
        if result.outcome in (Outcome.REFUSED, Outcome.SILENT):
            self._was_refused, self.started = True, None
            return
        entries = self._journal.entries
        if self._was_refused:
            self._was_refused, self.started = False, now
            self._tickled_at, self._is_caught = None, False
        elif entries.gateway_since is not None:
            return
        entries.gateway_since = wall
        self._journal.write()

    def note_opened(self, now: float) -> None:
        """The program itself opened the session after a sign-in: its tickles begin."""
        if self._opener == "gateway":
            self._tickled_at = now

    def note_signed_out(self, before: SessionState, lost_s: float, now: float) -> bool:
        """Whether a sign-in ended as by the program's own logout, ``lost_s`` after the brokerage session was lost."""
        is_others = self._opener == "gateway" or not self._is_program
        if is_others or before is not SessionState.REOPENING or lost_s > _LOGOUT_WITHIN_S:
            return False
        self._tickled_at, self._is_caught = now, True
        return True

    def replace_by(self) -> float | None:
        """Epoch second by which the program should be replaced, where its timers matter."""
        since = self._journal.entries.gateway_since
        return (
            None
            if since is None or self._opener == "gateway" or not self._is_program
            else round(since + REPLACE_AFTER_S, 3)
        )

    def tickles(self, wall: float) -> bool | None:
        """Whether it tickles by itself; None once timers of old sign-ins may have fired."""
        if self._opener == "gateway" or self._is_caught:
            return True
        if not self._is_program:
            return False
        since = self._journal.entries.gateway_since
        return None if since is not None and wall - since >= TIMERS_FIRE_S else False

    def next_tickle(self, now: float) -> float | None:
        """Loop second of its next tickle, where the phase is known."""
        if self._tickled_at is None:
            return None
        passed = now - self._tickled_at
        return self._tickled_at + OWN_TICKLE_S * (passed // OWN_TICKLE_S + 1)
