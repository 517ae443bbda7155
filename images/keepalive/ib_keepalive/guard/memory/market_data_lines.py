"""IBKR's market-data lines: one for every instrument once asked for, a hundred by default, until given up. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

MOST = 100
# More lines than these are given up all at once, which costs one request and wakes every feed anew: not more often.
_ONE_BY_ONE = 10
ALL_EVERY_S = 10.0
# Nobody polls an instrument more slowly than this and still wants its line.
_IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Room:
    """What has to be given up before some instruments get lines: all lines, or these conids."""

    all: bool = False
    conids: tuple[str, ...] = ()


class MarketDataLines:
    """The instruments that hold a line, with the time they were asked for last; a conid may be ``conid@EXCHANGE``.

    ``are_unknown``: IBKR may hold lines from before that nobody here knows of.
    """

    def __init__(self) -> None:
        self.are_unknown = True
        self._held: OrderedDict[str, float] = OrderedDict()
        self._in_use: Counter[str] = Counter()
        self._all_given_up_at = float("-inf")

    def __len__(self) -> int:
        return len(self._held)

    @property
    def in_use(self) -> int:
        """How many instruments are being read at this moment."""
        return len(self._in_use)

    def holds(self, conids: Collection[str]) -> bool:
        """Whether all of these have lines."""
        return not self.are_unknown and all(conid in self._held for conid in conids)

    def room_for(self, conids: Collection[str], now: float) -> Room | float | None:
        """What to give up so that these get lines; or when to ask again, None: after somebody stopped using some."""
        excess = len(self._held.keys() | set(conids)) - MOST
        if excess <= 0 and not self.are_unknown:
            return Room()
        if excess <= _ONE_BY_ONE and not self.are_unknown:
            victims = self._victims(conids, now)[:excess]
            return Room(conids=tuple(victims)) if len(victims) == excess else None
        if now < self._all_given_up_at + ALL_EVERY_S and not self.are_unknown:
            return self._all_given_up_at + ALL_EVERY_S
        return None if self._in_use else Room(all=True)

    def use(self, conids: Collection[str], now: float) -> None:
        """These are read from now on, which gives them lines."""
        for conid in conids:
            self._in_use[conid] += 1
            self._held[conid] = now
            self._held.move_to_end(conid)

    def release(self, conids: Collection[str], now: float) -> None:
        """One caller is done with these; their lines stay."""
        for conid in conids:
            self._in_use[conid] -= 1
            if not self._in_use[conid]:
                del self._in_use[conid]
            if conid in self._held:
                self._held[conid] = now
                self._held.move_to_end(conid)

    def give_up(self, conid: str) -> list[str]:
        """IBKR gives an instrument up on all exchanges: those that hold no line any more."""
        number = _number(conid)
        gone = [other for other in self._held if _number(other) == number]
        for other in gone:
            del self._held[other]
        return gone

    def give_up_all(self, now: float) -> list[str]:
        """As ``give_up`` for every instrument, known or not."""
        gone = list(self._held)
        self._held.clear()
        self._all_given_up_at = now if not self.are_unknown else self._all_given_up_at
        self.are_unknown = False
        return gone

    def _victims(self, conids: Collection[str], now: float) -> list[str]:
        """Who may lose a line, first who is asked for no more, then who was asked for last.

        Those who ask in turns for more than there are lines would each lose what they are about to ask for otherwise.
        """
        wanted = {_number(conid) for conid in (*self._in_use, *conids)}
        free = [conid for conid in self._held if _number(conid) not in wanted]
        idle = [conid for conid in free if now - self._held[conid] >= _IDLE_S]
        return idle + [conid for conid in reversed(free) if now - self._held[conid] < _IDLE_S]


def _number(conid: str) -> str:
    return conid.partition("@")[0]
