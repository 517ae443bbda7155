"""In what unit IBKR tells the prices of an instrument."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ib_mcp.formats.numbers import decimal, plain
from ib_mcp.gather import gather
from ib_mcp.guard.client import Guard
from ib_mcp.market.contract import Contract
from ibkr.errors import IbError

PERCENT_OF_PAR = "% of par"
NOT_TOLD = "not told by IBKR"
# Currencies whose shares are quoted in a hundredth (pence, cents, agorot) at some exchange.
_DIVIDED = frozenset({"GBP", "ZAR", "ILS"})
_ASKED_BY_ROOT = frozenset({"FUT", "FOP"})
_MOST_REMEMBERED = 20_000

Key = tuple[str, str, str] | int


class Units:
    """Units of prices, remembered: IBKR tells the divisor (``priceMagnifier``) among a contract's rules only."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._magnifiers: dict[Key, Decimal] = {}

    async def of(self, contracts: Iterable[Contract]) -> dict[int, str | None]:
        """Units by conid: ``GBP/100`` where the price is in pence, None where it is in the currency as such."""
        asked = {contract.conid: contract for contract in contracts}
        missing = {_key(contract): contract for contract in asked.values() if _may_be_divided(contract)}
        await gather(self._ask(key, contract) for key, contract in missing.items() if key not in self._magnifiers)
        return {conid: self._unit(contract) for conid, contract in asked.items()}

    def _unit(self, contract: Contract) -> str | None:
        if contract.kind in ("BOND", "BILL"):
            return PERCENT_OF_PAR
        if not _may_be_divided(contract):
            return None
        magnifier = self._magnifiers.get(_key(contract))
        if magnifier is None:
            return NOT_TOLD
        return None if magnifier == 1 else f"{contract.currency}/{plain(magnifier)}"

    async def _ask(self, key: Key, contract: Contract) -> None:
        try:
            body = {"conid": contract.conid, "isBuy": True}
            rules = (await self._guard.call("get_contract_rules", body=body)).object
        except IbError:
            return
        if len(self._magnifiers) > _MOST_REMEMBERED:
            self._magnifiers.clear()
        self._magnifiers[key] = decimal(rules.get("priceMagnifier")) or Decimal(1)


def _may_be_divided(contract: Contract) -> bool:
    if contract.kind in _ASKED_BY_ROOT:
        return True
    return contract.currency in _DIVIDED and contract.kind not in ("CASH", "CRYPTO", "IND", "FUND", "BOND", "BILL")


def _key(contract: Contract) -> Key:
    """Futures and their options have one unit for all months."""
    if contract.kind in _ASKED_BY_ROOT:
        return contract.root, contract.exchange, contract.kind
    return contract.conid
