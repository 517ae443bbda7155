"""Which instrument a question about an account means: of several with one ticker, the one that the account holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ib_mcp.auth import granted
from ib_mcp.context import ToolContext
from ib_mcp.market.contract import Contract
from ib_mcp.portfolio import ledger, selection
from ib_mcp.tools.base import Answer
from ib_mcp.tools.position_data import all_positions
from ibkr.errors import IbError, InvalidRequest

# What a bare ticker names, rather than something on it.
_PLAIN = frozenset({"STK", "FUND", "CRYPTO", "CMDTY", "CASH", "IND"})


async def resolve_held(context: ToolContext, account: str, text: str) -> Contract:
    """As the resolver has it, unless ``account`` holds another one of that name and not that one."""
    meant: Contract | None = None
    refused: InvalidRequest | None = None
    try:
        meant = await context.contracts.resolve(text)
    except InvalidRequest as error:
        refused = error
    held = await _held(context, account, text)
    if meant is not None and (meant.conid in held or len(held) != 1):
        return meant
    if len(held) == 1:
        (conid,) = held
        found = (await context.contracts.describe([conid]))[conid]
        others = [meant.symbol, *meant.also] if meant is not None else []
        return replace(found, also=tuple(name for name in others if name.partition(" ")[0] != found.symbol))
    assert refused is not None
    raise refused


def held_instead(context: ToolContext, meant: Mapping[str, Contract]) -> Answer:
    """For an answer: what is held under a ticker, by the name of the other instrument that it was taken for.

    ``meant`` is what each text was taken for. It stays so, since a name has to mean one instrument; and IBKR is not
    asked: only what was read of positions in the last hour counts.
    """
    grant = granted.current.get()
    if grant is None:
        return {}
    found = {
        contract.symbol: context.last_seen.instead(text, contract, grant.allows) for text, contract in meant.items()
    }
    held = {symbol: names for symbol, names in found.items() if names}
    return {"held_instead": held} if held else {}


async def _held(context: ToolContext, account: str, text: str) -> set[int]:
    """Conids of the instruments of that name themselves; none where positions cannot be read."""
    try:
        found = await all_positions(context, account, ledger.parse({}), None)
    except IbError:
        return set()
    return {one.conid for one in selection.named(found.holdings, text) if one.kind in _PLAIN}
