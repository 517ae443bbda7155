"""`ib-mcp doctor`: checks the way from here to market data and names the first link that is broken."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO
from urllib.parse import urlsplit

from ib_mcp import diagnosis
from ib_mcp.cli.console import say
from ib_mcp.cli.doctor.plans import Step, plan
from ib_mcp.cli.doctor.public import ByPublicUrl
from ib_mcp.cli.stack import not_a_gateway
from ib_mcp.diagnosis import Check, Finding, Link
from ibkr.errors import IbError

_PROGRESS_S = 2.0


def run(given: argparse.Namespace) -> int:
    """0 when every link holds, 1 when one is broken."""
    if given.gateway is not None and (problem := not_a_gateway(given.gateway)):
        say(problem)
        return 2
    if given.public is not None and not urlsplit(given.public).path.strip("/"):
        say(f"--public {given.public}: not an address such as https://ibkr.example.net/mcp.")
        return 2
    way = ByPublicUrl(given.public).plan() if given.public else plan(given.gateway)
    findings = asyncio.run(_tell(way, sys.stderr if given.json else sys.stdout))
    broken = next((finding.link for finding in findings if finding.error), None)
    if given.json:
        report = {"ok": broken is None, "broken": broken, "links": [row(finding) for finding in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0 if broken is None else 1


async def _tell(way: list[Step], out: TextIO) -> list[Finding]:
    findings = []
    async for finding in examine(way):
        findings.append(finding)
        out.write(line(finding))
        out.flush()
    return findings


def examine(way: list[Step]) -> AsyncIterator[Finding]:
    """Each link in turn; one that takes long is named meanwhile."""
    return diagnosis.examine([(link, _waiting(link, ask)) for link, ask in way])


def _waiting(link: Link, ask: Callable[[], str]) -> Check:
    # Nothing else runs here that could be held up.
    async def check() -> str:
        with _telling_if_slow(link):
            return ask()

    return check


@contextmanager
def _telling_if_slow(link: str) -> Iterator[None]:
    timer = threading.Timer(_PROGRESS_S, say, [f"checking {link}, which takes a while"])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def row(finding: Finding) -> dict[str, Any]:
    """One link for programs."""
    result = "ok" if finding.holds else "failed" if finding.error else "not checked"
    return {"link": finding.link, "result": result, "detail": finding.detail, "fix": _fix(finding.error)}


def line(finding: Finding) -> str:
    """One link for people; the cure on a line of its own."""
    mark = "ok" if finding.holds else "FAILED" if finding.error else "-"
    text = f"{mark:<8}{finding.link:<20}{finding.detail or 'not checked'}\n"
    fix = _fix(finding.error)
    return text + (f"{'':<28}-> {fix}\n" if fix else "")


def _fix(error: IbError | None) -> str:
    if error is None:
        return ""
    # Who runs this is the one who signs in.
    return f"Sign in with a browser at {error.login}." if error.login else error.action
