"""Who calls, and what this caller may do."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from fastmcp.server.auth import AccessToken

from ib_mcp.auth.scopes import SCOPES


@dataclass(frozen=True, slots=True)
class Grant:
    """``name``: for logs, metrics and fair shares, never the token. ``accounts``: None means every account.

    ``is_own_name``: whether the owner gave the name, so that it stands for one agent.
    """

    name: str
    scopes: frozenset[str]
    accounts: frozenset[str] | None = None
    is_own_name: bool = False

    def allows(self, account: str) -> bool:
        return self.accounts is None or account in self.accounts


EVERYTHING = Grant("local", frozenset(SCOPES))
"""Of an agent on this machine that shows no token."""

current: ContextVar[Grant | None] = ContextVar("grant", default=None)
"""Of the call that is being answered; without one nothing is permitted."""


class GrantedToken(AccessToken):
    """A token that was shown and found good."""

    grant: Grant


def has(scope: str) -> bool:
    """Whether the agent of the present call was granted ``scope``."""
    grant = current.get()
    return grant is not None and scope in grant.scopes
