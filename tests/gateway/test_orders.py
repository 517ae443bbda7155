"""Orders by IBKR's own program: preview, question, submit, partial fill, change, cancel, and what got lost on the way.

Bitcoin, since it is traded at every hour of the week.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from gateway.browser import signed_in
from gateway.program import need_programs
from gateway.rig import LOOK_SECONDS, Rig, assembled, until

BITCOIN = 479624278
ALLOWED = ("o354", "o163", "o10288")


class Desk:
    """The agent's side of a rig that trades; ``policy`` is the owner's file."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        (self._policy,) = (rig.running.folder / "state").rglob("policy.toml")

    def permit(self, *questions: str, approval: str = "none") -> None:
        """Orders within no limits, with these questions answered yes."""
        listed = ", ".join(f'"{name}"' for name in questions)
        text = f'mode = "paper"\napproval = "{approval}"\nquestions = [{listed}]\n[limits]\nprice_age_s = 86400\n'
        self._policy.write_text(text, "utf-8")

    @contextmanager
    def market(self, size: float) -> Iterator[None]:
        """So much Bitcoin at bid and ask."""
        self.rig.broker.do("market", conid=BITCOIN, size=size)
        try:
            yield
        finally:
            self.rig.broker.do("market", conid=BITCOIN, usual_size=True)

    async def price(self) -> float:
        found = (await self.rig.call("get_price_snapshot", symbols=["BTC@PAXOS"]))["prices"]
        return float(dict(zip(found["columns"], found["rows"][0], strict=True))["last"])

    async def preview(self, **order: Any) -> dict[str, Any]:
        order = {"symbol": "BTC@PAXOS", "side": "buy", "type": "limit", "tif": "GTC"} | order
        return await self.rig.call("preview_order", **order)

    async def submit(self, ticket: str) -> dict[str, Any]:
        return await self.rig.call("submit_order", ticket=ticket)

    async def status(self, order_id: str) -> dict[str, Any]:
        return await self.rig.call("get_order_status", order_id=order_id)

    async def becomes(self, order_id: str, status: str) -> None:
        """Wait until an agent is told so."""
        async with asyncio.timeout(30):
            while (await self.status(order_id)).get("status") != status:  # noqa: ASYNC110 - a process is asked
                await asyncio.sleep(LOOK_SECONDS)

    async def resolved(self, ticket: str) -> dict[str, Any]:
        """The outcome once it is known, which the guard finds out by itself."""
        async with asyncio.timeout(90):
            while (sent := await self.submit(ticket)).get("outcome") == "outcome_unknown" or "error" in sent:  # noqa: ASYNC110
                await asyncio.sleep(1)
        return sent

    def taken(self) -> list[dict[str, Any]]:
        return self.rig.broker.orders()


@pytest.fixture(scope="module")
def trading_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    need_programs()
    with assembled(tmp_path_factory.mktemp("trading"), "keeper", "--trading", "paper") as rig:
        yield rig


@pytest.fixture
async def desk(trading_rig: Rig) -> Desk:
    """Somebody is signed in, and the policy permits what Bitcoin is asked about."""
    await signed_in(trading_rig)
    desk = Desk(trading_rig)
    desk.permit(*ALLOWED)
    return desk


async def test_an_order_goes_its_whole_way(desk: Desk) -> None:
    before = len(desk.taken())
    here = await desk.price()
    preview = await desk.preview(quantity=0.5, limit=round(here * 1.01))
    assert (preview["mode"], preview["limits"]["passed"][0]) == ("paper", "mode")
    assert preview["cost"]["total"]["currency"] == "USD"
    assert preview["margin"]["initial"]["change"] > 0

    with desk.market(size=0.2):
        sent = await desk.submit(preview["ticket"])
        # What is left of the market's size comes a second later; nothing does once there is none.
        desk.rig.broker.do("market", conid=BITCOIN, size=0)
        assert sent["outcome"] in ("working", "partly_filled"), sent
        order_id = sent["orders"][0]["order_id"]
        status = await desk.status(order_id)
        filled = status["filled"]
        assert 0 < filled < 0.5
        assert preview["position"]["after"] == pytest.approx(preview["position"]["before"] + 0.5)

        change = await desk.rig.call("modify_order", order_id=order_id, limit=round(here * 1.005), quantity=0.45)
        changed = await desk.submit(change["ticket"])
        assert changed["outcome"] in ("working", "partly_filled"), changed
        assert (await desk.status(order_id))["quantity"] == 0.45

        asked = await desk.rig.call("cancel_order", order_id=order_id)
        assert asked["outcome"] == "cancel_requested"
        await desk.becomes(order_id, "Cancelled")

    again = await desk.submit(preview["ticket"])
    assert "submitted before" in again["repeated"]
    (taken,) = desk.taken()[before:]
    assert (taken["status"], taken["filled"], taken["ticket"]["quantity"]) == ("Cancelled", filled, 0.45)
    assert [step["event"].split(" ")[0] for step in taken["history"]][-3:] == ["modified", "PendingCancel", "Cancelled"]


