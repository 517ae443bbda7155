"""`ib-mcp trading stop | status | start`: the kill switch, and what may be traded now."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ib_mcp.cli import state
from ib_mcp.cli.console import say
from ib_mcp.cli.http import Reply, ask
from ibkr.errors import from_envelope

# Cancelling every order takes its turns at IBKR.
_WITHIN_S = 60.0


@dataclass(frozen=True)
class Way:
    """Where to ask. ``is_owners``: a control port, which alone starts trading again."""

    url: str
    token: str
    is_owners: bool


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when it was refused or there is no answer; 2 when it is not clear whom to ask."""
    way = _way(given)
    if isinstance(way, str):
        say(way)
        return 2
    if given.action == "start" and not way.is_owners:
        say(
            "Only the owner starts trading again, at the control port of the gateway's pod:\n"
            "  kubectl port-forward pod/RELEASE-ib-mcp-gateway-0 8081\n"
            "  ib-mcp trading start --control http://127.0.0.1:8081"
        )
        return 2
    body = {"reason": given.reason, "cancel_orders": given.cancel_orders} if given.action == "stop" else {}
    try:
        reply = ask(
            f"{way.url}/trading/{given.action}",
            method="GET" if given.action == "status" else "POST",
            token=way.token,
            timeout_s=_WITHIN_S,
            content=None if given.action == "status" else json.dumps(body),
            headers={"ib-caller": "owner"},
        )
    except (OSError, http.client.HTTPException) as error:
        say(f"There is no answer from {way.url}: {error}")
        return 1
    return _tell(given, reply)


def _tell(given: argparse.Namespace, reply: Reply) -> int:
    if reply.status != 200 or not isinstance(reply.body, dict):
        error = from_envelope(reply.status, reply.body)
        say(f"{error.message} {error.action}" if error else f"Answered with HTTP {reply.status}.")
        return 1
    if given.json:
        sys.stdout.write(json.dumps(reply.body, indent=2) + "\n")
    elif given.action == "stop":
        sys.stdout.writelines(line + "\n" for line in stop_lines(reply.body, cancelled=given.cancel_orders))
    else:
        sys.stdout.writelines(line + "\n" for line in status_lines(reply.body))
    return 0


def _way(given: argparse.Namespace) -> Way | str:
    """Whom to ask; a sentence when that is not clear."""
    if given.control is not None:
        parts = urlsplit(given.control)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            return f"--control {given.control}: not an address such as http://127.0.0.1:8081."
        return Way(given.control.rstrip("/"), "", is_owners=True)
    guard = os.environ.get("IB_MCP_GUARD_URL")
    if guard:
        return Way(guard.rstrip("/"), os.environ.get("IB_MCP_GUARD_TOKEN", ""), is_owners=False)
    running = state.running()
    if len(running) == 1:
        return Way(running[0].control_url, "", is_owners=True)
    if running:
        known = ", ".join(stack.control_url for stack in running)
        return f"Several stacks run here: name one with --control ({known})."
    return (
        "No 'ib-mcp up' runs here. On a cluster, either of:\n"
        "  kubectl exec deploy/RELEASE-ib-mcp-mcp -- python3 -m ib_mcp trading stop\n"
        "  kubectl port-forward pod/RELEASE-ib-mcp-gateway-0 8081, and --control http://127.0.0.1:8081"
    )


def status_lines(body: dict[str, Any]) -> Iterator[str]:
    """What may be traded now, for the eye."""
    stopped = body.get("stopped")
    now = body.get("effective_mode")
    yield f"Trading: {'stopped' if stopped else now}" + (f" (the policy says {body.get('mode')})" if stopped else "")
    if isinstance(stopped, dict):
        reason = stopped.get("reason") or "no reason given"
        yield f"Stopped by {stopped.get('by')} at {_time(stopped.get('at'))}: {reason}"
    if body.get("problem"):
        yield f"Problem: {body['problem']}"
    yield f"Approval: {body.get('approval')}"
    today = body.get("today")
    if isinstance(today, dict):
        yield f"In the last 24 hours: {today.get('orders')} orders, notional {today.get('notional'):,.2f}"
    for name, words in (
        ("unknown", "Orders whose outcome is not known"),
        ("pending_approvals", "Waiting for approval"),
    ):
        if body.get(name):
            yield f"{words}: {body[name]}"
    limits = body.get("limits")
    if isinstance(limits, dict):
        yield "Limits:"
        yield from (f"  {name:<24}{_value(value)}" for name, value in limits.items() if value not in (None, [], ()))


def stop_lines(body: dict[str, Any], *, cancelled: bool) -> Iterator[str]:
    stopped = body.get("stopped") or {}
    yield f"Trading is stopped, by {stopped.get('by')} at {_time(stopped.get('at'))}. It stays so over restarts."
    if not cancelled:
        yield "Working orders were left as they are; to cancel them all: ib-mcp trading stop --cancel-orders"
        return
    rows = [row for row in body.get("cancelled") or [] if isinstance(row, dict)]
    if not rows:
        yield "There was no account whose orders could be cancelled."
    for row in rows:
        error = row.get("error")
        yield f"{row.get('account')}: {error.get('message') if isinstance(error, dict) else row.get('message')}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,.10g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(seconds: object) -> str:
    if isinstance(seconds, (int, float)):
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
    return "an unknown time"
