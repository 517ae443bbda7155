"""Changing what IBKR keeps for the user and is no order: off by default, sent once, its outcome never guessed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.faults.faults import FaultSpec
from ibkr import catalogue
from ibkr.catalogue import Catalogue
from ibkr.operation import Operation
from support.calls import CASES
from support.guard import TOKEN, asked, error_of, guarded_in_process, simulator
from support.keepalive import GATEWAY
from support.serve import InProcess
from support.simulator import AAPL, PAPER

pytestmark = pytest.mark.looptime

WRITES = [row for row in catalogue.load() if row.effect == "write" and row.status != "unsupported"]
ARGUMENTS = {name: given for name, given, _ in CASES}
LIST = {"id": "7", "name": "Mine", "rows": [{"C": AAPL}]}


def target(row: Operation) -> tuple[str, str, dict[str, Any]]:
    """Method, path with query, and body of a call of ``row``."""
    given = dict(ARGUMENTS.get(row.id, {"path": {"accountId": PAPER, "deviceId": "1"}}))
    path = row.path
    body = {one.name: "x" for one in row.body if one.required} | given.pop("body", {})
    for name, value in given.pop("path", {}).items():
        path = path.replace(f"{{{name}}}", str(value))
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return row.method, f"/v1/api{path}?{query}" if query else f"/v1/api{path}", body


async def test_writes_are_refused_unless_the_owner_permits_them() -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app) as g:
        for row in WRITES:
            method, path, body = target(row)
            response = await g.client.request(method, path, json=body)
            assert response.status_code == 403, row.id
            assert "ALLOW_WRITES" in error_of(response)["action"]
    assert not gateway.requests


async def test_the_policy_file_comes_before_the_setting_and_is_read_at_every_call(tmp_path: Path) -> None:
    gateway, policy = simulator(), tmp_path / "policy.toml"
    policy.write_text("writes = false\n", "utf-8")
    row = next(row for row in WRITES if row.id == "save_watchlist")
    method, path, body = target(row)
    async with guarded_in_process(gateway.app, allow_writes=True, trading_file=policy) as g:

        async def sent() -> tuple[int, str]:
            response = await g.client.request(method, path, json=body)
            return response.status_code, "" if response.is_success else error_of(response)["action"]

        assert (await sent())[0] == 403
        policy.write_text("writes = true\n", "utf-8")
        assert await sent() == (200, "")
        for content, said in (
            ("writes = maybe\n", "is broken: it is not TOML"),
            ("mode = 'off'\nwrites = 1\n", "line 2, writes"),
        ):
            policy.write_text(content, "utf-8")
            status, action = await sent()
            assert status == 403
            assert said in action
        policy.write_text("mode = 'off'\n", "utf-8")
        assert await sent() == (200, "")
        policy.unlink()
        status, action = await sent()
        assert status == 403
        assert "cannot be read" in action


async def test_the_keepalive_reads_the_file_of_its_settings(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("writes = false\n", "utf-8")
    given = KeepaliveSettings(gateway_url=GATEWAY, token=TOKEN, allow_writes=True, trading_file=policy)
    async with (
        Keepalive(given, InProcess(simulator().app)) as keepalive,
        httpx.AsyncClient(transport=InProcess(keepalive.data), base_url="http://guard.test") as client,
    ):
        answer = await client.post("/v1/api/iserver/watchlist", json=LIST, headers={"authorization": f"Bearer {TOKEN}"})
        assert error_of(answer)["code"] == "operation_forbidden"


async def test_a_write_that_was_permitted_once_is_judged_again(tmp_path: Path) -> None:
    """None of IBKR's is a GET today, of which the guard remembers what it read of them."""
    known = catalogue.load()
    rows = (row._replace(effect="write") if row.path == "/trsrv/stocks" else row for row in known)
    gateway, policy = simulator(), tmp_path / "policy.toml"
    async with guarded_in_process(gateway.app, trading_file=policy, operations=Catalogue(tuple(rows))) as g:
        for permitted in (True, False):
            policy.write_text(f"writes = {str(permitted).lower()}\n", "utf-8")
            response = await g.client.get("/v1/api/trsrv/stocks?symbols=AAPL")
            assert (response.status_code != 403) == permitted


async def test_what_trades_or_ends_the_session_stays_refused_where_writes_are_permitted() -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        for row in catalogue.load():
            if row.effect not in ("read", "write"):
                method, path, body = target(row)
                response = await g.client.request(method, path, json=body)
                # The keeper opens the session and answers for its state itself.
                assert response.status_code in (403, 404) or row.effect == "session", row.id
                assert not asked(gateway, row.id), row.id


async def test_each_permitted_write_reaches_ibkr_once() -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        for row in WRITES:
            method, path, body = target(row)
            response = await g.client.request(method, path, json=body)
            assert asked(gateway, row.id) == 1, (row.id, response.text)
            assert response.status_code in (200, 400, 403, 404, 500, 503), (row.id, response.text)


