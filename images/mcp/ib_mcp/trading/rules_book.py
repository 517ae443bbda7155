"""Rules of contracts, asked once in a while: they change with the exchange's, not with the market."""

from __future__ import annotations

import asyncio
from typing import Any

from ib_mcp.auth import granted
from ib_mcp.guard.client import Guard
from ib_mcp.trading.contract_rules import ContractRules, parse
from ib_mcp.trading.order import Order

_FRESH_S = 300.0
_MOST = 2000

Key = tuple[Any, ...]


class RulesBook:
    """What IBKR takes for each instrument and side, as it was told in the last minutes of this sign-in."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: dict[Key, tuple[float, ContractRules]] = {}

    async def of(self, order: Order, order_id: str | None = None) -> ContractRules:
        """Of the instrument, or a combination's first leg; with ``order_id`` what of that order may be changed."""
        body: dict[str, Any] = {"conid": order.contract.conid, "isBuy": order.side == "BUY"}
        if order.contract.asked_exchange:
            body["exchange"] = order.contract.asked_exchange
        if order_id is not None:
            body |= {"modifyOrder": True, "orderId": int(order_id)}
        now = asyncio.get_running_loop().time()
        grant = granted.current.get()
        # What an agent may not see of other accounts is missing in its answer.
        key = (self._guard.sign_ins, grant and grant.accounts, *body.items())
        until, known = self._known.get(key, (0.0, None))
        if known is None or now >= until:
            known = parse((await self._guard.call("get_contract_rules", body=body)).object)
            if len(self._known) >= _MOST:
                self._known.clear()
            if order_id is None:
                self._known[key] = (now + _FRESH_S, known)
        return known
