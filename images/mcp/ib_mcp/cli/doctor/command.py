"""`ib-mcp doctor`: checks the way from here to market data and names the first link that is broken."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal
from urllib.parse import urlsplit

from ib_mcp.cli.console import say
from ib_mcp.cli.doctor.checks import Broken, Paced
from ib_mcp.cli.doctor.plans import PACING, Check, plan
from ib_mcp.cli.doctor.public import ByPublicUrl
from ib_mcp.cli.stack import not_a_gateway

_PROGRESS_S = 2.0


@dataclass(frozen=True)
class Finding:
    """What became of one link."""

    link: str
    result: Literal["ok", "failed", "not checked"]
    detail: str = ""
    fix: str = ""


def run(given: argparse.Namespace) -> int:
    """0 when every link holds, 1 when one is broken."""
    if given.gateway is not None and (problem := not_a_gateway(given.gateway)):
        say(problem)
        return 2
    if given.public is not None and not urlsplit(given.public).path.strip("/"):
        say(f"--public {given.public}: not an address such as https://ibkr.example.net/mcp.")
        return 2
    way = ByPublicUrl(given.public).plan() if given.public else plan(given.gateway)
    out = sys.stderr if given.json else sys.stdout
    findings = []
    for finding in examine(way):
        findings.append(finding)
        out.write(line(finding))
        out.flush()
    broken = next((finding for finding in findings if finding.result == "failed"), None)
    if given.json:
        report = {
            "ok": broken is None,
            "broken": broken.link if broken else None,
            "links": [asdict(finding) for finding in findings],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0 if broken is None else 1


def line(finding: Finding) -> str:
    """One link for people; the cure on a line of its own."""
    mark = {"ok": "ok", "failed": "FAILED", "not checked": "-"}[finding.result]
    text = f"{mark:<8}{finding.link:<20}{finding.detail or finding.result}\n"
    return text + (f"{'':<28}-> {finding.fix}\n" if finding.fix else "")


@contextmanager
def _telling_if_slow(link: str) -> Iterator[None]:
    timer = threading.Timer(_PROGRESS_S, say, [f"checking {link}, which takes a while"])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def examine(way: list[Check]) -> Iterator[Finding]:
    """Each link in turn; after the first broken one the others are not checked."""
    broken = False
    paced: Paced | None = None
    for link, check in way:
        if paced and link == PACING:
            wait = f"{paced.wait_s:g} seconds" if paced.wait_s else "15 minutes"
            fix = f"Wait {wait}, and let nothing else use this gateway or this internet address for IBKR's API."
            yield Finding(link, "failed", "requests are refused for coming too fast (429)", fix)
            continue
        if broken or paced:
            yield Finding(link, "not checked")
            continue
        try:
            with _telling_if_slow(link):
                detail = check()
            yield Finding(link, "ok", detail)
        except Broken as error:
            broken = True
            yield Finding(link, "failed", error.detail, error.fix)
        except Paced as error:
            paced = error
            yield Finding(link, "not checked", "the request was refused by pacing")
