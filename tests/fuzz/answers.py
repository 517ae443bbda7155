"""IBKR answers anything: tools are called in virtual time while answers of the simulator are mutated on their way."""

from __future__ import annotations

import asyncio
import gc
import random
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import looptime
import psutil
from structlog.testing import capture_logs

from fuzz.mutations import BYTES, in_json, packed
from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.app import Simulator
from support.agent import GUARD_TOKEN, connected, trading_in
from support.answers import body_of
from support.inline import Inline
from support.serve import InProcess
from support.trading import PAPER_POLICY

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_session_status", {}),
    ("list_accounts", {}),
    ("get_account_summary", {}),
    ("get_account_balances", {}),
    ("get_account_positions", {}),
    ("get_account_orders", {}),
    ("get_account_trades", {}),
    ("get_account_performance", {}),
    ("get_account_transactions", {"symbol": "AAPL"}),
    ("search_contracts", {"query": "apple"}),
    ("get_contract_details", {"symbol": "AAPL", "rules": True}),
    ("get_option_chain", {"symbol": "AAPL"}),
    ("get_price_snapshot", {"symbols": ["AAPL", "EUR.USD", "ES"]}),
    ("get_price_history", {"symbol": "AAPL"}),
    ("run_scanner", {"type": "TOP_PERC_GAIN"}),
    ("get_watchlists", {}),
    ("get_alerts", {}),
    ("get_notifications", {}),
    ("get_order_status", {"order_id": "1"}),
    (
        "preview_order",
        {
            "symbol": "AAPL",
            "side": "BUY",
            "quantity": 3,
            "limit": 250,
            "algo": "Adaptive",
            "algo_parameters": {"adaptivePriority": "Urgent"},
        },
    ),
    (
        "preview_order",
        {"legs": ["1 AAPL 20261218 C 280", "-1 AAPL 20261218 C 290"], "side": "SELL", "quantity": 1, "type": "market"},
    ),
    ("modify_order", {"order_id": "1200000702", "quantity": 30}),
    ("cancel_order", {"order_id": "1200000703"}),
    ("call_endpoint", {"endpoint": "get_scanner_parameters"}),
    ("call_endpoint", {"endpoint": "list_trades"}),
    ("diagnose", {}),
)
# One that is odd at the wrong time only ends the session that the others need.
_OF_THE_SESSION = ("/tickle", "/auth/", "/sso/", "/ssodh", "/am/")
_STATUSES = (200, 200, 200, 204, 299, 301, 400, 401, 403, 404, 429, 500, 503, 599, 600, 999)
_MEBIBYTE = 1024 * 1024


@dataclass
class Outcome:
    """``faults`` are what may not be; the text of each names the mutated answer's number."""

    answers: int = 0
    calls: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    grown: int = 0


class Mutating(httpx.AsyncBaseTransport):
    """Hands on to the simulator, and mutates half of what comes back."""

    def __init__(self, inner: httpx.AsyncBaseTransport, chance: random.Random) -> None:
        self._inner = inner
        self._chance = chance
        self.count = 0
        self.last = ""
        self.is_on = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        chance = self._chance
        is_of_the_session = any(part in request.url.path for part in _OF_THE_SESSION)
        if not self.is_on or chance.random() < (0.97 if is_of_the_session else 0.5):
            return response
        self.count += 1
        content = await response.aread()
        status, headers = response.status_code, {"content-type": response.headers.get("content-type", "")}
        kind = chance.choice(("json", "json", "json", "bytes", "status", "packed", "headers", "broken"))
        self.last = f"{kind} of {request.url.path} ({self.count})"
        match kind:
            case "json":
                content = in_json(chance, content)
            case "bytes":
                content = chance.choice(BYTES)(chance, content)
            case "status":
                status = chance.choice(_STATUSES)
            case "packed":
                content, headers["content-encoding"] = packed(chance, content)
            case "headers":
                headers["content-type"] = chance.choice(
                    ["text/html", "", "application/json; charset=utf-16", "nonsense"]
                )
                headers["retry-after"] = chance.choice(["2", "-1", "9" * 30, "nonsense", "0"])
            case _:
                raise chance.choice((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError))("odd")
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def run(seed: int, count: int) -> Outcome:
    """Call tools until ``count`` answers were mutated."""
    loop = looptime.new_event_loop()
    problems: list[str] = []
    loop.set_exception_handler(lambda _, context: problems.append(f"{context['message']} {context.get('exception')!r}"))
    try:
        asyncio.set_event_loop(loop)
        with capture_logs() as logs:
            outcome = loop.run_until_complete(_run(seed, count))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    outcome.faults += problems
    outcome.faults += [f"logged: {line['event']}" for line in logs if line["log_level"] == "critical"]
    outcome.faults += [f"logged: {line['event']}{_where(line['exc_info'])}" for line in logs if line.get("exc_info")]
    return outcome


async def _run(seed: int, count: int) -> Outcome:
    chance, outcome = random.Random(seed), Outcome()
    loop = asyncio.get_running_loop()
    started = loop.time()
    simulator = Simulator(7, wall=lambda: 1795539600.0 + loop.time() - started)
    simulator.sign_in("paper")
    way = Mutating(InProcess(simulator.app), chance)
    kept = KeepaliveSettings(gateway_url="http://gateway.test", token=GUARD_TOKEN, maintenance_hours=False)
    before = 0
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory()))
        kept = kept.model_copy(update=trading_in(folder, PAPER_POLICY))
        keepalive = Keepalive(kept, way, wall=simulator.clock.now, executor=Inline())
        await opened.enter_async_context(keepalive)
        connection = connected(InProcess(keepalive.data), {"trading": True}, simulator.clock.now)
        _, client = await opened.enter_async_context(connection)
        await asyncio.sleep(60)
        way.is_on = True
        while way.count < count:
            tool, arguments = chance.choice(CALLS)
            outcome.calls += 1
            try:
                found = await client.call_tool(tool, arguments, raise_on_error=False)
            except Exception as error:
                outcome.faults.append(f"{tool} after {way.last}: {error!r}")
                continue
            if found.is_error:
                error = body_of(found).get("error", {})
                code = str(error.get("code"))
                outcome.errors[code] = outcome.errors.get(code, 0) + 1
                if code in ("None", "internal_error") or "The guard failed" in str(error.get("message")):
                    outcome.faults.append(f"{tool} after {way.last}: {error}")
                if code == "login_required":
                    simulator.sign_in("paper")
                    await asyncio.sleep(60)
            # A session that was lost is opened again, a penalty is waited for, and nothing is left in the cache.
            await asyncio.sleep(chance.choice((1, 70, 1000)))
            if not keepalive.is_alive():
                outcome.faults.append(f"the keeper ended after {way.last}")
                break
            if not before and way.count > count // 4:
                before = _memory()
    outcome.answers = way.count
    outcome.grown = _memory() - before
    return outcome


def _where(raised: Any) -> str:
    """The last lines of a traceback."""
    error = raised if isinstance(raised, BaseException) else None
    return "" if error is None else "\n" + "".join(traceback.format_exception(error))[-1200:]


def _memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
