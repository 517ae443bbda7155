"""What the tools of one server share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ib_mcp.guard.client import Guard
from ib_mcp.guard.desk import Desk
from ib_mcp.guard.directory import AccountDirectory
from ib_mcp.guard.limited import LimitedGuard
from ib_mcp.market.accounts import Accounts
from ib_mcp.market.resolver import Contracts
from ib_mcp.portfolio.last_seen import LastSeen
from ib_mcp.settings import McpSettings
from ib_mcp.trading.rules_book import RulesBook


@dataclass(frozen=True, slots=True)
class ToolContext:
    """``wall``: seconds of Unix time now."""

    settings: McpSettings
    guard: Guard
    accounts: Accounts
    contracts: Contracts
    last_seen: LastSeen
    desk: Desk
    rules: RulesBook
    wall: Callable[[], float] = time.time

    @classmethod
    def of(cls, guard: Guard, settings: McpSettings, wall: Callable[[], float] = time.time) -> ToolContext:
        """One that remembers nothing yet."""
        directory = AccountDirectory(guard)
        limited = LimitedGuard(guard, directory)
        accounts = Accounts(limited, directory, settings.default_account)
        last_seen = LastSeen(lambda: limited.sign_ins)
        return cls(settings, limited, accounts, Contracts(limited), last_seen, Desk(limited), RulesBook(limited), wall)
