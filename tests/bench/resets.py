"""``python -m tests.bench.resets``: nightly resets at IBKR's real gateway program, several programs side by side.

Each lane is a gateway program with the simulated IBKR behind it and a keepalive before it. A reset comes at any
moment of either rhythm; what counts is whether the program logs out, and the time to an open session.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import structlog

from gateway.program import Authority, Gateway
from gateway.rig import Broker, serve_broker
from ib_keepalive.app import Keepalive
from ib_keepalive.session.reopening import GAP_S
from ibkr.session import SessionState
from support.keepalive import settings

LOOK_S = 0.1
PATIENCE_S = 120.0
P95_S = 20.0
LOGOUT, TICKLE = "/v1/api/logout", "/v1/api/tickle"


@dataclass
class Lane:
    """One gateway program and its broker; ``mended_s`` of each reset, None for one that was not mended in time."""

    broker: Broker
    gateway: Gateway
    chance: Random
    signed_in_s: float = 0.0
    mended_s: list[float | None] = field(default_factory=list)

    async def run(self, resets: int) -> None:
        keepalive = Keepalive(settings(gateway_url=self.gateway.url, brokerage_login="keeper", auto_reopen=True))
        owner = httpx.AsyncClient(
            transport=httpx.ASGITransport(keepalive.login), base_url="http://localhost:5443", follow_redirects=True
        )
        async with keepalive, owner:
            for _ in range(resets):
                # A day lies between two nights: a sign-in begins another budget, and the gap after it passes.
                await self._sign_in(owner)
                began = time.monotonic()
                await self._opens(keepalive)
                self.signed_in_s = max(self.signed_in_s, time.monotonic() - began)
                await asyncio.sleep(GAP_S + self.chance.uniform(0, 60))
                timing = {"reset": self.chance.uniform(0, 2), "opening": self.chance.uniform(0.3, 3)}
                await asyncio.to_thread(self.broker.do, "timing", **timing)
                lost = time.monotonic()
                await asyncio.to_thread(self.broker.do, "nightly-reset")
                is_open = await self._opens(keepalive)
                self.mended_s.append(time.monotonic() - lost if is_open else None)

    async def _sign_in(self, owner: httpx.AsyncClient) -> None:
        form = {"user_name": "robin-paper", "password": "paper"}
        page = await owner.post("/sso/Login", data=form, headers={"Origin": "http://localhost:5443"})
        found = re.search(r'href="(/sso/SecondStep\?id=[^"]+)"', page.text)
        assert found is not None, page.text
        await asyncio.to_thread(self.broker.do, "approve")
        page = await owner.get(found[1])
        assert "signed-in" in str(page.url), page.text

    async def _opens(self, keepalive: Keepalive) -> bool:
        """Whether IBKR has the session open and the keeper says so, within two minutes."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
            if keepalive.keeper.status().state is not SessionState.AUTHENTICATED:
                continue
            state = await asyncio.to_thread(self.broker.state)
            if state["session"]["established"]:
                return True
        return False


async def _all(lanes: list[Lane], resets: int) -> None:
    await asyncio.gather(*(lane.run(resets) for lane in lanes))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.resets", description=__doc__)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--resets", type=int, default=3, help="in each lane")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        lanes = []
        for number in range(given.lanes):
            folder = Path(name) / str(number)
            folder.mkdir()
            authority = Authority(folder)
            broker = running.enter_context(serve_broker(folder, authority))
            gateway = Gateway(folder, broker.port, authority)
            gateway.start()
            running.callback(gateway.stop)
            lanes.append(Lane(broker, gateway, Random(f"{given.seed} {number}")))
        asyncio.run(_all(lanes, given.resets))
        return _report(lanes)


def _report(lanes: list[Lane]) -> int:
    ends = [end for lane in lanes for end in lane.mended_s]
    mended = sorted(end for end in ends if end is not None)
    figures = {
        "resets": len(ends),
        "mended": len(mended),
        "logouts": sum(len(lane.broker.requests(LOGOUT)) for lane in lanes),
        "tickles of the program itself": sum(len(lane.broker.requests(TICKLE, of_the_gateway=True)) for lane in lanes),
        "median from loss to open, s": round(mended[len(mended) // 2], 1),
        "p95 from loss to open, s": round(mended[min(len(mended) - 1, int(len(mended) * 0.95))], 1),
        "at most, s": round(mended[-1], 1),
        "from the second factor to an open session, at most, s": round(max(lane.signed_in_s for lane in lanes), 1),
    }
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    is_met = len(mended) == len(ends) and not figures["logouts"] and figures["p95 from loss to open, s"] <= P95_S
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
