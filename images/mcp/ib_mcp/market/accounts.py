"""Which accounts there are, which one a tool call means, and to which one a row of IBKR belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ib_mcp.auth import granted
from ib_mcp.formats.tables import pick
from ib_mcp.guard import gateway_choice
from ib_mcp.guard.client import Guard
from ib_mcp.guard.directory import OWN_NAMES, AccountDirectory, named
from ib_mcp.guard.router import not_told
from ibkr.errors import IbError, InvalidRequest, UpstreamError

_SHARED_NAMES = ("displayName", "accountTitle", "desc")
# Where a row of an order or trade may name its account, the surest first: IBKR writes aliases into any of them.
_ROW_NAMES = ("accountCode", "acct", "account", "acctId", "acctid")


@dataclass(frozen=True, slots=True)
class Sorted:
    """``own`` rows of one account; ``others`` counts the left out ones by the name that IBKR gives."""

    own: list[dict[str, Any]]
    others: dict[str, int]

    @property
    def left_out(self) -> dict[str, Any]:
        """For an answer: which rows it does not show; empty when there are none."""
        return {"left_out": {"rows_of_other_accounts_or_groups": self.others}} if self.others else {}


class Accounts:
    """Those that the present agent may see."""

    def __init__(self, guard: Guard, directory: AccountDirectory, default: str | None) -> None:
        self._guard = guard
        self._directory = directory
        self._default = default

    async def all(self, *, again: bool = False) -> list[dict[str, Any]]:
        """IBKR's account objects, remembered for some seconds; those of one gateway where the call names it.

        ``again``: ask for them now.
        """
        grant, gateway = granted.current.get(), gateway_choice.named.get()
        return [
            row
            for row in await self._directory.all(again=again)
            if grant is not None
            and grant.allows(account := str(row["accountId"]))
            and (gateway is None or self._guard.lists(gateway, account))
        ]

    def _untold(self) -> dict[str, IbError]:
        """Gateways that may have the account that is meant, and do not tell theirs."""
        return _of_named(self._guard.untold)

    async def default(self) -> str | None:
        """The account that is meant when none is given; None when one has to be given."""
        try:
            return await self.resolve(None)
        except InvalidRequest:
            return None
        except IbError:
            if not self._untold():
                raise
            return None

    async def currency(self, account: str) -> str | None:
        """The base currency of an account id; None when IBKR does not tell it."""
        listed = next((pick(row, "currency") for row in await self.all() if row["accountId"] == account), None)
        if listed is not None:
            return str(listed)
        try:
            summary = (await self._guard.call("get_portfolio_summary", path={"accountId": account})).object
        except IbError:
            return None
        entry = summary.get("netliquidation")
        told = entry.get("currency") if isinstance(entry, dict) else None
        return str(told) if told else None

    async def resolve(self, account: str | None) -> str:
        """The account id that is meant: the given one (id or alias), the default, or the only one.

        A name that several accounts share is refused with their ids.
        """
        known = await self.all()
        ids = [str(row["accountId"]) for row in known]
        wanted = account or self._default_of(known)
        if wanted is None:
            for name, error in self._untold().items():
                raise not_told("Which account is meant is not known", name, error)
            if len(ids) == 1:
                return ids[0]
            if not ids:
                raise UpstreamError("IBKR lists no account.", action="Call get_session_status.")
            raise InvalidRequest("Several accounts are available.", action=f"Give account, one of: {', '.join(ids)}.")
        found = _called(known, wanted)
        if not found:
            # It may be of a sign-in since they were listed.
            known = await self.all(again=True)
            ids, found = [str(row["accountId"]) for row in known], _called(known, wanted)
        if len(found) > 1:
            raise InvalidRequest(
                f"{len(found)} accounts are called {wanted[:40]!r}.",
                action=f"Give account by its id, one of: {', '.join(found)}.",
            )
        if not found:
            for name, error in _of_named(self._guard.unsure).items():
                raise not_told(f"No gateway that answers has the account {wanted[:40]!r}", name, error)
            raise InvalidRequest(
                f"There is no account {wanted[:40]!r}.", action=f"Give account, one of: {', '.join(ids)}."
            )
        return found[0]

    def _default_of(self, known: list[dict[str, Any]]) -> str | None:
        """The owner's default, unless the agent is limited to others or names a gateway that has others."""
        grant = granted.current.get()
        is_limited = gateway_choice.named.get() is not None or (grant is not None and grant.accounts is not None)
        if not self._default or not is_limited:
            return self._default or None
        return self._default if named(known, self._default, (*OWN_NAMES, *_SHARED_NAMES)) else None

    async def own_rows(self, account: str, rows: Iterable[dict[str, Any]]) -> Sorted:
        """The rows of ``account`` among orders or trades, by id or alias. A row that names nobody is everybody's."""
        known = await self.all()
        own: list[dict[str, Any]] = []
        others: dict[str, int] = {}
        for row in rows:
            names = [str(row[key]) for key in _ROW_NAMES if row.get(key)]
            owners = next((found for name in names if (found := named(known, name, OWN_NAMES))), None)
            if owners == [account] or (not owners and (not names or len(known) == 1)):
                own.append(row)
            else:
                others[names[0]] = others.get(names[0], 0) + 1
        return Sorted(own, others)


def _called(known: list[dict[str, Any]], name: str) -> list[str]:
    """Ids of the accounts that are called so: by id, else by another name of their own, else by a shared one."""
    return next(
        (found for keys in (("accountId",), OWN_NAMES, _SHARED_NAMES) if (found := named(known, name, keys))), []
    )


def _of_named(gateways: Mapping[str, IbError]) -> dict[str, IbError]:
    """Those that the present call may mean."""
    wanted = gateway_choice.named.get()
    return {name: error for name, error in gateways.items() if wanted in (None, name)}
