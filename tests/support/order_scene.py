"""What happens while agents order: faults at every step, crashes, sign-ins, and an owner who changes his mind."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import httpx

from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from support.order_pods import Cut, Pod
from support.simulator import AAPL, IBM, SPY

STOCKS = (AAPL, IBM, SPY)
TROUBLES = (
    "request_lost", "answer_lost", "answer_5xx", "answer_late", "taken_late", "hang", "question_unanswered",
    "keepalive_crash", "pod_replaced", "pod_replaced_without_volume", "gateway_crash", "crash_with_order",
    "session_lost", "sign_in", "other_user", "policy_changed", "stopped", "price_moved", "none",
)  # fmt: skip
_POLICY = """mode = "paper"
approval = "{approval}"
questions = ["o163", "o354", "o403", "o10331", "o10151", "o10152"]
[limits]
quantity = {quantity}
notional = 10000000
"""
_USUAL = _POLICY.format(approval="none", quantity=1000)
_OTHERS = (_POLICY.format(approval="none", quantity=50), _POLICY.format(approval="ask", quantity=1000),
           'mode = "off"\n', "mode = \n")  # fmt: skip
_STEPS = ("place_orders", "answer_order_question", "modify_order", "cancel_order")


class Scene:
    """A broker and the pod before it. ``is_calm``: nothing goes wrong any more."""

    def __init__(self, broker: Simulator, random: Random) -> None:
        self.broker = broker
        self.is_calm = False
        self._random = random
        self._root = Path(tempfile.mkdtemp(prefix="orders-", dir=_memory()))
        self._volumes = 0
        self._pod = Pod(broker, self._volume())
        self._pods = [self._pod]
        self._owner: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self.broker.sign_in("paper")
        await self._pod.start()
        await self._until_open()
        pace = {"list_s": self._random.choice((0, 0, 2, 8)), "acknowledge_s": self._random.choice((0, 0, 1))}
        self.broker.do("order-pace", **pace)

    async def _keep_signed_in(self) -> None:
        while True:
            await asyncio.sleep(30)
            await self._sign_in_if_needed()

    async def close(self) -> None:
        if self._owner is not None:
            self._owner.cancel()
        await self._pod.kill()
        for pod in self._pods:
            pod.break_connections()
        # So that what was held there ends.
        await asyncio.sleep(0)
        shutil.rmtree(self._root, ignore_errors=True)

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer of the pod that there is. Cut when it dies before."""
        return await self._pod.call(method, path, **more)

    async def trouble(self) -> str:
        """Let something go wrong, and tell what."""
        trouble = self._random.choice(TROUBLES)
        await self._do(trouble)
        return trouble

    async def calm(self) -> None:
        """Everything works again, for good."""
        self.broker.faults.remove()
        self._permit()
        self._start()
        # The keeper has looked by then.
        await asyncio.sleep(35)
        await self._sign_in_if_needed()
        await self._until_open()
        self.is_calm = True
        # A crash that was held up may come now.
        self._owner = asyncio.create_task(self._keep_signed_in())

    async def _do(self, trouble: str) -> None:
        random, broker = self._random, self.broker
        step = random.choice(_STEPS)
        match trouble:
            case "request_lost":
                broker.faults.add(FaultSpec(kind="order_request_lost", endpoint=step, count=1))
            case "answer_lost":
                broker.faults.add(FaultSpec(kind="order_answer_lost", endpoint=step, count=1))
            case "answer_5xx":
                kind = random.choice(("order_request_lost", "order_answer_lost"))
                broker.faults.add(FaultSpec(kind=kind, endpoint=step, count=1, status=random.choice((500, 502, 503))))
            case "answer_late" | "taken_late":
                kind = "order_answer_late" if trouble == "answer_late" else "order_taken_late"
                broker.faults.add(FaultSpec(kind=kind, endpoint=step, count=1, seconds=random.uniform(1, 55)))
            case "hang":
                broker.faults.add(FaultSpec(kind="hang", endpoint=step, count=1, processed=random.random() < 0.5))
            case "question_unanswered":
                broker.faults.add(FaultSpec(kind="question_unanswered", count=1))
            case "crash_with_order":
                broker.faults.add(FaultSpec(kind="order_gateway_crash", endpoint=step, count=1))
                await asyncio.sleep(self._random.uniform(1, 60))
                await self._sign_in_if_needed()
            case "keepalive_crash":
                await self._replace(self._pod.directory, after_s=random.uniform(0.1, 20))
            case "pod_replaced":
                self._crash_gateway()
                await self._replace(self._pod.directory, after_s=random.uniform(5, 60))
                await self._sign_in("paper")
            case "pod_replaced_without_volume":
                self._crash_gateway()
                await self._replace(self._volume(), after_s=random.uniform(5, 60))
                await self._sign_in("paper")
            case "gateway_crash":
                self._crash_gateway()
                await asyncio.sleep(random.uniform(1, 60))
                await self._sign_in("paper")
            case "session_lost":
                broker.session.drop("the run")
                await asyncio.sleep(random.uniform(1, 60))
            case "sign_in":
                await self._sign_in("paper")
            case "other_user":
                await self._sign_in("live")
                await asyncio.sleep(random.uniform(1, 120))
                await self._sign_in("paper")
            case "policy_changed":
                changed = random.choice(_OTHERS)
                (self._pod.directory / "policy.toml").write_text(changed)
                await asyncio.sleep(random.uniform(0, 60))
                self._permit()
            case "stopped":
                wish = {"cancel_orders": random.random() < 0.5}
                with contextlib.suppress(Cut):
                    await self._pod.call("POST", "/trading/stop", json=wish)
                await asyncio.sleep(random.uniform(0, 60))
                self._start()
            case "price_moved":
                broker.do("market", conid=random.choice(STOCKS), percent=random.choice((-30, -5, 5, 40)))

    def _permit(self) -> None:
        (self._pod.directory / "policy.toml").write_text(_USUAL)

    def _crash_gateway(self) -> None:
        self.broker.crash_gateway()
        self._pod.break_connections()

    async def _replace(self, directory: Path, *, after_s: float) -> None:
        await self._pod.kill()
        await asyncio.sleep(after_s)
        self._pod = Pod(self.broker, directory)
        self._pods.append(self._pod)
        await self._pod.start()

    async def _sign_in(self, user: Any) -> None:
        self.broker.sign_in(user)
        tracker = self._pod.keepalive.keeper.tracker
        tracker.note_session_cookie()
        tracker.note_signed_in()
        await asyncio.sleep(1)

    async def _sign_in_if_needed(self) -> None:
        """IBKR's program forgot its sign-in, or has somebody else's."""
        user = self.broker.session.user
        if user is None or user.key != "paper" or self._is_login_required():
            await self._sign_in("paper")

    def _is_login_required(self) -> bool:
        return self._pod.keepalive.keeper.status().state.value == "login_required"

    def _start(self) -> None:
        self._pod.keepalive.trading.switch.start()

    async def _until_open(self) -> None:
        async with asyncio.timeout(1200):
            while self._pod.keepalive.keeper.status().state.value != "authenticated":  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(1)

    def _volume(self) -> Path:
        self._volumes += 1
        made = self._root / str(self._volumes)
        made.mkdir()
        (made / "policy.toml").write_text(_USUAL)
        return made


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
