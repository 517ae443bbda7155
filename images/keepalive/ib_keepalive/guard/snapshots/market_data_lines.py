"""IBKR's market-data lines: one for every instrument once asked for, a hundred by default, until given up. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

MOST = 100


class MarketDataLines:
    """The instruments that hold a line, least recently asked for first; a conid may be ``conid@EXCHANGE``."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, None] = OrderedDict()

    def clear(self) -> None:
        self._held.clear()

    def hold(self, conids: Iterable[str]) -> None:
        for conid in conids:
            self._held[conid] = None
            self._held.move_to_end(conid)

    def excess(self, wanted: Iterable[str]) -> list[str]:
        """What to give up, least recently asked for first, so that ``wanted`` gets lines too."""
        cached = set(wanted)
        count = len(self._held.keys() | cached) - MOST
        return [conid for conid in self._held if conid not in cached][: max(0, count)]

    def give_up(self, conid: str) -> list[str]:
        """IBKR gives an instrument up on all exchanges: those that hold no line any more."""
        number = conid.partition("@")[0]
        gone = [other for other in self._held if other.partition("@")[0] == number]
        for other in gone:
            del self._held[other]
        return gone

    def give_up_all(self) -> list[str]:
        """As ``give_up`` for every instrument."""
        gone = list(self._held)
        self._held.clear()
        return gone
