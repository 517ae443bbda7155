"""A simulator whose calendar runs with the loop's clock, for tests in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec

# A Tuesday at noon in New York.
NOON = 1795539600.0


def simulated(*faults: FaultSpec, signed_in: Any = "paper", limits: bool = True, **more: Any) -> Simulator:
    """One with ``signed_in``'s session open and these faults."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    made = Simulator(7, signed_in, wall=lambda: NOON + loop.time() - started, limits=limits, **more)
    for fault in faults:
        made.faults.add(fault)
    return made


def stocks_of(simulator: Simulator, count: int) -> list[str]:
    """Conids of stocks and currencies with live data, as often as needed on further exchanges."""
    contracts = simulator.backend.worlds["paper"].contracts
    conids = [str(each.conid) for each in contracts if each.kind in ("STK", "CASH") and each.feed == "R"]
    exchanges = ("SMART", "NYSE", "ISLAND", "ARCA", "BATS", "IEX")
    return [*conids, *(f"{conid}@{exchange}" for exchange in exchanges for conid in conids)][:count]
