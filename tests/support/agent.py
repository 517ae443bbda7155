"""The MCP server on the real guard and the simulator, all in the test's event loop; or on a guard of the test's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from fastmcp import Client, FastMCP
from starlette.types import ASGIApp

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_mcp.guard import router
from ib_mcp.server.server import create_server
from ib_mcp.settings import McpSettings
from ib_simulator.app import Role, Simulator
from ibkr.session import Opener, SessionState
from support.answers import body_of
from support.backend import Backend, Chosen, reaching
from support.inline import Inline
from support.serve import InProcess
from support.trading import APPROVER, PAPER_POLICY

GUARD, GUARD_TOKEN = "http://guard.test", "guard-token-of-tests"


@dataclass
class Answer:
    """What an agent sees of a tool call."""

    body: dict[str, Any]
    is_error: bool
    text: str
    content: list[Any]

    @property
    def error(self) -> dict[str, Any]:
        assert self.is_error, self.body
        error: dict[str, Any] = self.body["error"]
        return error

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A table of the answer, row by row as dicts; what is equal in all rows stands once in it."""
        found = self.body[name]
        common = found.get("all_rows", {})
        return [common | dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


@dataclass
class Agent:
    """An MCP client in memory, the server it speaks to, the keepalive of that, and the simulator behind it."""

    client: Client[Any]
    server: FastMCP
    simulator: Simulator
    keepalive: Keepalive

    async def call(self, tool: str, **arguments: Any) -> Answer:
        found = await self.client.call_tool(tool, arguments, raise_on_error=False)
        text = next(part.text for part in found.content if part.type == "text")
        return Answer(body_of(found), found.is_error, text, found.content)

    async def read(self, tool: str, **arguments: Any) -> Answer:
        """As ``call``, for an answer that must be none of an error."""
        answer = await self.call(tool, **arguments)
        assert not answer.is_error, answer.text
        return answer


@asynccontextmanager
async def agent(
    signed_in: Literal["paper", "live", "odd"] | None = "paper",
    *,
    brokerage: bool = True,
    settings: dict[str, Any] | None = None,
    prepare: Callable[[Simulator], None] | None = None,
    allow_writes: bool = False,
    brokerage_login: Opener = "gateway",
    trading: Path | None = None,
    policy: str = PAPER_POLICY,
    before_gateway: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    backend: Backend | None = None,
) -> AsyncIterator[Agent]:
    """An agent of a session in this state, as soon as the keeper has seen it.

    ``trading``: a folder for the guard's orders, which are permitted by ``policy`` then. ``before_gateway`` may put
    something before the simulator. ``backend``: how IBKR is reached; without it as the test run says.
    """
    is_by_keys = (backend or Chosen.backend) == "oauth1"
    loop = asyncio.get_running_loop()
    started = loop.time()
    # A Tuesday at noon in New York, moving with the loop's clock.
    role: Role = "backend" if is_by_keys else "gateway"
    simulator = Simulator(7, role=role, wall=lambda: 1795539600.0 + loop.time() - started)
    if signed_in and not is_by_keys:
        simulator.sign_in(signed_in, brokerage=brokerage)
    if prepare:
        prepare(simulator)
    kept = KeepaliveSettings(
        gateway_url="http://gateway.test",
        token=GUARD_TOKEN,
        login_hint="http://localhost:5443/",
        allow_writes=allow_writes,
        brokerage_login=brokerage_login,
    )
    if allow_writes:
        settings = {"allow_writes": True} | (settings or {})
    if trading is not None:
        kept = kept.model_copy(update=trading_in(trading, policy))
        settings = {"trading": True, "approver_token": APPROVER} | (settings or {})
    by_keys = ExitStack()
    if is_by_keys:
        opener = "keeper" if brokerage_login == "gateway" else brokerage_login
        if not brokerage:
            simulator.do("openings", answer="no_effect")
        kept = kept.model_copy(
            update=by_keys.enter_context(reaching(simulator, signed_in)) | {"brokerage_login": opener}
        )
    keepalive = Keepalive(kept, InProcess(before_gateway(simulator.app)), wall=simulator.clock.now, executor=Inline())
    with by_keys:
        async with keepalive, connected(InProcess(keepalive.data), settings, simulator.clock.now) as (server, client):
            async with asyncio.timeout(60):
                while _is_beginning(keepalive, simulator, opens=is_by_keys and brokerage):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.05)
            yield Agent(client, server, simulator, keepalive)


def _is_beginning(keepalive: Keepalive, simulator: Simulator, *, opens: bool) -> bool:
    """``opens``: the keeper opens the session first, which is signed in without one."""
    state = keepalive.keeper.status().state
    if opens and state is SessionState.AUTHENTICATED:
        return not simulator.session.established(simulator.clock.now())
    return state is SessionState.STARTING or (opens and state is SessionState.REOPENING)


def trading_in(folder: Path, policy: str) -> dict[str, Path]:
    """The keepalive's settings for orders, with the files that they name."""
    file, approver = folder / "policy.toml", folder / "approver"
    file.write_text(policy)
    approver.write_text(APPROVER)
    return {"trading_file": file, "trading_dir": folder, "approver_token_file": approver}


@asynccontextmanager
async def connected(
    transport: httpx.AsyncBaseTransport | None,
    settings: dict[str, Any] | None = None,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[tuple[FastMCP, Client[Any]]]:
    """A server on the guard behind ``transport`` (None: at its URL, over sockets), and a client of it."""
    given = McpSettings(**({"guard_url": GUARD, "guard_token": GUARD_TOKEN} | (settings or {})))
    async with router.connect(given, transport) as found:
        server = create_server(given, found, wall)
        async with Client(server) as client:
            yield server, client
