"""What accounts held when their positions were last read: costs no question, so quotes can say it too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ib_mcp.market.contract import Contract
from ib_mcp.portfolio.holding import Holding

_REMEMBER_S = 3600.0
_MOST_NAMES = 4
# What a bare ticker may mean; derivatives on it have longer names.
_KINDS = frozenset({"STK", "FUND", "CRYPTO", "CMDTY", "CASH", "IND", "FUT"})


class LastSeen:
    """By account, for an hour at most and of the present sign-ins only, which ``sign_ins`` tells."""

    def __init__(self, sign_ins: Callable[[], tuple[int, ...]]) -> None:
        self._sign_ins = sign_ins
        self._of: tuple[int, ...] = ()
        self._accounts: dict[str, tuple[float, list[Holding]]] = {}

    def note(self, account: str, holdings: Iterable[Holding]) -> None:
        """Open positions of ``account``, all of them, by the names that lead back to them."""
        self._forget_others()
        until = asyncio.get_running_loop().time() + _REMEMBER_S
        self._accounts[account] = until, [one for one in holdings if one.kind in _KINDS]

    def instead(self, text: str, meant: Contract, allows: Callable[[str], bool]) -> list[str]:
        """Names of what is held under the ticker ``text``, where an account holds that and not what is ``meant``.

        Only of accounts that ``allows``; nothing for a text that is more than a ticker.
        """
        self._forget_others()
        if text.strip().upper().lstrip("$") != meant.root:
            return []
        now = asyncio.get_running_loop().time()
        held = [
            one
            for account, (until, holdings) in self._accounts.items()
            if now < until and allows(account)
            for one in holdings
            if one.ticker.upper() == meant.root
        ]
        if any(one.conid == meant.conid for one in held):
            return []
        return list(dict.fromkeys(one.symbol for one in held))[:_MOST_NAMES]

    def _forget_others(self) -> None:
        """Another sign-in has other accounts."""
        if self._of != (signed_in := self._sign_ins()):
            self._of = signed_in
            self._accounts.clear()
