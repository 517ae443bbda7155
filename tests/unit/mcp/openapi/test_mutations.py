"""Documents with parts changed at random: they never crash the repair, and no operation is lost without a word.

``IB_MCP_MUTATIONS=2000 pytest tests/unit/mcp/openapi/test_mutations.py --hypothesis-seed=1`` is the long run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from ib_mcp.openapi.emit import only
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.load import parse
from ib_mcp.openapi.repair.document import Repaired, repair
from ib_mcp.openapi.repair.operations import METHODS
from ib_mcp.openapi.rules import RULES, pointer
from ib_mcp.openapi.select import select
from support import documents, published
from support.mutations import changed

EXAMPLES = int(os.environ.get("IB_MCP_MUTATIONS", "40"))
RUN = settings(
    max_examples=EXAMPLES,
    deadline=timedelta(seconds=20),
    derandomize="IB_MCP_MUTATIONS" not in os.environ,
    database=None,
    # Making a failure smaller would take an hour: a document is large.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@cache
def published_documents() -> list[dict[str, Any]]:
    return list(published.documents())


@RUN
@given(st.deferred(lambda: changed(published_documents())))
def test_changed_documents_of_ibkr_lose_nothing_in_silence(document: dict[str, Any]) -> None:
    repaired = checked(document)
    if repaired is not None:
        selection = select(repaired.document)
        only(repaired.document, selection.served)


@RUN
@given(changed(documents.all_of_them()))
def test_changed_documents_of_other_apis_become_valid(document: dict[str, Any]) -> None:
    repaired = checked(document)
    if repaired is not None:
        assert [str(error) for error in OpenAPIV31SpecValidator(repaired.document).iter_errors()] == []


def checked(document: dict[str, Any]) -> Repaired | None:
    """``document`` repaired, after looking at what became of its operations; None when it is refused."""
    try:
        repaired = repair(parse(json.dumps(document).encode()))
    except DocumentUnreadable as error:
        note(error.message)
        return None
    content = json.dumps(repaired.document, allow_nan=False).encode()
    kept = {(shape(path), method) for path, method in operations(repaired.document)}
    losses = {finding.place for finding in repaired.findings if RULES[finding.rule].kind in ("loss", "error")}
    for path, method in operations(document):
        at = ("paths", path, method)
        said = any(pointer(at[:length]) in losses for length in (1, 2, 3))
        assert said or (shape(path), method.lower()) in kept, at
    again = repair(parse(content))
    assert [finding for finding in again.findings if RULES[finding.rule].kind != "gap"] == []
    assert {(shape(path), method) for path, method in operations(again.document)} == kept
    return repaired


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if not path.startswith("x-"):
            for method in item if isinstance(item, dict) else ():
                if method.lower() in METHODS:
                    yield path, method


def shape(path: str) -> str:
    return re.sub(r"\{[^{}/]*\}", "{}", path if path.startswith("/") else f"/{path}")
