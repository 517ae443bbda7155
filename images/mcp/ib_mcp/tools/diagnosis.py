"""Why something does not work: the links from here to IBKR one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ib_mcp.context import ToolContext
from ib_mcp.gather import gather
from ib_mcp.market.quotes import quotes
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.session import trouble
from ibkr import fields as known_fields
from ibkr.errors import IbError, UpstreamError
from ibkr.session import SessionState, Status

_SAMPLE = "AAPL"


@read_tool("Session")
async def diagnose(context: ToolContext) -> Answer:
    """Find the first broken link: guard, gateway, sign-in, brokerage session, accounts, market data."""
    guards = context.guard.each()
    if len(guards) == 1:
        return await _diagnose(context)
    # What one gateway told before must not stand for another.
    found = await gather(_diagnose(ToolContext.of(guard, context.settings, context.wall)) for guard in guards.values())
    return {"ok": all(each["ok"] for each in found), "gateways": dict(zip(guards, found, strict=True))}


async def _diagnose(context: ToolContext) -> Answer:
    """Of the one gateway that ``context`` is at."""
    seen: dict[str, Status] = {}

    async def guard() -> str:
        seen["status"] = await context.guard.status()
        return f"observed {seen['status'].age_seconds:.0f} s ago"

    async def gateway() -> str:
        status = seen["status"]
        if status.state in (SessionState.UNREACHABLE, SessionState.HUNG) and (error := trouble(status)):
            raise error
        latency = status.gateway.latency_ms
        return "answers" if latency is None else f"answers in {latency:.0f} ms"

    async def sign_in() -> str:
        status = seen["status"]
        if status.state in (SessionState.LOGIN_REQUIRED, SessionState.MAINTENANCE) and (error := trouble(status)):
            raise error
        return f"signed in, {status.mode}"

    async def brokerage() -> str:
        if error := trouble(seen["status"]):
            raise error
        return "open"

    async def accounts() -> str:
        found = len(await context.accounts.all())
        if not found:
            raise UpstreamError("IBKR lists no account.", action="Sign in with another user.")
        return f"{found} to read"

    async def market_data() -> str:
        contract = await context.contracts.resolve(_SAMPLE)
        (quote,) = await quotes(context.guard, [contract], known_fields.find(["last"]))
        return f"{_SAMPLE} is {quote.timing}" + ("" if quote.complete else f": {next(iter(quote.missing.values()))}")

    links: dict[str, Callable[[], Awaitable[str]]] = {
        "guard": guard,
        "gateway": gateway,
        "sign-in": sign_in,
        "brokerage session": brokerage,
        "accounts": accounts,
        "market data": market_data,
    }
    checks: list[Answer] = []
    for name, check in links.items():
        try:
            checks.append({"link": name, "ok": True, "detail": await check()})
        except IbError as error:
            checks.append({"link": name, "ok": False, **error.envelope()["error"]})
            return {"ok": False, "broken": name, "checks": checks}
    return {"ok": True, "checks": checks}