LOST = [
    FaultSpec(kind="reset", endpoint="save_watchlist", count=1, processed=True),
    FaultSpec(kind="reset", endpoint="save_watchlist", count=1),
    FaultSpec(kind="cut", endpoint="save_watchlist", count=1, processed=True),
    FaultSpec(kind="hang", endpoint="save_watchlist", count=1),
    FaultSpec(kind="answer", endpoint="save_watchlist", count=1, status=503, body={"error": "gateway timeout"}),
    FaultSpec(kind="wrong_json", endpoint="save_watchlist", count=1, processed=True),
]
TOLD = [
    (FaultSpec(kind="answer", endpoint="save_watchlist", count=1, status=400, body={"error": "no"}), "upstream_error"),
    (FaultSpec(kind="answer", endpoint="save_watchlist", count=1, status=500, body={"error": "no"}), "upstream_error"),
    (FaultSpec(kind="answer", endpoint="save_watchlist", count=1, status=200, body={"error": "no"}), "upstream_error"),
    (FaultSpec(kind="answer", endpoint="save_watchlist", count=1, status=429, body={"error": "no"}), "pacing_limited"),
    (FaultSpec(kind="answer", endpoint="save_watchlist", count=1, status=401, body={"error": "no"}), "login_required"),
    (FaultSpec(kind="html", endpoint="save_watchlist", count=1), "login_required"),
    (FaultSpec(kind="refuse"), "upstream_unreachable"),
]


@pytest.mark.parametrize("fault", LOST, ids=[f"{number} {one.kind}" for number, one in enumerate(LOST)])
async def test_a_write_whose_answer_was_lost_is_of_unknown_outcome_and_never_sent_again(fault: FaultSpec) -> None:
    gateway = simulator(fault)
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        response = await g.post("/iserver/watchlist", json=LIST, headers={"ib-deadline-ms": "5000"})
        assert error_of(response)["code"] == "outcome_unknown"
        assert "Do not send it again" in error_of(response)["action"]
        await asyncio.sleep(60)
    assert asked(gateway, "save_watchlist") == 1


@pytest.mark.parametrize(("fault", "code"), TOLD, ids=[f"{number} {code}" for number, (_, code) in enumerate(TOLD)])
async def test_a_write_that_was_refused_or_not_sent_is_not_of_unknown_outcome(fault: FaultSpec, code: str) -> None:
    gateway = simulator(fault)
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        response = await g.post("/iserver/watchlist", json=LIST)
        assert error_of(response)["code"] == code
    assert asked(gateway, "save_watchlist") <= 1


async def test_a_write_that_waits_for_its_turn_too_long_was_not_sent() -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        more = [g.client.put("/v1/api/fyi/disclaimer/M8", headers={"ib-deadline-ms": "1500"}) for _ in range(6)]
        answers = await asyncio.gather(*more)
        await g.rest()
        refused = [error_of(answer)["code"] for answer in answers if answer.status_code != 200]
        assert set(refused) == {"pacing_limited"}
        assert asked(gateway, "accept_fyi_disclaimer") == len(answers) - len(refused)


async def test_equal_writes_are_each_sent() -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        await asyncio.gather(*(g.post("/iserver/watchlist", json=LIST) for _ in range(3)))
    assert asked(gateway, "save_watchlist") == 3


async def test_what_is_read_after_a_write_is_of_after_it() -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app, allow_writes=True) as g:

        async def names() -> list[str]:
            body = (await g.get("/iserver/watchlists?SC=USER_WATCHLIST")).json()
            return [row["name"] for row in body["data"]["user_lists"]]

        assert "Mine" not in await names()
        await g.post("/iserver/watchlist", json=LIST)
        assert "Mine" in await names()
        await g.client.delete("/v1/api/iserver/watchlist?id=7")
        assert "Mine" not in await names()


async def test_a_read_that_began_before_a_write_is_neither_kept_nor_shared_after_it() -> None:
    slow = FaultSpec(kind="latency", endpoint="list_watchlists", count=1, seconds=2, processed=True)
    gateway = simulator(slow)
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        path = "/iserver/watchlists?SC=USER_WATCHLIST"
        before = asyncio.create_task(g.get(path))
        await asyncio.sleep(0.5)
        await g.post("/iserver/watchlist", json=LIST)
        assert "Mine" in (await g.get(path)).text
        await before
        assert "Mine" in (await g.get(path)).text


@pytest.mark.parametrize("alert", ["0", "00", "-0"])
async def test_an_id_that_means_all_is_never_sent(alert: str) -> None:
    gateway = simulator()
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        response = await g.client.delete(f"/v1/api/iserver/account/{PAPER}/alert/{alert}")
        assert error_of(response)["code"] == "invalid_request"
    assert not gateway.requests


async def test_a_write_goes_on_when_its_caller_leaves_after_it_was_sent() -> None:
    slow = FaultSpec(kind="latency", endpoint="save_watchlist", count=1, seconds=2)
    gateway = simulator(slow)
    async with guarded_in_process(gateway.app, allow_writes=True) as g:
        call = asyncio.create_task(g.post("/iserver/watchlist", json=LIST))
        await asyncio.sleep(0.5)
        call.cancel()
        await g.rest()
        assert "Mine" in (await g.get("/iserver/watchlists?SC=USER_WATCHLIST")).text
