"""Several guards behind one server: each question goes to the gateway whose account it is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from ib_mcp.gather import gather
from ib_mcp.guard.client import LISTS_ACCOUNTS, Guard, GuardClient, Reply, accounts_in
from ib_mcp.guard.gateway import Gateway
from ib_mcp.guard.gateway_choice import named, note
from ib_mcp.guard.transport import by_sockets, by_transport
from ib_mcp.settings import FIRST_GATEWAY, McpSettings
from ibkr import catalogue
from ibkr.errors import (
    IbError,
    InvalidRequest,
    LoginRequired,
    Maintenance,
    OperationForbidden,
    SessionCompeting,
    SessionReopening,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ibkr.session import Status

# However often it arrives, an order is cancelled once: with this any gateway of the account may be tried.
_CANCELS = "cancel_order"
# With these another gateway may still answer.
_ELSEWHERE = (LoginRequired, Maintenance, SessionCompeting, SessionReopening, UpstreamUnreachable, UpstreamTimeout)


@asynccontextmanager
async def connect(settings: McpSettings, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Guard]:
    """The guard of ``settings``, or all of them as one; ``transport`` replaces the sockets in tests."""
    async with AsyncExitStack() as stack:
        send = await stack.enter_async_context(by_sockets() if transport is None else by_transport(transport))
        first = GuardClient(
            send,
            str(settings.guard_url).rstrip("/"),
            settings.guard_token.get_secret_value(),
            approver_token=_revealed(settings.approver_token),
        )
        more = {
            extra.name: GuardClient(
                send,
                str(extra.url).rstrip("/"),
                extra.token.get_secret_value(),
                extra.name,
                _revealed(extra.approver_token),
            )
            for extra in settings.extra_guards
        }
        if not more:
            yield first
            return
        router = GuardRouter({FIRST_GATEWAY: first, **more})
        stack.push_async_callback(router.close)
        yield router


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class GuardRouter:
    """Answers like one guard. A question about no account goes to the first gateway that can answer it."""

    def __init__(self, clients: Mapping[str, GuardClient]) -> None:
        self._gateways = {name: Gateway(name, client) for name, client in clients.items()}
        self._catalogue = catalogue.load()

    async def close(self) -> None:
        for gateway in self._gateways.values():
            await gateway.close()

    def each(self) -> dict[str, GuardClient]:
        wanted = self._wanted()
        return {gateway.name: gateway.client for gateway in self._gateways.values() if wanted in (None, gateway)}

    @property
    def sign_ins(self) -> tuple[int, ...]:
        return tuple(gateway.client.sign_in for gateway in self._gateways.values())

    @property
    def untold(self) -> Mapping[str, IbError]:
        return {name: error for name, gateway in self._gateways.items() if (error := gateway.untold) is not None}

    @property
    def unsure(self) -> Mapping[str, IbError]:
        return {name: error for name, gateway in self._gateways.items() if (error := gateway.unsure) is not None}

    def lists(self, gateway: str, account: str) -> bool:
        return self._named(gateway).owns(account)

    async def call(
        self,
        operation: str,
        *,
        account: str | None = None,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        wanted = self._wanted()
        if operation == LISTS_ACCOUNTS and wanted is None:
            return await self._all_accounts()
        about = [account] if account is not None else accounts_in(path, query, body)
        is_order = self._catalogue[operation].effect == "trade" and operation != _CANCELS
        if wanted is not None:
            candidates = [await self._checked(wanted, about)]
        elif is_order:
            candidates = [await self._desk_of(about, operation)]
        else:
            candidates = await (self._owners(about) if about else self._usable(operation))
        if account is not None and not any(each.owns(account) for each in candidates):
            # Nothing in the question names it, so that a gateway would answer of its own user.
            raise self._nobodys(account, candidates)
        refused: list[IbError] = []
        tried: list[Gateway] = []
        while candidates:
            for candidate in candidates:
                try:
                    reply = await candidate.client.call(operation, account=account, path=path, query=query, body=body)
                except _ELSEWHERE as error:
                    refused.append(error)
                    continue
                if not about:
                    note([candidate.name])
                return reply
            tried += candidates
            candidates = [] if wanted is not None or is_order else await self._more_owners(about, tried)
        raise refused[0]

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
        chosen = self._wanted() if gateway is None else self._named(gateway)
        if chosen is None:
            chosen = await self._desk_of([account], path) if account else (await self._usable())[0]
        elif account is not None:
            chosen = await self._checked(chosen, [account])
        found = await chosen.client.trading(
            method, path, account=account, query=query, body=body, as_approver=as_approver
        )
        return found | {"gateway": chosen.name}

    async def status(self) -> Status:
        return await (self._wanted() or (await self._usable())[0]).client.status()

    async def reauthenticate(self) -> Status:
        return await (self._wanted() or next(iter(self._gateways.values()))).client.reauthenticate()

    def _wanted(self) -> Gateway | None:
        """The gateway that the present call names."""
        name = named.get()
        return None if name is None else self._named(name)

    def _named(self, name: str) -> Gateway:
        if name not in self._gateways:
            raise InvalidRequest(
                f"There is no gateway {name[:40]!r}.", action=f"Give gateway, one of: {', '.join(self._gateways)}."
            )
        return self._gateways[name]

    async def _checked(self, wanted: Gateway, about: list[str]) -> Gateway:
        """``wanted``, unless it is known not to have these accounts and another gateway is known to have them."""
        for account in about:
            if wanted.owns(account):
                continue
            await wanted.accounts()
            owners = [name for name, gateway in self._gateways.items() if gateway.owns(account)]
            if owners and wanted.rows is not None and wanted.name not in owners:
                raise InvalidRequest(
                    f"The account {account[:40]!r} is not at the gateway {wanted.name!r}.",
                    action=f"Leave gateway out, or give {', '.join(owners)}.",
                )
        return wanted

    async def _usable(self, operation: str | None = None) -> list[Gateway]:
        """All gateways, first those whose session is enough for ``operation``, silent ones last."""
        tier = "brokerage" if operation is None else self._catalogue[operation].tier
        ranks = await gather(gateway.rank(tier) for gateway in self._gateways.values())
        ranked = sorted(zip(ranks, self._gateways.values(), strict=True), key=_rank)
        # Those that cannot answer tell why, if it comes to that; a silent one would only cost its time.
        return [gateway for rank, gateway in ranked if rank == 0] or [ranked[0][1]]

    async def _owners(self, accounts: list[str]) -> list[Gateway]:
        """The gateways that have these accounts, open ones first; their error is what a question about them gets."""
        if not all(any(each.owns(account) for each in self._gateways.values()) for account in accounts):
            await gather(each.accounts() for each in self._gateways.values())
        for account in accounts:
            if not any(each.owns(account) for each in self._gateways.values()):
                return await self._stranger(account)
        found = [each for each in self._gateways.values() if all(each.owns(account) for account in accounts)]
        if not found:
            raise InvalidRequest(
                "These accounts belong to different gateways.", action="Ask for the accounts of each gateway alone."
            )
        if len(found) == 1:
            return found
        ranks = await gather(each.rank("sso") for each in found)
        return [each for _, each in sorted(zip(ranks, found, strict=True), key=_rank)]

    async def _more_owners(self, accounts: list[str], tried: list[Gateway]) -> list[Gateway]:
        """Those that turn out to have these accounts too, of whom that was not known since their last sign-in."""
        unknown = [each for each in self._gateways.values() if each not in tried and each.rows is None]
        if not accounts or not unknown:
            return []
        await gather(each.accounts() for each in unknown)
        return [each for each in unknown if all(each.owns(account) for account in accounts)]

    async def _desk_of(self, accounts: list[str], what: str) -> Gateway:
        """The gateway by which orders of these accounts go, open or not: only there it is known what became of them."""
        if not accounts:
            raise InvalidRequest(
                f"{what} has to name its gateway.", action=f"Give gateway, one of: {', '.join(self._gateways)}."
            )
        owners = await self._owners(accounts)
        return next(each for each in self._gateways.values() if each in owners)

    async def _stranger(self, account: str) -> list[Gateway]:
        """For an account that no gateway lists, such as a group of them: who may know it."""
        for name, error in self.unsure.items():
            raise not_told(f"No gateway that answers has the account {account[:40]!r}", name, error)
        return await self._usable()

    @staticmethod
    def _nobodys(account: str, asked: list[Gateway]) -> IbError:
        for each in asked:
            if each.untold is not None:
                return not_told(f"Whose account {account[:40]!r} is, is not known", each.name, each.untold)
        return InvalidRequest(f"No gateway has the account {account[:40]!r}.", action="Call list_accounts.")

    async def _all_accounts(self) -> Reply:
        """The accounts of every gateway, as known of those that do not answer; their refusal when none is known."""
        refused = await gather(gateway.accounts() for gateway in self._gateways.values())
        rows: dict[str, Any] = {}
        for gateway in self._gateways.values():
            for row in gateway.rows or ():
                rows.setdefault(str(row.get("accountId")), row)
        errors = [error for error in refused if error is not None]
        if not rows and errors:
            raise errors[0].with_traceback(None)
        return Reply(list(rows.values()), max(gateway.age_ms for gateway in self._gateways.values()), "batch")


def not_told(what: str, name: str, error: IbError) -> IbError:
    """``error`` of the gateway ``name``, which is why ``what`` cannot be known."""
    if isinstance(error, OperationForbidden):
        return error
    told = type(error)(
        f"{what}, and the gateway {name!r} does not tell its own: {error.message}",
        action=error.action,
        retry_after_s=error.retry_after_s,
    )
    told.login = error.login
    return told


def _rank(pair: tuple[int, Gateway]) -> int:
    return pair[0]
