"""Changing the user's watchlists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import pick
from ib_mcp.formats.text import untrusted
from ib_mcp.tools.arguments import Account, Symbols, Text
from ib_mcp.tools.base import Answer, write_tool
from ib_mcp.tools.lists import find_watchlist, instruments_of, user_watchlists
from ibkr.errors import InvalidRequest, UpstreamError

# IBKR keeps some small ids for its own lists.
_FIRST_ID = 1000
_MOST = 500


@write_tool("Watchlists")
async def edit_watchlist(
    context: ToolContext,
    action: Literal["create", "add", "remove", "delete"],
    watchlist: Annotated[Text, Field(min_length=1, max_length=80, description="name, or id of an existing one")],
    symbols: Symbols | None = None,
    account: Account = None,
) -> Answer:
    """Create or delete a watchlist, add instruments to one or remove them."""
    chosen = await context.accounts.resolve(account)
    lists = await user_watchlists(context, chosen)
    if symbols is None and action in ("add", "remove"):
        raise InvalidRequest(f"{action} needs symbols.", action=f"Name what to {action}.")
    if symbols is not None and action == "delete":
        raise InvalidRequest("delete takes no symbols.", action="To take instruments off the list use remove.")
    conids = [contract.conid for contract in await context.contracts.resolve_all(symbols or ())]
    if action == "create":
        if any(watchlist.casefold() == str(row.get("name")).casefold() for row in lists):
            raise InvalidRequest(f"There is a watchlist {watchlist[:40]!r}.", action="Add to it, or take another name.")
        return await _save(context, chosen, _free_id(lists), watchlist, [{"C": conid} for conid in conids])
    found = find_watchlist(lists, watchlist)
    list_id, name = str(found["id"]), str(found.get("name") or watchlist)
    if action == "delete":
        await context.guard.call("delete_watchlist", account=chosen, query={"id": list_id})
        if any(str(row.get("id")) == list_id for row in await user_watchlists(context, chosen)):
            raise UpstreamError("IBKR took the request, and the watchlist is still there.", action="Look at it in TWS.")
        return {"deleted": {"id": list_id, "name": untrusted(name, 80)}}
    rows = [_row(row) for row in await instruments_of(context, chosen, list_id)]
    present = {row.get("C") for row in rows}
    if action == "add":
        rows += [{"C": conid} for conid in dict.fromkeys(conids) if conid not in present]
    else:
        rows = [row for row in rows if row.get("C") not in conids]
    return await _save(context, chosen, list_id, name, rows)


async def _save(context: ToolContext, account: str, list_id: str, name: str, rows: list[dict[str, Any]]) -> Answer:
    """Write the whole list, as IBKR wants it, and read it again: a good answer alone proves nothing."""
    if len(rows) > _MOST:
        raise InvalidRequest(f"A watchlist of {len(rows)} rows is too long.", action=f"Keep it to {_MOST}.")
    await context.guard.call("save_watchlist", account=account, body={"id": list_id, "name": name, "rows": rows})
    now = [_row(row) for row in await instruments_of(context, account, list_id)]
    if [row.get("C") for row in now] != [row.get("C") for row in rows]:
        raise UpstreamError(
            "IBKR took the request, and the watchlist is another.", action="Read it with get_watchlists."
        )
    count = sum("C" in row for row in now)
    return {"watchlist": {"id": list_id, "name": untrusted(name, 80), "instruments": count}}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a list as it is written: an instrument or an empty line."""
    conid = str(pick(row, "conid", "C") or "")
    return {"C": int(conid)} if conid.isdecimal() else {"H": str(row.get("H") or "")}


def _free_id(lists: list[dict[str, Any]]) -> str:
    """One that no list has: saving under a taken id would overwrite that list without a word."""
    taken = [int(text) for row in lists if (text := str(row.get("id"))).isdecimal()]
    return str(max([_FIRST_ID - 1, *taken]) + 1)