async def test_a_question_that_the_owner_did_not_foresee_withdraws_the_order(desk: Desk) -> None:
    before = len(desk.taken())
    desk.permit("o354", "o10288")
    preview = await desk.preview(quantity=0.1, limit=round(await desk.price() * 0.9))
    sent = await desk.submit(preview["ticket"])
    assert (sent["outcome"], sent["ibkr_asks"]["message_ids"]) == ("declined", ["o163"])
    assert "more than 3%" in sent["ibkr_asks"]["untrusted"]
    assert len(desk.taken()) == before
    desk.permit(*ALLOWED)
    desk.rig.broker.do("order-questions", message_ids=["o10153"], text="Is this what you want?")
    preview = await desk.preview(quantity=0.1, limit=round(await desk.price() * 0.9))
    sent = await desk.submit(preview["ticket"])
    assert (sent["outcome"], sent["ibkr_asks"]["message_ids"]) == ("declined", ["o10153"])
    assert len(desk.taken()) == before
    desk.rig.broker.do("order-questions", message_ids=[])


async def test_a_person_approves_on_the_login_port(desk: Desk) -> None:
    before = len(desk.taken())
    desk.permit(*ALLOWED, approval="page")
    preview = await desk.preview(quantity=0.1, limit=round(await desk.price() * 0.9))
    waits = await desk.submit(preview["ticket"])
    assert waits["outcome"] == "approval_needed"
    assert desk.rig.status()["trading"]["pending_approvals"] == 1
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        page = await browser.get(waits["approval_url"])
        assert str(page.url).startswith(f"{desk.rig.running.login_url}/approvals")
        for text in ("BUY 0.1 BTC.USD@PAXOS", "BTC, CRYPTO, USD", "PAPER account", preview["account"]):
            assert text in page.text
        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        decided = await browser.post(f"{desk.rig.running.login_url}/approvals", data=form | {"answer": "approve"})
        assert "Approved" in decided.text
    assert len(desk.taken()) == before
    sent = await desk.submit(preview["ticket"])
    assert sent["outcome"] == "working", sent
    assert len(desk.taken()) == before + 1
    await desk.rig.call("cancel_order", order_id=sent["orders"][0]["order_id"])


async def test_an_order_whose_answer_is_lost_is_found_and_never_sent_again(desk: Desk) -> None:
    before = len(desk.taken())
    preview = await desk.preview(quantity=0.1, limit=round(await desk.price() * 0.9))
    with desk.rig.broker.fault("order_answer_lost", status=503, endpoint="answer_order_question", after=1):
        sent = await desk.submit(preview["ticket"])
    (taken,) = desk.taken()[before:]
    if sent["outcome"] == "outcome_unknown":
        sent = await desk.resolved(preview["ticket"])
    assert (sent["outcome"], sent["orders"][0]["order_id"]) == ("working", str(taken["order_id"])), sent
    assert len(desk.taken()) == before + 1
    assert (await desk.rig.call("cancel_order", all=True))["outcome"] == "cancel_requested"
    await desk.becomes(str(taken["order_id"]), "Cancelled")


async def test_the_program_may_end_between_an_order_and_its_answer(desk: Desk) -> None:
    before = len(desk.taken())
    preview = await desk.preview(quantity=0.1, limit=round(await desk.price() * 0.9))
    with desk.rig.broker.fault("order_answer_late", seconds=20, endpoint="answer_order_question", after=1):
        sending = asyncio.create_task(desk.submit(preview["ticket"]))
        await until(lambda: len(desk.taken()) > before)
        desk.rig.gateway.kill()
        sent = await sending
    assert sent["outcome"] == "outcome_unknown", sent
    desk.rig.gateway.start()
    await desk.rig.reaches("login_required")
    await signed_in(desk.rig)
    (taken,) = desk.taken()[before:]
    sent = await desk.resolved(preview["ticket"])
    assert (sent["outcome"], sent["orders"][0]["order_id"]) == ("working", str(taken["order_id"])), sent
    assert len(desk.taken()) == before + 1
