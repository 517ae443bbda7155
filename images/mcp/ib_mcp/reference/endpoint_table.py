"""The Endpoints Status table: every operation of the catalogue and how far it is supported, in three forms.

``docs/endpoints.md`` is the Markdown form.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ib_mcp.reference.reach import reach
from ibkr import not_served
from ibkr.operation import TAGS, Operation

_INTRODUCTION = """\
# Endpoints Status

Every operation that IBKR's Client Portal Gateway serves, as this version knows it. Made from `ibkr/endpoints.toml` by
`ib-mcp endpoints status --markdown`.

- **id**: what `find_endpoint` answers and `call_endpoint` takes. Paths go without their prefix `/v1/api`.
- **tier**: `sso` needs a sign-in, `brokerage` also the open brokerage session; `?` where IBKR does not say and we
  assume it.
- **effect**: `read`; `preview` computes an order without placing it; `session` changes only the session that all
  clients of the gateway share; `write` stores something at IBKR; `trade` can create, change or cancel orders; `safety`
  switches IBKR's own warnings off; `charge` costs money; `stream` keeps a connection open. Only `read` is let through
  unless the owner permits more.
- **by**: the tool made for it; `call` is `call_endpoint`, and a tool of its own where one is generated from an OpenAPI
  document ([openapi.md](openapi.md)), under the same rules. Writes want `ALLOW_WRITES`
  ([mcp-server.md](mcp-server.md)).
- **pacing**: IBKR's limit for the operation; all together may not exceed 10 a second.
- **status**: `supported`; `tested` when it was called at IBKR itself, not only in the simulator; `unsupported` with the
  reason.
"""
_ELSEWHERE = """\
## Published, but not served by the gateway

Operations of IBKR's published documents (2.20 to 2.29) that the Client Portal Gateway does not serve, so that no token
and no setting reaches them here.
"""
_HEADINGS = ("id", "call", "what it does", "tier", "effect", "by", "pacing", "status")


def markdown(endpoints: Iterable[Operation]) -> str:
    """A page with one table per group."""
    rows = list(endpoints)
    parts = [_INTRODUCTION, f"{_count(rows)}.\n"]
    for tag, group in _groups(rows):
        table = [_HEADINGS, ("---",) * len(_HEADINGS), *map(_markdown_row, group)]
        lines = ("| " + " | ".join(cells) + " |" for cells in table)
        parts.append(f"## {tag}\n\n" + "\n".join(lines) + "\n")
    parts.append(_ELSEWHERE)
    for elsewhere in not_served.load():
        calls = "\n".join(f"- `{call}`" for call in elsewhere.operations)
        parts.append(f"### `{elsewhere.prefix}`\n\n{elsewhere.reason}\n\n{calls}\n")
    return "\n".join(parts)


def plain(endpoints: Iterable[Operation], width: int = 100) -> str:
    """Text for a terminal of ``width`` columns: two lines and more per operation, grouped."""
    rows = list(endpoints)
    longest = max((len(endpoint.path) for endpoint in rows), default=0)
    lines = []
    for tag, group in _groups(rows):
        lines += [f"{tag} ({len(group)})", ""]
        for endpoint in group:
            facts = [_tier(endpoint), endpoint.effect, _pacing(endpoint), endpoint.status]
            lines.append(f"  {endpoint.method:<6} {endpoint.path:<{longest}}  {', '.join(filter(None, facts))}")
            for text in (f"{endpoint.id}: {endpoint.title}", endpoint.reason):
                lines += textwrap.wrap(
                    text, max(width, 40), initial_indent=" " * 9, subsequent_indent=" " * 11, break_long_words=False
                )
        lines.append("")
    return "\n".join([*lines, _count(rows) + "."]) + "\n"


def as_json(endpoints: Iterable[Operation]) -> str:
    """``{"endpoints": [{...every column...}]}``; ``pacing`` is ``{"calls", "seconds"}`` or null."""
    return json.dumps({"endpoints": [_columns(endpoint) for endpoint in endpoints]}, indent=1) + "\n"


def _columns(endpoint: Operation) -> dict[str, Any]:
    return endpoint._asdict() | {
        "pacing": endpoint.pacing and endpoint.pacing._asdict(),
        "query": [parameter._asdict() for parameter in endpoint.query],
        "body": [parameter._asdict() for parameter in endpoint.body],
        "limits": dict(endpoint.limits),
        "never": dict(endpoint.never),
        "by": reach(endpoint),
    }


def _groups(rows: list[Operation]) -> list[tuple[str, list[Operation]]]:
    """By first tag, in the order of the closed list; groups without operations are left out."""
    groups = [(tag, [endpoint for endpoint in rows if endpoint.tags[0] == tag]) for tag in TAGS]
    return [(tag, group) for tag, group in groups if group]


def _markdown_row(endpoint: Operation) -> tuple[str, ...]:
    status = f"{endpoint.status}: {endpoint.reason}" if endpoint.reason else endpoint.status
    return (
        f"`{endpoint.id}`",
        f"`{endpoint.method} {endpoint.path}`",
        endpoint.title.replace("|", r"\|"),
        _tier(endpoint),
        endpoint.effect,
        reach(endpoint),
        _pacing(endpoint),
        status.replace("|", r"\|"),
    )


def _tier(endpoint: Operation) -> str:
    return endpoint.tier + ("?" if endpoint.tier_assumed else "")


def _pacing(endpoint: Operation) -> str:
    """``1 per 5 s``, ``1 per s``, ``5 at a time``, or empty where only the common limit holds."""
    limits = []
    if endpoint.pacing is not None:
        seconds = endpoint.pacing.seconds
        span = f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
        limits.append(f"{endpoint.pacing.calls} per {span.removeprefix('1 ')}")
    if endpoint.concurrent is not None:
        limits.append(f"{endpoint.concurrent} at a time")
    return ", ".join(limits)


def _count(rows: list[Operation]) -> str:
    counts = Counter(endpoint.status for endpoint in rows)
    return f"{len(rows)} operations: " + ", ".join(f"{number} {status}" for status, number in counts.most_common())
