"""A short run of ``python -m tests.fuzz --documents``: OpenAPI documents with parts changed at random."""

from __future__ import annotations

from fuzz.documents import run
from support import documents, published


def test_changed_documents_of_ibkr_lose_nothing_in_silence() -> None:
    given = list(published.documents())
    outcome = run(20, range(40), given)
    assert outcome.faults == []
    assert outcome.done == 40
    assert sum(outcome.refused.values()) < 20


def test_changed_documents_of_other_apis_become_valid() -> None:
    outcome = run(20, range(40), documents.all_of_them())
    assert outcome.faults == []
    assert sum(outcome.refused.values()) < 20
