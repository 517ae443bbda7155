"""`ib-mcp orders log`: what a person reads of the audit, and what the filters keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ib_mcp.__main__ import main
from ib_mcp.cli.trading.words import line

SENT = {
    "at": 1_800_000_000.0, "event": "sent", "caller": "claude", "account": "U1234567", "kind": "place",
    "orders": [{"conid": 265598, "side": "BUY", "quantity": 5, "orderType": "LMT", "price": 100.5, "tif": "DAY"}],
}  # fmt: skip
FILLED = {**SENT, "at": 1_800_000_060.0, "event": "outcome", "outcome": "filled", "order_ids": ["77"]}
REFUSED = {
    "at": 1_800_100_000.0, "event": "refused", "caller": "cursor", "account": "U7654321", "kind": "place",
    "orders": [{"conidex": "8314@NYSE", "side": "SELL", "cashQty": 900, "orderType": "MKT", "tif": "DAY"}],
    "limits": [{"limit": "symbols", "passed": False, "sentence": "symbols: the policy permits AAPL, not IBM."}],
}  # fmt: skip
STOPPED = {"at": 1_800_100_001.0, "event": "stopped", "by": "owner", "reason": "holiday"}


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in (FILLED, REFUSED, STOPPED)))
    (tmp_path / "audit.1.jsonl").write_text(json.dumps(SENT) + "\n")
    return path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["orders", "log", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_every_decision_is_a_line_for_the_eye() -> None:
    assert (
        line(SENT, {"265598": "AAPL"})
        == "2027-01-15 08:00:00Z  sent  claude  U1234567  place  BUY 5 AAPL LMT 100.5 DAY"
    )
    assert line(FILLED, {}).endswith("BUY 5 conid 265598 LMT 100.5 DAY  filled  IBKR's order 77")
    assert "SELL 900 in money conid 8314@NYSE MKT DAY  symbols: the policy permits AAPL, not IBM." in line(REFUSED, {})
    assert line(STOPPED, {}).endswith("stopped  owner  holiday")


def test_a_decision_says_whose_it_was() -> None:
    decided = {**SENT, "event": "decided", "decision": "approved", "by": "the owner, on the login port"}
    assert line(decided, {}).endswith("DAY  approved by the owner, on the login port")


def test_no_digit_of_an_amount_or_price_is_left_out() -> None:
    order = {"conid": 1, "side": "BUY", "quantity": 1234567, "orderType": "LMT", "price": 97123.45, "tif": "DAY"}
    assert "BUY 1234567 conid 1 LMT 97123.45 DAY" in line({**SENT, "orders": [order]}, {})
    assert "BUY 0.00000001 conid 1" in line({**SENT, "orders": [{**order, "quantity": 1e-8}]}, {})


def test_what_others_wrote_moves_no_cursor() -> None:
    assert line({**STOPPED, "reason": "a\x1b[2Jb\nc"}, {}).endswith("a [2Jb c")


def test_the_newest_is_last_with_what_was_put_aside_before(audit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "--file", str(audit))

    assert [text.split("  ")[1] for text in lines] == ["sent", "outcome", "refused", "stopped"]


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        (("--event", "refused"), ["refused"]),
        (("--account", "U1234567"), ["sent", "outcome"]),
        (("--caller", "cursor"), ["refused"]),
        (("--outcome", "filled"), ["outcome"]),
        (("--since", "2027-01-16"), ["refused", "stopped"]),
        (("--account", "U1234567", "--event", "refused"), []),
    ],
)
def test_filters(audit: Path, capsys: pytest.CaptureFixture[str], filters: tuple[str, ...], events: list[str]) -> None:
    lines = shown(capsys, "--file", str(audit), "--json", *filters)

    assert [json.loads(text)["event"] for text in lines] == events


def test_an_instrument_is_called_as_an_event_before_called_it(audit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = {**SENT, "event": "permitted", "symbols": {"265598": "AAPL"}}
    audit.with_name("audit.2.jsonl").write_text(json.dumps(named) + "\n")

    lines = shown(capsys, "--file", str(audit), "--event", "outcome")

    assert "BUY 5 AAPL LMT 100.5 DAY  filled" in lines[0]


def test_json_prints_the_lines_as_they_are(audit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [json.loads(text) for text in shown(capsys, "--file", str(audit), "--json")] == [
        SENT,
        FILLED,
        REFUSED,
        STOPPED,
    ]


def test_what_cannot_be_read_is_counted(audit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with audit.open("a") as file:
        file.write('{"event": "cut sh\n[]\n\n')

    assert main(["orders", "log", "--file", str(audit)]) == 0
    assert "2 lines cannot be read" in capsys.readouterr().err


def test_without_a_file_the_last_stack_that_traded_is_shown(
    audit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert main(["orders", "log"]) == 2
    assert "No audit" in capsys.readouterr().err

    folder = tmp_path / "state" / "ib-mcp" / "trading" / "simulator-8800"
    folder.mkdir(parents=True)
    audit.rename(folder / "audit.jsonl")

    assert len(shown(capsys)) == 3


@pytest.mark.parametrize("wrong", [("--since", "yesterday"), ("--file", "/nowhere/audit.jsonl")])
def test_what_is_given_wrongly_is_said(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["orders", "log", *wrong]) == 2
    assert wrong[1] in capsys.readouterr().err
