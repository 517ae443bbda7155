"""What the faults that hit a request do to it and to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ib_simulator.call import Answer
from ib_simulator.faults.faults import Fault, Faults, FaultSpec
from ib_simulator.faults.odd_answers import ODD_ANSWERS
from ib_simulator.network.http import Incoming, Reply, answer_reply, json_reply, page_reply, unless_gone
from ib_simulator.sign_in import pages

_WRONG_JSON = b'{"error": "truncated by a pro'
_BODILESS = (204, 304)
_WITHOUT_BODY = ("empty", "maintenance_page")


async def apply_faults(
    faults: Faults,
    applied: list[Fault],
    incoming: Incoming,
    answer: Callable[[], Reply],
    *,
    forget_accounts: Callable[[], None],
    crash_gateway: Callable[[], None],
    watch_client: bool,
) -> Reply | None:
    """The reply to a request that ``applied`` hit; ``answer`` carries the request out.

    ``forget_accounts`` makes the session one in which the accounts were never listed; ``crash_gateway`` ends IBKR's
    program and with it every connection.

    None when the client went away while it was held, which is noticed with ``watch_client`` only.
    """
    reply = replacement = None
    broken: Fault | None = None
    for fault in applied:
        if fault.spec.processed and reply is None:
            reply = answer()
        match fault.spec.kind:
            case "latency":
                await asyncio.sleep(fault.spec.seconds or 0)
            case "hang" if watch_client:
                if not await unless_gone(incoming.receive, faults.hold(fault)):
                    return None
            case "hang":
                await faults.hold(fault)
            case "reset" | "cut" | "stall":
                broken = fault
            case "answer":
                replacement = _as_specified(fault.spec)
            case "wrong_json":
                replacement = Reply(200, _WRONG_JSON)
            case "html":
                replacement = page_reply(pages.login())
            case "accounts_first":
                forget_accounts()
                replacement = json_reply({"error": "Please query /accounts first", "statusCode": 500}, 500)
            case "order_request_lost":
                return _lost(fault.spec)
            case "order_answer_lost":
                reply = reply or answer()
                return _lost(fault.spec)
            case "order_answer_late":
                reply = reply or answer()
                await asyncio.sleep(fault.spec.seconds or 0)
            case "order_taken_late":
                await asyncio.sleep(fault.spec.seconds or 0)
            case "question_unanswered":
                reply = reply or answer()
                await faults.hold(fault)
            case "order_gateway_crash":
                reply = reply or answer()
                crash_gateway()
                return Reply(200, broken="reset")
            case odd if odd in ODD_ANSWERS:
                replacement = replacement or reply or answer()
                if odd in _WITHOUT_BODY or replacement.body:
                    ODD_ANSWERS[odd](replacement, fault.spec.field)
    if broken is None:
        return replacement or reply or answer()
    if broken.spec.kind == "reset":
        return Reply(200, broken="reset")
    reply = replacement or reply or answer()
    if broken.spec.kind == "cut":
        reply.broken = "cut"
    else:
        stalled = broken
        reply.broken, reply.resume = "stall", lambda: faults.hold(stalled)
    return reply


def _lost(spec: FaultSpec) -> Reply:
    """What the client sees in place of the answer."""
    return Reply(200, broken="reset") if spec.status is None else Reply(spec.status)


def _as_specified(spec: FaultSpec) -> Reply:
    """The answer that a fault of kind ``answer`` gives."""
    status = spec.status or 200
    if status in _BODILESS:
        return Reply(status)
    body = {"error": "simulated", "statusCode": status} if spec.body is None else spec.body
    return answer_reply(Answer(body, status, "text/plain"))
