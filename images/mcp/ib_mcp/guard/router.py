"""Several guards behind one server: each question goes to the gateway whose account it is about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from ib_mcp.guard.client import Guard, GuardClient, Reply
from ib_mcp.guard.transport import by_sockets, by_transport
from ib_mcp.settings import McpSettings
from ibkr.errors import (
    IbError,
    LoginRequired,
    Maintenance,
    SessionCompeting,
    SessionReopening,
    UpstreamUnreachable,
)
from ibkr.session import Status

_LISTS_ACCOUNTS = "list_portfolio_accounts"
_NO_SESSION = (LoginRequired, Maintenance, SessionCompeting, SessionReopening, UpstreamUnreachable)


@asynccontextmanager
async def connect(settings: McpSettings, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Guard]:
    """The guard of ``settings``, or all of them as one; ``transport`` replaces the sockets in tests."""
    async with AsyncExitStack() as stack:
        send = await stack.enter_async_context(by_sockets() if transport is None else by_transport(transport))
        first = GuardClient(send, str(settings.guard_url).rstrip("/"), settings.guard_token.get_secret_value())
        more = {
            extra.name: GuardClient(send, str(extra.url).rstrip("/"), extra.token.get_secret_value())
            for extra in settings.extra_guards
        }
        yield GuardRouter({"default": first, **more}) if more else first


class GuardRouter:
    """Answers like one guard. A question about no account goes to the first."""

    def __init__(self, named: Mapping[str, GuardClient]) -> None:
        self._named = dict(named)
        self._first = next(iter(self._named.values()))
        self._owners: dict[str, GuardClient] = {}

    def each(self) -> dict[str, GuardClient]:
        return dict(self._named)

    async def call(
        self,
        operation: str,
        *,
        account: str | None = None,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        if operation == _LISTS_ACCOUNTS:
            return await self._all_accounts()
        about = account or _account(path, body)
        if about is not None:
            return await (await self._owner(about)).call(operation, path=path, query=query, body=body)
        refused: list[IbError] = []
        for guard in self._named.values():
            try:
                return await guard.call(operation, path=path, query=query, body=body)
            except _NO_SESSION as error:
                refused.append(error)
        raise refused[0]

    async def status(self) -> Status:
        return await self._first.status()

    async def reauthenticate(self) -> Status:
        return await self._first.reauthenticate()

    async def _owner(self, account: str) -> GuardClient:
        if account not in self._owners:
            await self._all_accounts()
        return self._owners.get(account, self._first)

    async def _all_accounts(self) -> Reply:
        """The accounts of every gateway that answers; the first one's refusal when none does."""
        asked = (guard.call(_LISTS_ACCOUNTS) for guard in self._named.values())
        replies = await asyncio.gather(*asked, return_exceptions=True)
        rows: list[Any] = []
        refused: list[IbError] = []
        age = 0
        for guard, reply in zip(self._named.values(), replies, strict=True):
            if isinstance(reply, IbError):
                refused.append(reply)
            elif isinstance(reply, BaseException):
                raise reply
            else:
                found = [row for row in reply.body if isinstance(row, dict)]
                self._owners |= {str(row.get("accountId")): guard for row in found}
                rows += found
                age = max(age, reply.age_ms)
        if len(refused) == len(replies):
            raise refused[0]
        return Reply(rows, age, "batch")


def _account(path: Mapping[str, Any] | None, body: Any) -> str | None:
    """The account that a question names."""
    if path and "accountId" in path:
        return str(path["accountId"])
    named = body.get("acctIds") if isinstance(body, dict) else None
    return str(named[0]) if isinstance(named, list) and named else None
