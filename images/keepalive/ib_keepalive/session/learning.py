"""Asking what is to be known of a sign-in, each thing as often as it may be and no answer of the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ib_keepalive.session import sign_in
from ib_keepalive.session.ladder import Identity
from ib_keepalive.session.observation import ProbeResult
from ib_keepalive.session.poller import Poller
from ib_keepalive.session.sign_in import SignInFacts, SignIns
from ibkr.session import SessionState


class Learning:
    """``facts`` of the present sign-in; ``another`` is called when they turn out to be those of another one.

    Without ``validates`` IBKR cannot be asked who is signed in, as over OAuth 1.0a.
    """

    def __init__(
        self,
        poller: Poller,
        identity: Identity,
        sign_ins: SignIns,
        *,
        clock: Callable[[], float],
        another: Callable[[], None],
        validates: bool = True,
    ) -> None:
        self._poller = poller
        self._identity = identity
        self._sign_ins = sign_ins
        self._clock = clock
        self._another = another
        self._validates = validates
        self.facts = SignInFacts(validated=not validates)
        self.due = now = clock()
        self._accounts_due = now
        # The gateway asks it at a sign-in, and this keeper may be a restarted one, whose predecessor asked just now.
        self._validate_due = now + sign_in.RETRY_S
        self._sso_left: tuple[float, float] | None = None

    def forget(self) -> None:
        """Nobody is signed in, or somebody else."""
        self.facts, self.due, self._sso_left = SignInFacts(validated=not self._validates), self._clock(), None
        self._identity.forget_user()

    def begin(self) -> None:
        """Somebody signed in: the gateway validates that itself."""
        self.forget()
        self._validate_due = max(self._validate_due, self._clock() + sign_in.RETRY_S)

    def doubt(self) -> None:
        """The accounts may be others than when they were last read."""
        self.facts, self.due = replace(self.facts, accounts_read=False), self._clock()

    def is_due(self, state: SessionState, now: float) -> bool:
        """Whether there is something to ask now."""
        if now < self.due:
            return False
        if state is SessionState.PORTFOLIO_ONLY:
            return not self.facts.validated
        return state is SessionState.AUTHENTICATED and (self.facts.is_wanting or now >= self._accounts_due)

    async def learn(self, *, is_open: bool) -> None:
        """Ask what is missing; ``is_open``: accounts can be asked for."""
        now = self._clock()
        self.facts = replace(self.facts, tries=self.facts.tries + 1)
        self.due = now + self.facts.retry_s
        if is_open and (not self.facts.accounts_read or now >= self._accounts_due):
            self._accounts_due = now + sign_in.AGAIN_S
            await self._ask("list_brokerage_accounts", sign_in.from_accounts)
        if not self.facts.validated and not await self.validate() and (self.facts.accounts_read or not is_open):
            self.due = self._validate_due

    async def validate(self) -> bool:
        """Ask who is signed in, unless that was asked within a minute: twice costs ten minutes of refusals."""
        now = self._clock()
        if not self._validates or now < self._validate_due:
            return False
        self._validate_due = now + sign_in.RETRY_S
        self._identity.learn(await self._ask("validate_sign_in", sign_in.from_validation))
        return True

    def take_tickle(self, result: ProbeResult) -> None:
        """Take what a good tickle told."""
        now = self._clock()
        before, self._sso_left = self._sso_left, None if result.sso_expires_s is None else (result.sso_expires_s, now)
        self._take(sign_in.from_tickle(self.facts, result, before, now))

    def take_list(self, operation: str, body: Any) -> None:
        """Take a list of accounts that a caller asked for."""
        self._take(sign_in.LISTS_OF_ACCOUNTS[operation](self.facts, body))

    async def _ask(self, operation: str, read: Callable[[SignInFacts, Any], SignInFacts]) -> Any:
        number = self._sign_ins.number
        body = (await self._poller.ask(operation))[1]
        if self._sign_ins.number != number:
            return None
        self._take(read(self.facts, body))
        return body

    def _take(self, facts: SignInFacts) -> None:
        if not self._validates:
            facts = replace(facts, validated=True)
        if sign_in.is_another(self.facts, facts):
            self._another()
        else:
            self.facts = facts
