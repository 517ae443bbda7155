"""Market-data snapshots: the first one subscribes, the values arrive over the next polls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ib_simulator.answers.fields import EVERY, SLOW, STATIC
from ib_simulator.answers.quote import Quote, availability
from ib_simulator.answers.refusals import as_conid, bad_request, body_of, failed, needs_accounts, required
from ib_simulator.answers.search import searched_of
from ib_simulator.call import Answer, Call, Memory
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.market import last_update

MAX_CONIDS, MAX_FIELDS, MAX_LINES = 100, 50, 100

FAST_AFTER_S, SLOW_AFTER_S = 0.7, 2.0
FAST_AFTER_POLLS, SLOW_AFTER_POLLS = 2, 5
"""A field comes when it was asked for this long ago, or this many polls ago: the clock may stand still."""

_MARKS = ("6119", "6509", "server_id", "_updated")
"""What every row with values has."""


@dataclass
class Line:
    """A market-data line of the brokerage session.

    ``asked`` holds the time and poll of each field's first request; ``settled`` when all of them arrived. ``values``
    are those of the last update.
    """

    conidex: str
    polls: int = 0
    asked: dict[str, tuple[float, int]] = field(default_factory=dict)
    settled: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def lines_of(memory: Memory) -> dict[str, Line]:
    """The open lines by ``conid`` or ``conid@EXCHANGE``; they are shared by all clients of the session."""
    lines: dict[str, Line] = memory.notes.setdefault("lines", {})
    return lines


def get_price_snapshot(world: World, call: Call) -> Answer:
    needs_accounts(call)
    wanted = [part.strip() for part in required(call, "conids").split(",") if part.strip()]
    fields = [part.strip() for part in call.query.get("fields", "").split(",") if part.strip()]
    if len(wanted) > MAX_CONIDS:
        raise bad_request(f"at most {MAX_CONIDS} conids")
    if len(fields) > MAX_FIELDS:
        raise bad_request(f"at most {MAX_FIELDS} fields")
    lines = lines_of(call.memory)
    return Answer([_row(world, call, lines, conidex, fields) for conidex in wanted])


def _row(world: World, call: Call, lines: dict[str, Line], conidex: str, fields: list[str]) -> dict[str, Any]:
    conid = as_conid(conidex)
    row: dict[str, Any] = {"conidEx": conidex, "conid": conid}
    contract = world.contracts.get(conid)
    line = lines.get(conidex)
    if line is None:
        if len(lines) >= MAX_LINES:
            return row
        line = lines[conidex] = Line(conidex)
    line.polls += 1
    for name in fields:
        if name not in line.asked:
            line.asked[name] = (call.now, line.polls)
            line.settled = False
    if contract is None or not _has_data(call, contract):
        return row
    values = _values(world, call, line, contract)
    if not fields:
        return row | values
    return row | {name: values[name] for name in (*fields, *_MARKS) if name in values}


def _has_data(call: Call, contract: Contract) -> bool:
    """Derivatives have no data until their underlying was searched in this session, and none once expired."""
    if not contract.is_derivative:
        return True
    return contract.underlying in searched_of(call.memory) and contract.expires_at >= call.now


def _values(world: World, call: Call, line: Line, contract: Contract) -> dict[str, Any]:
    """All fields of the line that arrived, or nothing."""
    moment = last_update(call.now)
    if line.settled and line.values.get("_updated") == int(moment * 1000):
        return line.values
    ready = list(line.asked) if line.settled else [name for name in line.asked if _arrived(line, name, call.now)]
    line.settled = len(ready) == len(line.asked)
    if not ready:
        return {}
    quote = Quote(world, contract, moment)
    values: dict[str, Any] = {}
    for name in ready:
        if contract.feed == "N" and name not in STATIC:
            continue
        compute = EVERY.get(name)
        text = None if compute is None else compute(quote)
        if text is not None:
            values[name] = text
    line.values = values | {
        "6119": f"q{contract.conid % 9000}",
        "6509": availability(contract, is_open=quote.is_open),
        "server_id": f"q{contract.conid % 9000}",
        "_updated": int(moment * 1000),
    }
    return line.values


def _arrived(line: Line, name: str, now: float) -> bool:
    asked, poll = line.asked[name]
    if name in SLOW:
        return now - asked >= SLOW_AFTER_S or line.polls - poll >= SLOW_AFTER_POLLS
    return now - asked >= FAST_AFTER_S or line.polls - poll >= FAST_AFTER_POLLS


def unsubscribe_market_data(world: World, call: Call) -> Answer:
    conid = as_conid(body_of(call).get("conid", ""))
    lines = lines_of(call.memory)
    mine = [key for key in lines if as_conid(key) == conid]
    if not mine:
        raise failed("unknown")
    for key in mine:
        del lines[key]
    return Answer({"success": True})


def unsubscribe_all_market_data(world: World, call: Call) -> Answer:
    lines_of(call.memory).clear()
    return Answer({"unsubscribed": True})


ANSWERS = {
    "get_price_snapshot": get_price_snapshot,
    "unsubscribe_market_data": unsubscribe_market_data,
    "unsubscribe_all_market_data": unsubscribe_all_market_data,
}
