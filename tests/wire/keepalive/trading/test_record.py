"""The record of orders: who wanted what, what limits said, who approved, what became of it; counted and on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ib_keepalive.trading.audit import Audit
from support.guard import error_of
from support.simulated import simulated
from support.simulator import AAPL, PAPER
from support.trading import APPROVER, PAPER_POLICY, Traded, order, traded

pytestmark = pytest.mark.looptime


def events(t: Traded) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (t.directory / "audit.jsonl").read_text().splitlines()]


def counted(t: Traded) -> dict[str, float]:
    lines = (line for line in t.g.metrics.render().decode().splitlines() if line.startswith("ibmcp_order"))
    pairs = (line.rsplit(" ", 1) for line in lines if "_total{" in line)
    return {name: float(value) for name, value in pairs if float(value)}


async def test_an_order_is_followed_from_its_preview_to_its_end(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + "[limits]\nquantity = 10\n") as t:
        ticket = await t.ticket()
        outcome = (await t.submit(ticket)).json()

        previewed, permitted, sent, ended = events(t)
        assert [e["event"] for e in (previewed, permitted, sent, ended)] == [
            "previewed",
            "permitted",
            "sent",
            "outcome",
        ]
        for event in (previewed, permitted, sent, ended):
            assert (event["caller"], event["kind"], event["ticket"]) == ("anna", "place", ticket)
            assert event["orders"][0]["quantity"] == 5
        assert previewed["symbols"] == permitted["symbols"] == {str(AAPL): "AAPL"}
        quantity = next(each for each in permitted["limits"] if each["limit"] == "quantity")
        assert (quantity["allowed"], quantity["given"], quantity["passed"]) == (10, 5, True)
        assert ended["outcome"] == outcome["outcome"] == "working"
        assert ended["order_ids"] == [outcome["orders"][0]["order_id"]]
        assert counted(t) == {'ibmcp_orders_total{outcome="working"}': 1}


async def test_a_refusal_names_the_limits_and_is_counted_by_them(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY + "[limits]\nquantity = 3\nnotional = 200\n") as t:
        preview = await t.preview()
        response = await t.g.post(f"/iserver/account/{PAPER}/orders", json={"orders": [order()]})

        assert error_of(response)["code"] == "operation_forbidden"
        previewed, refused = events(t)
        assert (previewed["event"], previewed["ticket"], refused["event"]) == ("previewed", None, "refused")
        assert [each["limit"] for each in refused["limits"]] == ["quantity", "notional"]
        assert [each["sentence"] for each in refused["limits"]] == preview["refused"]
        assert counted(t) == {
            'ibmcp_order_refusals_total{limit="quantity"}': 2,
            'ibmcp_order_refusals_total{limit="notional"}': 2,
        }


async def test_what_a_mode_or_a_stop_refuses_is_recorded_too(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        ticket = await t.ticket()
        await t.client.post("/trading/stop", json={"reason": "odd prices"}, headers={"ib-caller": "anna"})
        stopped = await t.submit(ticket)
        t.say('mode = "preview"')
        preview = await t.submit(ticket)

        assert "odd prices" in error_of(stopped)["message"]
        assert error_of(preview)["code"] == "operation_forbidden"
        told = [(e["event"], e.get("limit"), e.get("by")) for e in events(t)[1:]]
        assert told == [("stopped", None, "anna"), ("refused", "stopped", None), ("refused", "mode", None)]
        assert counted(t) == {
            'ibmcp_order_refusals_total{limit="stopped"}': 1,
            'ibmcp_order_refusals_total{limit="mode"}': 1,
        }


async def test_a_persons_decision_has_a_name(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path, PAPER_POLICY.replace('"none"', '"page"')) as t:
        ticket = await t.ticket()
        assert (await t.submit(ticket)).json()["outcome"] == "approval_needed"
        await t.client.post(
            f"/trading/tickets/{ticket}/decision",
            json={"approve": True, "by": "robin"},
            headers={"ib-approver": APPROVER},
        )
        await t.submit(ticket)

        told = [(e["event"], e.get("decision"), e.get("by")) for e in events(t)]
        assert told[1:3] == [("asked", None, None), ("decided", "approved", "robin")]
        assert [name for name, _, _ in told[3:]] == ["permitted", "sent", "outcome"]


async def test_nothing_is_sent_that_cannot_be_written_down(tmp_path: Path) -> None:
    async with traded(simulated(), tmp_path) as t:
        ticket = await t.ticket()
        (tmp_path / "audit.jsonl").unlink()
        (tmp_path / "audit.jsonl").mkdir()

        response = await t.submit(ticket)

        assert "audit cannot be written" in error_of(response)["message"]
        assert t.placed() == []
        assert (await t.client.get("/trading/status")).json()["effective_mode"] == "off"


async def test_nothing_is_sent_when_the_disk_fills_in_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Audit.write

    def full(self: Audit, event: str, **more: Any) -> None:
        if event == "sent":
            (tmp_path / "audit.jsonl").unlink()
            (tmp_path / "audit.jsonl").mkdir()
        write(self, event, **more)

    monkeypatch.setattr(Audit, "write", full)
    async with traded(simulated(), tmp_path) as t:
        response = await t.submit(await t.ticket())

        assert error_of(response)["code"] == "operation_forbidden"
        assert t.placed() == []
