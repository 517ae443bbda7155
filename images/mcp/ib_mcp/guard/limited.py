"""The one door to IBKR for every tool, resource and generated call: what the token of the present agent allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ib_mcp.auth import granted
from ib_mcp.auth.granted import Grant
from ib_mcp.auth.scopes import READ, TRADE, scope_of
from ib_mcp.guard.account_rules import NotForSome, cut, tells_of
from ib_mcp.guard.client import Guard, Reply
from ib_mcp.guard.directory import AccountDirectory, named
from ibkr import catalogue
from ibkr.errors import IbError, InvalidRequest, OperationForbidden
from ibkr.operation import Operation
from ibkr.session import Status

# Where requests name accounts, however deep.
_NAMES = frozenset(
    {"accountId", "acctId", "acctid", "acctIds", "account", "accounts", "accountList", "customerAccount"}
)
_SHORTEST_ID = 5
_SOME = "The token of this agent is limited to some accounts"


class LimitedGuard:
    """Passes on what the present agent may ask, and of the answers what it may see."""

    def __init__(self, guard: Guard, directory: AccountDirectory) -> None:
        self._guard = guard
        self._directory = directory
        self._catalogue = catalogue.load()

    async def call(
        self,
        operation: str,
        *,
        account: str | None = None,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        endpoint = self._catalogue[operation]
        grant = self._granted(scope_of(endpoint.effect), endpoint.id)
        if grant.accounts is not None:
            _check_request(endpoint, grant, [path, query, body, {"account": account}])
        reply = await self._guard.call(operation, account=account, path=path, query=query, body=body)
        return reply if grant.accounts is None else replace(reply, body=await self._cut(endpoint, grant, reply.body))

    async def trading(
        self,
        method: str,
        path: str,
        *,
        account: str | None = None,
        gateway: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        as_approver: bool = False,
    ) -> dict[str, Any]:
        grant = self._granted(READ if method == "GET" else TRADE, "this")
        if account is not None and not grant.allows(account):
            raise _no_account(account, grant)
        if account is None and method == "GET" and grant.accounts is not None and not as_approver:
            raise InvalidRequest(f"{_SOME}, and this was asked about none.", action="Name the account.")
        return await self._guard.trading(
            method, path, account=account, gateway=gateway, query=query, body=body, as_approver=as_approver
        )

    def each(self) -> dict[str, Guard]:
        return {name: LimitedGuard(guard, self._directory) for name, guard in self._guard.each().items()}

    @property
    def sign_ins(self) -> tuple[int, ...]:
        return self._guard.sign_ins

    @property
    def untold(self) -> Mapping[str, IbError]:
        return self._guard.untold

    @property
    def unsure(self) -> Mapping[str, IbError]:
        return self._guard.unsure

    def lists(self, gateway: str, account: str) -> bool:
        return self._guard.lists(gateway, account)

    async def status(self) -> Status:
        return await self._guard.status()

    async def reauthenticate(self) -> Status:
        self._granted(READ, "reopening the session")
        return await self._guard.reauthenticate()

    @staticmethod
    def _granted(scope: str, what: str) -> Grant:
        grant = granted.current.get()
        if grant is None or scope not in grant.scopes:
            raise OperationForbidden(
                f"The token of this agent has no scope {scope}, which {what} needs.",
                action="Ask the owner for a token with it.",
            )
        return grant

    async def _cut(self, endpoint: Operation, grant: Grant, body: Any) -> Any:
        known = await self._directory.all()

        def owns(name: str) -> bool:
            owners = named(known, name) or [name]
            return all(map(grant.allows, owners))

        strangers = frozenset(
            account
            for row in known
            if not grant.allows(account := str(row["accountId"])) and len(account) >= _SHORTEST_ID
        )
        try:
            shown = cut(endpoint.accounts, body, owns)
        except NotForSome:
            raise _not_for_some(endpoint) from None
        if tells_of(shown, strangers):
            raise _not_for_some(endpoint)
        return shown


def _check_request(endpoint: Operation, grant: Grant, parts: list[Any]) -> None:
    """Refuse what no answer can be cut for, and what is about another account."""
    if not endpoint.accounts:
        raise _not_for_some(endpoint)
    about = list(_accounts(parts))
    for account in about:
        if not grant.allows(account):
            raise _no_account(account, grant)
    if endpoint.accounts.partition(" ")[0] == "named" and not about:
        raise InvalidRequest(f"{_SOME}, and {endpoint.id} was asked about none.", action="Name the account.")


def _no_account(account: str, grant: Grant) -> InvalidRequest:
    """As of one that does not exist."""
    return InvalidRequest(
        f"There is no account {account[:40]!r}.",
        action=f"Give account, one of: {', '.join(sorted(grant.accounts or ()))}.",
    )


def _accounts(part: Any, is_name: bool = False) -> Iterator[str]:
    """Everything that stands where an account is named."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _accounts(value, is_name or key in _NAMES)
    elif isinstance(part, list | tuple):
        for one in part:
            yield from _accounts(one, is_name)
    elif is_name and part is not None:
        yield from filter(None, str(part).split(","))


def _not_for_some(endpoint: Operation) -> OperationForbidden:
    return OperationForbidden(
        f"{_SOME}, and the answer of {endpoint.id} tells of others.",
        action="Ask about one account with another tool, or ask the owner for a token without that limit.",
    )
