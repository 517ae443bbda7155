"""Orders at the guard: tickets, what became of them, and the stop. It checks and remembers; nothing is kept here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import anyio

from ib_mcp.formats.bodies import objects
from ib_mcp.gather import gather
from ib_mcp.guard.client import Guard
from ibkr.errors import IbError, OutcomeUnknown, UpstreamTimeout

Body = dict[str, Any]
# Between a gateway's name and its ticket, where there are several gateways.
_AT = "."
_TO_TELL_S = 1.0
_SUBMIT_AGAIN = "Call submit_order with the same ticket again: it sends nothing twice, and tells what became of it."


class Desk:
    """Asks the guard about orders. A ticket of one of several gateways begins with the gateway's name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def ticket(
        self,
        account: str,
        orders: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        order_id: str | None = None,
    ) -> Body:
        """What the limits say, and the ticket by which the orders can be sent; it is None where they cannot.

        ``order_id``: IBKR's, of the order that is changed.
        """
        kind = "place" if order_id is None else "modify"
        body: Body = {"kind": kind, "account": account, "orders": list(orders), "summary": dict(summary)}
        if order_id is not None:
            body["order_id"] = order_id
        found = await self._guard.trading("POST", "/tickets", account=account, body=body)
        if found.get("ticket") and (gateway := found.get("gateway")):
            found["ticket"] = f"{gateway}{_AT}{found['ticket']}"
        return found

    async def submit(self, ticket: str) -> Body:
        """Send what ``ticket`` stands for, once: its outcome, or the first one again."""
        try:
            return await self._of(ticket, "submit", {})
        except OutcomeUnknown as error:
            raise OutcomeUnknown(error.message, action=_SUBMIT_AGAIN) from error

    async def decide(self, ticket: str, *, approve: bool, by: str) -> Body:
        """Hand on what a person decided."""
        return await self._of(ticket, "decision", {"approve": approve, "by": by}, as_approver=True)

    async def pending(self, ticket: str) -> Body | None:
        """What a person is to decide about ``ticket``, with its summary; None when nothing is."""
        gateway, _, own = ticket.rpartition(_AT)
        found = await self._guard.trading("GET", "/approvals", gateway=gateway or None, as_approver=True)
        return next((row for row in objects(found.get("approvals")) if row.get("ticket") == own), None)

    async def approvals(self) -> list[Body]:
        """Everything that waits for a person, of every gateway; ``mode`` is that of the gateway's sign-in."""
        guards = self._guard.each()

        async def at(name: str) -> list[Body]:
            found = await guards[name].trading("GET", "/approvals", as_approver=True)
            items = objects(found.get("approvals"))
            mode = (await guards[name].status()).mode if items else "unknown"
            prefix = f"{name}{_AT}" if len(guards) > 1 else ""
            return [item | {"mode": mode, "ticket": f"{prefix}{item.get('ticket')}"} for item in items]

        return [item for items in await gather(map(at, guards)) for item in items]

    async def stop(self, reason: str, *, cancel_orders: bool) -> Body:
        """Stop at every gateway. ``stopped`` is false unless all did; of several, ``gateways`` tells what each said."""
        body = {"reason": reason, "cancel_orders": cancel_orders}

        async def at(guard: Guard) -> Body:
            try:
                # What one does not answer in time must not hide what became of the others.
                with anyio.fail_after(max(0.0, anyio.current_effective_deadline() - anyio.current_time() - _TO_TELL_S)):
                    return await guard.trading("POST", "/stop", body=body)
            except TimeoutError:
                return {"stopped": False} | UpstreamTimeout("This gateway does not answer.").envelope()
            except IbError as error:
                return {"stopped": False} | error.envelope()

        guards = self._guard.each()
        if len(guards) == 1:
            return await self._guard.trading("POST", "/stop", body=body)
        found = dict(zip(guards, await gather(map(at, guards.values())), strict=True))
        return {"stopped": all(each.get("stopped") for each in found.values()), "gateways": found}

    async def status(self, account: str | None = None) -> Body:
        return await self._guard.trading("GET", "/status", account=account)

    async def orders(self, account: str, client_order_id: str | None = None) -> list[Body]:
        """What was sent for ``account``, newest first, and what became of it."""
        query = {"account": account, "client_order_id": client_order_id}
        found = await self._guard.trading("GET", "/orders", account=account, query=query)
        return objects(found.get("orders"))

    async def _of(self, ticket: str, what: str, body: Body, *, as_approver: bool = False) -> Body:
        gateway, _, own = ticket.rpartition(_AT)
        path = f"/tickets/{quote(own, safe='')}/{what}"
        return await self._guard.trading("POST", path, gateway=gateway or None, body=body, as_approver=as_approver)
