"""The openings of the brokerage session: the owner's word, the budget, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ib_keepalive.session import reopening
from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.ladder import Opening
from ib_keepalive.session.policy import Policy, parse_policy
from ib_keepalive.session.reopening import Budget
from ib_keepalive.session.states import Verdict
from ib_keepalive.settings import KeepaliveSettings
from ibkr.errors import IbError, InvalidRequest
from ibkr.session import Opener, SessionState

# Refusals in a row after which the user is taken for one without rights.
NO_RIGHTS_AFTER = 3
_NO_RIGHTS = (
    "IBKR refuses again and again to open the brokerage session for lack of rights: if this user does not trade here, "
    "set gateway.brokerageLogin to nobody (IB_KEEPALIVE_BROKERAGE_LOGIN=nobody)"
)
_REFUSED = (
    "IBKR refuses every way of opening the brokerage session: sign in again, or let IBKR's program open it by "
    "gateway.brokerageLogin: gateway (IB_KEEPALIVE_BROKERAGE_LOGIN=gateway)"
)


# From the session's cookies to the last page: a second factor lies between.
SIGN_IN_LASTS_S = 300.0
# Between an opening of one session and that of the next.
AFTER_ANOTHER_S = 3.0


class Openings:
    """One per keeper. Times are loop seconds; nothing is opened before ``earliest``."""

    def __init__(
        self,
        settings: KeepaliveSettings,
        journal: SessionJournal,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._wall = wall
        self.opener: Opener = settings.brokerage_login
        entries, now = journal.entries, clock()
        self.policy = self._recall_policy()
        self.budget = Budget(entries.attempts, 0.0 if entries.next_at is None else self._loop(entries.next_at))
        self.last_at = None if entries.opened_at is None else min(now, self._loop(entries.opened_at))
        # The keeper may be a restarted one: its predecessor may have asked a moment ago.
        self.earliest = now + reopening.GAP_S if self.last_at is None else self.last_at + reopening.GAP_S
        self._is_own_gap = self.last_at is not None
        self._last_end: str | None = None
        self._is_under_way = False
        self.is_unsure = False
        self._expected_until = now

    @property
    def rung(self) -> str | None:
        return self._journal.entries.rung

    @property
    def last_result(self) -> str | None:
        """What became of the last opening; ``under_way`` until something did."""
        return "under_way" if self._is_under_way else self._last_end

    @property
    def lacks_rights(self) -> bool:
        """Whether IBKR refused often enough for lack of rights that trying on is in vain."""
        return self._journal.entries.no_rights >= NO_RIGHTS_AFTER

    def advice(self, state: SessionState) -> str | None:
        """What the owner should know while openings are in vain."""
        if state is not SessionState.REOPENING or self.opener == "nobody":
            return None
        if self.lacks_rights:
            return _NO_RIGHTS
        refused = self._last_end in ("refused", "accepted", "no_rights") and self.opener == "keeper"
        return _REFUSED if refused and self.budget.is_used_up(self.policy) else None

    def refuse(self, verdict: Verdict, *, is_person: bool, compete: bool | None = None) -> IbError | None:
        """Why the session must not be opened now; None when it may, or when it is open already."""
        return reopening.refuse(
            verdict,
            self.policy,
            self.budget,
            now=self._clock(),
            earliest=self.earliest,
            compete=self._settings.compete if compete is None else compete,
            login=self._settings.login_hint,
            is_person=is_person,
        )

    def expect(self, is_expected: bool = True) -> None:
        """A sign-in wants its session opened at once; or it no longer does."""
        self._expected_until = self._clock() + (SIGN_IN_LASTS_S if is_expected else 0.0)

    @property
    def is_expected(self) -> bool:
        return self._clock() < self._expected_until

    def opens_at_sign_in(self, verdict: Verdict) -> float | None:
        """When the session is opened that a sign-in expects (loop seconds), None when it is not the keeper's part."""
        takes = self._settings.compete_at_sign_in
        states = (SessionState.REOPENING, SessionState.COMPETING) if takes else (SessionState.REOPENING,)
        return self.earliest if self.is_expected and self.opener == "keeper" and verdict.state in states else None

    def try_at(self, verdict: Verdict) -> float | None:
        """When the keeper tries by itself (loop seconds), or None when it must not."""
        if self.opener == "nobody" or self.lacks_rights:
            return None
        # IBKR's own program logs out within half a minute of a loss.
        after_s = 0.0 if self.opener == "gateway" else self._settings.reopen_after_s
        return reopening.try_at(self.budget, verdict, self.policy, self.earliest, after_s=after_s)

    def follow(self, before: Verdict, verdict: Verdict) -> None:
        """Take what was concluded."""
        now = self._clock()
        budget = reopening.follow(self.budget, verdict.state, now)
        if reopening.is_way_free(before, verdict, now):
            budget = replace(budget, next_at=min(budget.next_at, now))
        if budget.attempts != self.budget.attempts:
            self.budget = budget
            self._note_budget()
        self.budget = budget

    def begin(self, *, is_counted: bool) -> None:
        """An opening is about to be sent: it counts before its answer, which may be lost."""
        now = self._clock()
        self.expect(False)
        self._is_under_way = True
        self.last_at, self.earliest, self._is_own_gap = now, now + reopening.GAP_S, True
        if is_counted:
            self.budget = reopening.spend(self.budget, now)
        self._journal.entries.opened_at = self._wall()
        self._note_budget()

    def end(self, opening: Opening) -> None:
        """The opening ended."""
        # It may have waited for its turn, so the gap counts from its end.
        self.earliest = self._clock() + reopening.GAP_S
        self._last_end, self._is_under_way = opening.label, False
        self.is_unsure = opening.label == "unsure"
        entries = self._journal.entries
        if opening.rung is not None:
            entries.rung, entries.no_rights = opening.rung, 0
        elif opening.label == "no_rights":
            entries.no_rights += 1
        self._journal.write()

    def sign_in(self) -> None:
        """Somebody signed in: another session, with a budget of its own."""
        self.budget = Budget()
        now = self._clock()
        if self.opener != "gateway" and not self.is_unsure:
            # The gap is between two openings of one session, and whoever signed in waits for this one.
            left_s = self.earliest - now - reopening.GAP_S + AFTER_ANOTHER_S if self._is_own_gap else 0.0
            self.earliest = now + max(0.0, left_s)
        if self.opener == "gateway":
            # Its chain opens the session by itself.
            self.delay(reopening.GAP_S)
        self._note_budget()

    def delay(self, seconds: float) -> None:
        """Nothing is opened for so long."""
        self.earliest = max(self.earliest, self._clock() + seconds)

    def set_policy(self, body: object) -> None:
        """Take the owner's word; InvalidRequest when it is none."""
        self.policy = parse_policy(body, at=self._wall())
        entries = self._journal.entries
        entries.policy = {name: getattr(self.policy, name) for name in ("paused", "reopen", "max_attempts")}
        entries.policy_at = self.policy.set_at
        self._journal.write()

    def _recall_policy(self) -> Policy:
        entries = self._journal.entries
        try:
            if entries.policy is not None:
                return replace(parse_policy(entries.policy, at=0), set_at=entries.policy_at or 0.0)
        except InvalidRequest:
            pass
        return Policy(reopen=self._settings.auto_reopen)

    def _note_budget(self) -> None:
        entries = self._journal.entries
        entries.attempts = self.budget.attempts
        entries.next_at = self._wall() + self.budget.next_at - self._clock() if self.budget.attempts else None
        self._journal.write()

    def _loop(self, epoch: float) -> float:
        # A calendar that was set back makes a time look later than it is, never by more than the longest pause.
        return self._clock() + min(epoch - self._wall(), reopening.PAUSES_S[-1])
