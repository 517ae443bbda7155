"""IBKR's what-if: formatted texts become exact numbers, or stay texts."""

from __future__ import annotations

from decimal import Decimal

from ib_mcp.trading.what_if import Change, parse

BODY = {
    "amount": {"amount": "1,977.60 USD (10 Shares)", "commission": "1.00 ... 1.05 USD", "total": "1,978.60 USD"},
    "equity": {"current": "1,005,254", "change": "-1", "after": "1,005,253"},
    "initial": {"current": "41,203.10 USD", "change": "544 USD", "after": "41,747.10 USD"},
    "maintenance": {"current": None, "change": "", "after": "?"},
    "warn": "21/You are trying to submit an order <b>without</b> market data.\n\n82/Second",
    "error": None,
}


def test_figures_are_exact_numbers_with_their_currency() -> None:
    found = parse(BODY)
    assert found.cost == {
        "amount": {"amount": 1977.6, "currency": "USD"},
        "commission": "1.00 ... 1.05 USD",
        "total": {"amount": 1978.6, "currency": "USD"},
    }
    assert found.margin == {
        "equity": Change(Decimal(1005254), Decimal(-1), Decimal(1005253)),
        "initial": Change(Decimal("41203.10"), Decimal(544), Decimal("41747.10")),
    }
    assert found.position is None
    assert found.margin["initial"].shown() == {"before": 41203.1, "change": 544, "after": 41747.1}


def test_warnings_are_texts_without_codes_and_markup() -> None:
    assert parse(BODY).warnings == ("You are trying to submit an order without market data.", "Second")


def test_a_refusal_is_told_and_odd_answers_do_no_harm() -> None:
    assert parse({"error": "Not enough funds"}).refusal == "Not enough funds"
    odd = parse({"amount": "none", "initial": [], "warn": 7, "error": None})
    assert (odd.cost, odd.margin, odd.refusal, odd.warnings) == ({}, {}, "", ("7",))
