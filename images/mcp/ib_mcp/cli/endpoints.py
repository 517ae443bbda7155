"""`ib-mcp endpoints`: what is known of IBKR's endpoints, and any published document of them."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ib_mcp.reference import endpoint_table
from ibkr import catalogue
from ibkr.errors import IbError


def run(given: argparse.Namespace) -> int:
    """Exit code: 0 done, 1 the document cannot be read."""
    try:
        text = _text(given)
    except IbError as error:
        sys.stderr.write(f"ib-mcp: {error.message} {error.action}\n")
        return 1
    output: Path | None = getattr(given, "output", None)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        sys.stderr.write(f"ib-mcp: {output} cannot be written: {error.strerror}.\n")
        return 1
    return 0


def _text(given: argparse.Namespace) -> str:
    """What the command prints."""
    if given.view == "status" and given.spec is None:
        return _catalogue(given)
    # Loaded here, so that the other commands start without it.
    from ib_mcp.openapi import diff, emit, report, status
    from ib_mcp.openapi.load import load
    from ib_mcp.openapi.repair.document import repair
    from ib_mcp.openapi.select import operations, select

    repaired = repair(load(given.spec))
    document = repaired.document
    match given.view:
        case "repair":
            return emit.text(emit.only(document, select(document).served) if given.served else document)
        case "report":
            write = report.as_json if given.json else report.plain
            return write(repaired.findings, sum(1 for _ in operations(document)))
        case "status":
            from ib_mcp.tools.generated import bytes_by_tag

            return (status.as_json if given.json else status.plain)(document, bytes_by_tag(document))
    known = catalogue.load()
    if given.to is None:
        found = diff.difference(diff.of_catalogue(known), diff.of_gateway(document, known))
    else:
        found = diff.difference(diff.of_document(document), diff.of_document(repair(load(given.to)).document))
    return diff.as_json(found) if given.json else diff.plain(found)


def _catalogue(given: argparse.Namespace) -> str:
    endpoints = catalogue.load()
    if given.json:
        return endpoint_table.as_json(endpoints)
    if given.markdown:
        return endpoint_table.markdown(endpoints)
    return endpoint_table.plain(endpoints, shutil.get_terminal_size().columns)
