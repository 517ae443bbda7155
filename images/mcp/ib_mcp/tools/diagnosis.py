"""Why something does not work: the links from here to IBKR one by one."""

from __future__ import annotations

from ib_mcp import diagnosis
from ib_mcp.context import ToolContext
from ib_mcp.diagnosis import Check, Finding, Link
from ib_mcp.gather import gather
from ib_mcp.market.quotes import quotes
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.session import advised
from ibkr import fields as known_fields
from ibkr.session import Status


@read_tool("Session")
async def diagnose(context: ToolContext) -> Answer:
    """Find the first broken link: keepalive, gateway, sign-in, brokerage session, accounts, market data, pacing."""
    guards = context.guard.each()
    if len(guards) == 1:
        return await _diagnose(context)
    # What one gateway told before must not stand for another.
    found = await gather(_diagnose(ToolContext.of(guard, context.settings, context.wall)) for guard in guards.values())
    return {"ok": all(each["ok"] for each in found), "gateways": dict(zip(guards, found, strict=True))}


async def _diagnose(context: ToolContext) -> Answer:
    """Of the one gateway that ``context`` is at."""
    findings = [finding async for finding in diagnosis.examine(_way(context))]
    broken = next((finding.link for finding in findings if finding.error), None)
    answer: Answer = {"ok": broken is None}
    if broken is not None:
        answer["broken"] = broken.value
    return answer | {"checks": [_row(finding) for finding in findings if finding.is_checked]}


def _row(finding: Finding) -> Answer:
    if finding.error is None:
        return {"link": finding.link.value, "ok": True, "detail": finding.detail}
    return {"link": finding.link.value, "ok": False, **advised(finding.error).envelope()["error"]}


def _way(context: ToolContext) -> list[tuple[Link, Check]]:
    seen: dict[str, Status] = {}

    async def keepalive() -> str:
        seen["status"] = await context.guard.status()
        return f"observed {seen['status'].age_seconds:.0f} s ago"

    async def gateway() -> str:
        latency = seen["status"].gateway.latency_ms
        good = "answers" if latency is None else f"answers in {latency:.0f} ms"
        return diagnosis.of_status(Link.GATEWAY, seen["status"], good)

    async def sign_in() -> str:
        return diagnosis.of_status(Link.SIGN_IN, seen["status"], f"signed in, {seen['status'].mode}")

    async def brokerage_session() -> str:
        return diagnosis.of_status(Link.BROKERAGE_SESSION, seen["status"], "open")

    async def accounts() -> str:
        return diagnosis.of_accounts(await context.accounts.all())

    async def market_data() -> str:
        if diagnosis.is_left_to_others(seen["status"]):
            return diagnosis.PORTFOLIO_ONLY
        contract = await context.contracts.resolve(diagnosis.SAMPLE)
        (quote,) = await quotes(context.guard, [contract], known_fields.find(["last"]))
        return diagnosis.of_quote(quote.timing, quote.values.get("last"), quote.missing.get("last", ""))

    async def pacing() -> str:
        return diagnosis.not_refused()

    return [
        (Link.KEEPALIVE, keepalive),
        (Link.GATEWAY, gateway),
        (Link.SIGN_IN, sign_in),
        (Link.BROKERAGE_SESSION, brokerage_session),
        (Link.ACCOUNTS, accounts),
        (Link.MARKET_DATA, market_data),
        (Link.PACING, pacing),
    ]
