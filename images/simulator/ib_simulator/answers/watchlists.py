"""Watchlists, kept at the broker and shared with its other programs."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import as_number, bad_request, body_of, required
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.stored import Watchlist


def list_watchlists(world: World, call: Call) -> Answer:
    return Answer(
        {
            "data": {
                "scanners_only": False,
                "system_lists": [{"is_open": False, "read_only": True, "name": "Portfolio", "id": "-1"}],
                "show_scanners": False,
                "bulk_delete": False,
                "user_lists": [
                    {
                        "is_open": False,
                        "read_only": False,
                        "name": watchlist.name,
                        "modified": watchlist.modified,
                        "id": watchlist.id,
                        "type": "watchlist",
                    }
                    for watchlist in world.stored.watchlists.values()
                ],
            },
            "action": "content",
            "MID": str(1 + call.memory.seen["list_watchlists"]),
        }
    )


def get_watchlist(world: World, call: Call) -> Answer:
    watchlist = world.stored.watchlists.get(required(call, "id"))
    if watchlist is None:
        raise bad_request("watchlist not found")
    loaded: set[str] = call.memory.notes.setdefault("watchlists", set())
    detailed = watchlist.id in loaded
    loaded.add(watchlist.id)
    rows = [_row(world, conid, detailed=detailed) for conid in watchlist.rows]
    return Answer(_frame(watchlist) | {"instruments": rows})


def _frame(watchlist: Watchlist) -> dict[str, Any]:
    return {
        "id": watchlist.id,
        "hash": str(watchlist.modified),
        "name": watchlist.name,
        "readOnly": False,
        "instruments": [],
    }


def _row(world: World, conid: int | None, *, detailed: bool) -> dict[str, Any]:
    if conid is None:
        return {"H": ""}
    contract = world.contracts.get(conid)
    if contract is None or not detailed:
        return {"C": str(conid), "conid": conid, "name": None}
    return {
        "ST": contract.kind,
        "C": str(conid),
        "conid": conid,
        "name": contract.name,
        "fullName": contract.description,
        "assetClass": contract.kind,
        "ticker": contract.symbol,
        "chineseName": None,
    }


def save_watchlist(world: World, call: Call) -> Answer:
    body = body_of(call)
    watchlist_id, name, rows = str(body.get("id", "")), body.get("name"), body.get("rows")
    if as_number(watchlist_id.removeprefix("-")) is None:
        raise bad_request("id must be a number")
    if not isinstance(name, str) or not name:
        raise bad_request("name is missing")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and ("C" in row or "H" in row) for row in rows):
        raise bad_request("rows must be an array of conids")
    watchlist = Watchlist(watchlist_id, name, [_conid(row) for row in rows], int(call.now * 1000))
    world.stored.watchlists[watchlist_id] = watchlist
    call.memory.notes.get("watchlists", set()).discard(watchlist_id)
    return Answer(_frame(watchlist))


def _conid(row: dict[str, Any]) -> int | None:
    return as_number(row.get("C", ""))


def delete_watchlist(world: World, call: Call) -> Answer:
    watchlist_id = required(call, "id")
    world.stored.watchlists.pop(watchlist_id, None)
    return Answer({"data": {"deleted": watchlist_id}, "action": "context", "MID": "2"})


ANSWERS = {
    "list_watchlists": list_watchlists,
    "get_watchlist": get_watchlist,
    "save_watchlist": save_watchlist,
    "delete_watchlist": delete_watchlist,
}
