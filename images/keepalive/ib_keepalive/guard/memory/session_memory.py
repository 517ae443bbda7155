"""What IBKR and we remember while one session lasts, and noticing that another one began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ib_keepalive.guard.memory.cache import Cache
from ib_keepalive.guard.memory.market_data_lines import MarketDataLines
from ib_keepalive.guard.memory.rows import Rows
from ibkr.errors import SessionReopening
from ibkr.operation import Operation
from ibkr.session import Glance, Mode, SessionState

# Two clocks read one after the other, and rounded.
_JITTER_S = 0.25
# The calendar runs ahead of the loop by that much after a sleep of the machine, in which the loop's clock stands still.
_ASLEEP_S = 5.0
# Forgetting them costs one more call each.
_MOST_WARM = 10_000
# What may be asked for as seldom as this is worth more than its age when the same sign-in goes on.
_RARE_S = 60.0
_MOVED_BY_ORDERS = frozenset({"Order Monitoring", "Portfolio"})
# What is kept for longer than this is no amount that an order moves.
_SLOW_S = 15.0
# So long an instrument that IBKR refused is asked for alone.
_REJECTED_S = 60.0


class SessionChanged(SessionReopening):
    """Another session began between a request and its answer: neither belongs to the present one."""

    def __init__(self) -> None:
        super().__init__("IBKR's session changed while this was asked.", retry_after_s=1)


@dataclass(eq=False, slots=True)
class SessionMemory:
    """One session's; a request writes into the one it began with. ``sign_in``: the number of the sign-in it is of.

    ``called``: when IBKR answered operations that it wants before others. ``warm``: requests past their cold start.
    ``searched``: conids whose contract search was made, which strikes and contract lists need; ``traced``: those whose
    underlying was searched for, which prices of derivatives need. ``rejected``: until when conids are asked for alone.
    """

    sign_in: int = 0
    generation: int = 0
    cache: Cache = field(default_factory=Cache)
    rows: Rows = field(default_factory=Rows)
    lines: MarketDataLines = field(default_factory=MarketDataLines)
    called: dict[str, float] = field(default_factory=dict)
    warm: set[Hashable] = field(default_factory=set)
    searched: set[str] = field(default_factory=set)
    traced: set[str] = field(default_factory=set)
    _edits: dict[str, int] = field(default_factory=dict)
    _rejected: dict[str, float] = field(default_factory=dict)

    def edits(self, endpoint: Operation) -> int:
        """How often that was changed which ``endpoint`` is about: answers from before a change are not of after it."""
        return sum(self._edits.get(tag, 0) for tag in endpoint.tags)

    def note_edit(self, endpoint: Operation) -> None:
        """``endpoint`` changed something, or may have: what was kept of its kind is no longer so."""
        for tag in endpoint.tags:
            self._edits[tag] = self._edits.get(tag, 0) + 1
        self.cache = self.cache.only(lambda kept: not set(kept.tags) & set(endpoint.tags))

    def note_trade(self) -> None:
        """Orders were sent, or may have been: orders, holdings and balances are no longer those that were kept."""
        for tag in _MOVED_BY_ORDERS:
            self._edits[tag] = self._edits.get(tag, 0) + 1
        self.cache = self.cache.only(lambda kept: kept.fresh_s > _SLOW_S or not _MOVED_BY_ORDERS & set(kept.tags))

    def warm_up(self, key: Hashable) -> None:
        """Note that a request is past its cold start."""
        if len(self.warm) >= _MOST_WARM:
            self.warm.clear()
        self.warm.add(key)

    def note_search(self, contracts: Iterable[Any]) -> None:
        """Remember which conids a contract search found."""
        for contract in contracts:
            if isinstance(contract, dict) and contract.get("conid"):
                self.searched.add(str(contract["conid"]))

    def reject(self, conid: str, now: float) -> None:
        """IBKR refused a request for this instrument alone: it would spoil those that others share."""
        self._rejected[conid] = now + _REJECTED_S

    def accept(self, conids: Iterable[str]) -> None:
        """IBKR answered for these instruments."""
        if self._rejected:
            for conid in conids:
                self._rejected.pop(conid, None)

    def rejected(self, conids: Iterable[str], now: float) -> bool:
        """Whether one of these may spoil a request that others share."""
        return bool(self._rejected) and any(self._rejected.get(conid, now) > now for conid in conids)


class Sessions:
    """The present session, by what ``glance`` shows of it. ``wall`` is the calendar's clock (epoch seconds)."""

    def __init__(self, glance: Callable[[], Glance], wall: Callable[[], float]) -> None:
        self._glance = glance
        self._wall = wall
        self._memory = SessionMemory()
        self._state: SessionState | None = None
        self._began = 0.0
        self._started: float | None = None
        self._offset = 0.0
        self._mode: Mode = "unknown"

    def observe(self) -> tuple[Glance, SessionMemory]:
        """The session now, and what is remembered of it.

        What counts is how long ago a state began: the calendar may be set meanwhile.
        """
        seen = self._glance()
        offset = asyncio.get_running_loop().time() - self._wall()
        began = seen.state_since + offset
        started = None if seen.started_at is None else seen.started_at + offset
        is_same_user = seen.sign_in == self._memory.sign_in and (
            seen.mode == "unknown" or self._mode in ("unknown", seen.mode)
        )
        is_same_session = (
            is_same_user
            and seen.state is self._state
            and abs(began - self._began) < _JITTER_S
            and (started is None) == (self._started is None)
            and abs((started or 0.0) - (self._started or 0.0)) < _JITTER_S
        )
        was_asleep = self._state is not None and self._offset - offset > _ASLEEP_S
        self._mode = self._mode if is_same_user and seen.mode == "unknown" else seen.mode
        self._state, self._began, self._started, self._offset = seen.state, began, started, offset
        if not is_same_session or was_asleep:
            before = self._memory
            cache = before.cache.only(_is_rare) if is_same_user and not was_asleep else Cache()
            self._memory = SessionMemory(seen.sign_in, before.generation + 1, cache)
        return seen, self._memory

    def check(self, memory: SessionMemory) -> None:
        """SessionChanged unless ``memory`` is that of the present session."""
        if self.observe()[1] is not memory:
            raise SessionChanged


def _is_rare(operation: Operation) -> bool:
    return operation.pacing is not None and operation.pacing.seconds >= _RARE_S
