"""The desk: every order of whomever comes by here, is held against the owner's word, and ends in an outcome."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading import limits
from ib_keepalive.trading.conversation import Answerer, Submission
from ib_keepalive.trading.entries import Entry, digest_of
from ib_keepalive.trading.exchange import Answer
from ib_keepalive.trading.facts import Facts, Usage
from ib_keepalive.trading.flow import Done, OrderFlow, other_order
from ib_keepalive.trading.intent import ALL_ORDERS, OrderIntent, read_cancel
from ib_keepalive.trading.ledger import Before, Ledger
from ib_keepalive.trading.limits import LimitResult
from ib_keepalive.trading.outcome import OrderState, Outcome, Question
from ib_keepalive.trading.policy import Policy
from ib_keepalive.trading.record import OrderRecord
from ib_keepalive.trading.shown import shown
from ib_keepalive.trading.standing import Standing
from ib_keepalive.trading.tickets import Ticket, make_ticket, refuse_ticket
from ib_keepalive.trading.twins import refuse_twin
from ibkr.errors import IbError, InvalidRequest, OperationForbidden, SessionReopening

# What was read before the turn is read again when it came later than this, or other orders went out meanwhile.
_FACTS_S = 3.0
_ID_PREFIX = "ibmcp-"


class FactsReader(Protocol):
    """Reads what the limits have to know; any IbError when IBKR does not tell."""

    async def gather(self, intent: OrderIntent, policy: Policy, caller: Caller) -> Facts: ...


class AllowList:
    """Answers yes to the questions that the policy names, and no to all others."""

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy

    async def confirms(self, question: Question, answer: Answer) -> bool:
        return permits(self._policy(), question)


def permits(policy: Policy, question: Question) -> bool:
    """Whether the policy lets a question be answered with yes."""
    return bool(question.message_ids) and set(question.message_ids) <= set(policy.questions)


class Desk:
    """``sign_in``: the number of the present one; ``session`` tells why no order can be sent in the present session.

    ``approval_url``: where a person decides about a ticket.
    """

    def __init__(
        self,
        standing: Standing,
        ledger: Ledger,
        flow: OrderFlow,
        record: OrderRecord,
        facts: FactsReader,
        sign_in: Callable[[], int],
        session: Callable[[], IbError | None],
        wall: Callable[[], float],
        approval_url: Callable[[str], str | None],
    ) -> None:
        self._standing = standing
        self._ledger = ledger
        self._flow = flow
        self._record = record
        self._facts = facts
        self._sign_in = sign_in
        self._session = session
        self._wall = wall
        self._approval_url = approval_url
        self._left = 0

    async def preview(self, intent: OrderIntent, summary: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """What the limits say of an order, and a ticket by which it may be sent when they say nothing against it."""
        intent = intent.with_client_order_ids(new_client_order_id)
        self._raise_session()
        sign_in = self._sign_in()
        policy = self._standing.policy()
        facts = None if policy.mode == "off" else await self._facts.gather(intent, policy, caller)
        before = Before() if self._ledger.problem else await self._ledger.before(intent.client_order_ids)
        results = [] if facts is None else limits.check(policy, intent, facts, before.usage)
        refused = [result.sentence for result in results if not result.passed]
        error = self._standing.refuse_placing()
        if error is None:
            error = refuse_twin(intent, before.unknown) or (
                other_order(before.same) if before.same is not None else None
            )
        if error is not None and error.message not in refused:
            refused.append(error.message)
        now = self._wall()
        ticket = None if refused else make_ticket(intent, shown(intent, summary, facts), sign_in=sign_in, now=now)
        name = None if ticket is None else ticket.ticket
        await self._ledger.aside(lambda: self._record.previewed(intent, results, name, facts), keep=ticket)
        return {
            "ticket": name,
            "expires_at": None if ticket is None else ticket.expires_at,
            "expires_in_s": None if ticket is None else ticket.expires_at - now,
            "client_order_ids": list(intent.client_order_ids),
            "limits": [result.to_json() for result in results],
            "refused": refused,
            "approval": policy.approval,
        }

    async def submit(self, ticket_id: str, caller: Caller, *, is_approver: bool = False) -> tuple[Outcome, bool]:
        """The outcome of a ticket's order, and whether it is that of an earlier submission."""
        ticket = await self._ledger.ticket(ticket_id)
        whose = None if is_approver else caller.name
        entry = await self._ledger.of_ticket(ticket_id)
        if entry is not None:
            if whose is not None and whose != entry.caller:
                raise OperationForbidden("The ticket is somebody else's.")
            done = await self._flow.join(entry, caller)
            return done.outcome, True
        refused = self._refuse_ticket(ticket, whose)
        if refused is not None:
            raise refused
        assert ticket is not None
        waiting = await self._undecided(ticket)
        if waiting is not None:
            return waiting, False

        def still() -> IbError | None:
            return self._refuse_ticket(ticket, whose) or self._refuse_unapproved(ticket)

        done = await self.send(
            ticket.intent, caller, AllowList(self._standing.policy), ticket=ticket.ticket, still=still
        )
        return done.outcome, done.repeated

    async def send(
        self,
        intent: OrderIntent,
        caller: Caller,
        answerer: Answerer,
        *,
        ticket: str | None = None,
        still: Callable[[], IbError | None] = lambda: None,
    ) -> Done:
        """Check an order, send it in its turn and tell what became of it. Any IbError: nothing was sent.

        ``still`` tells why it may not be sent any more when its turn has come.
        """
        submission = await self.prepare(intent, caller, answerer, ticket=ticket, still=still)
        if isinstance(submission, Entry):
            return await self._flow.join(submission, caller)
        return await self._flow.perform(submission, caller)

    async def prepare(
        self,
        intent: OrderIntent,
        caller: Caller,
        answerer: Answerer,
        *,
        ticket: str | None = None,
        still: Callable[[], IbError | None] = lambda: None,
    ) -> Submission | Entry:
        """The submission of an order that passed all checks, or the entry of the one that was sent before."""
        for name in intent.client_order_ids:
            known = await self._ledger.find(name)
            if known is not None and known.digest == digest_of(intent):
                return known
            if known is not None:
                raise other_order(known)
        sign_in = self._sign_in()
        policy = self._standing.policy()
        await self._raise_refusal(intent)
        self._raise_session()
        facts = await self._facts.gather(intent, policy, caller)
        read_at, left = asyncio.get_running_loop().time(), self._left
        await self._check(intent, policy, facts)

        async def approve() -> float | None:
            nonlocal facts
            policy = self._standing.policy()
            await self._raise_refusal(intent)
            if left != self._left or asyncio.get_running_loop().time() - read_at > _FACTS_S:
                facts = await self._facts.gather(intent, policy, caller)
            results = await self._check(intent, policy, facts)
            try:
                await self._ledger.aside(lambda: self._record.permitted(intent, results, ticket, facts))
            except IbError:
                if not _is_cancel(intent):
                    raise
            return None if _is_cancel(intent) else limits.notional(policy, intent, facts)

        def may_leave() -> None:
            self._raise_session()
            refused = self._refusal(intent) or still()
            if refused is None and self._sign_in() != sign_in:
                refused = SessionReopening("Somebody signed in anew, and nothing was sent.", action="Ask again.")
            if refused is not None:
                raise refused
            self._left += 1

        return Submission(intent, sign_in, approve, may_leave, answerer, ticket)

    async def cancel_all(self, account: str, caller: Caller) -> Outcome:
        """Cancel every working order of ``account``, whatever the policy says: the owner stops."""
        intent = read_cancel(account, ALL_ORDERS, caller=caller.name)

        async def approve() -> None:
            return None

        submission = Submission(intent, self._sign_in(), approve, lambda: None, AllowList(self._standing.policy))
        return (await self._flow.perform(submission, caller)).outcome

    async def decide(self, ticket_id: str, *, approve: bool, by: str) -> dict[str, Any]:
        """Note a person's decision about a ticket. InvalidRequest when it is too late, or made."""
        ticket = await self._ledger.ticket(ticket_id)
        if ticket is None or ticket.is_over(self._wall()) or await self._ledger.of_ticket(ticket_id):
            raise InvalidRequest("There is nothing to decide any more: the ticket is used, or has expired.")
        if ticket.sign_in != self._sign_in():
            raise InvalidRequest(
                "There is nothing to decide any more: somebody signed in anew, and that ends the ticket."
            )
        if ticket.decision in ("approved", "refused"):
            if (ticket.decision == "approved") != approve:
                raise InvalidRequest(f"It was {ticket.decision} before, by {ticket.decided_by}.")
            return {"decision": ticket.decision, "by": ticket.decided_by}
        decided = ticket.decided(approve=approve, by=by[:100], now=self._wall())
        await self._ledger.aside(lambda: self._record.decided(ticket.intent, ticket_id, decided.decision, by[:100]))
        await self._ledger.keep_ticket(decided, synced=True)
        return {"decision": decided.decision, "by": decided.decided_by}

    async def _undecided(self, ticket: Ticket) -> Outcome | None:
        """What is told while a person has not approved it."""
        if ticket.decision == "refused":
            return _outcome("declined", f"It was refused by {ticket.decided_by}.", ticket)
        if self._standing.policy().approval == "none" or ticket.decision == "approved":
            return None
        await self._raise_refusal(ticket.intent)
        if ticket.decision == "none":
            await self._ledger.aside(lambda: self._record.asked(ticket.intent, ticket.ticket))
            await self._ledger.keep_ticket(ticket.asking(self._wall()), synced=True)
        outcome = _outcome("approval_needed", "A person has to approve it; submit the same ticket again then.", ticket)
        return Outcome(outcome.outcome, outcome.message, outcome.orders, None, self._approval_url(ticket.ticket))

    def _refuse_unapproved(self, ticket: Ticket) -> IbError | None:
        """The policy may want a person's word that it did not want when the ticket was submitted."""
        if self._standing.policy().approval == "none" or ticket.decision == "approved":
            return None
        return OperationForbidden("A person has to approve orders now.", action="Submit the ticket again.")

    def _refuse_ticket(self, ticket: Ticket | None, caller: str | None) -> IbError | None:
        return refuse_ticket(ticket, caller=caller, sign_in=self._sign_in(), now=self._wall())

    def _refusal(self, intent: OrderIntent) -> IbError | None:
        """Why nothing is placed now; a cancellation only makes less of what is there, and stopping must not keep it."""
        return None if _is_cancel(intent) else self._standing.refuse_placing()

    async def _raise_refusal(self, intent: OrderIntent) -> None:
        refused = self._refusal(intent)
        if refused is not None:
            limit = self._standing.hindrance()
            await self._ledger.aside(lambda: self._record.refused(intent, limit, refused.message))
            raise refused

    def _raise_session(self) -> None:
        refused = self._session()
        if refused is not None:
            raise refused

    async def _check(self, intent: OrderIntent, policy: Policy, facts: Facts) -> list[LimitResult]:
        # A cancellation wants no ledger: it has to be possible while the disk is full.
        usage = Usage() if _is_cancel(intent) else await self._ledger.usage()
        results = limits.check(policy, intent, facts, usage)
        refused = [result for result in results if not result.passed]
        if refused:
            await self._ledger.aside(lambda: self._record.beyond(intent, refused, facts))
            raise OperationForbidden(
                " ".join(result.sentence for result in refused),
                action="Stay within the owner's limits, or ask the owner.",
            )
        twin = refuse_twin(intent, await self._ledger.unknown()) if intent.kind == "place" else None
        if twin is not None:
            raise twin
        return results


def _is_cancel(intent: OrderIntent) -> bool:
    return intent.kind in ("cancel", "cancel_all")


def new_client_order_id() -> str:
    """An id that no other order has; IBKR shows it as ``order_ref``."""
    return _ID_PREFIX + secrets.token_hex(9)


def _outcome(name: Any, message: str, ticket: Ticket) -> Outcome:
    return Outcome(name, message, tuple(OrderState(o.get("cOID"), None, None) for o in ticket.intent.orders))
