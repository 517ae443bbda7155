"""What the programs write down: logs, metrics and status pages of a session with work and mishaps in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.browser import OWNER, give_password, signed_in
from gateway.leaks import leaks
from gateway.rig import Rig


@dataclass
class Session:
    """``written`` by where it was found; what the others hold must not be in it."""

    written: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    cookies: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    amounts: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def session(rig: Rig) -> Session:
    return asyncio.run(_live_through(rig))


def test_no_token_is_written(session: Session) -> None:
    assert len(session.tokens) == 3
    assert leaks(session.written, session.tokens) == []


def test_no_session_cookie_is_written(session: Session) -> None:
    assert len(session.cookies) == 3
    assert leaks(session.written, session.cookies) == []


def test_no_account_number_or_user_is_written(session: Session) -> None:
    assert session.accounts
    assert leaks(session.written, {*session.accounts, OWNER.name, str(OWNER.user_id)}) == []


def test_no_balance_is_written(session: Session) -> None:
    assert session.amounts
    assert leaks(session.written, session.amounts) == []


@pytest.mark.parametrize("line", ["of DU1234567", "XYZAB=0123456789abcdef0123456789abcdef", "worth 2812849.21 USD"])
def test_a_leak_would_be_found(line: str) -> None:
    assert leaks({"log": f"before\n{line}\nafter"}, {"2812849.21"}) == [f"log: {line}"]


async def _live_through(rig: Rig) -> Session:
    session = Session(tokens={rig.running.mcp_token, rig.running.guard_token})
    await signed_in(rig)
    account = str((await rig.call("list_accounts"))["default"])
    session.accounts.add(account)
    await _go_wrong(rig, session, account)
    await _work(rig, session)

    # At the gateway itself a browser is shown the cookies that the gateway keeps.
    async with httpx.AsyncClient(base_url=rig.gateway.url, follow_redirects=True) as browser:
        second_step = await give_password(browser)
        rig.broker.do("approve")
        await browser.get(second_step)
        session.cookies |= set(browser.cookies.values())
    await rig.reaches("authenticated")

    session.written = await _all_that_is_written(rig)
    return session


async def _work(rig: Rig, session: Session) -> None:
    for tool in ("get_session_status", "get_account_balances", "get_account_positions", "diagnose"):
        answer = await rig.call(tool)
        if tool == "get_account_balances" and "error" not in answer:
            figures = (cell for row in answer["balances"]["rows"] for cell in row[1:] if isinstance(cell, float))
            session.amounts |= {f"{figure:.15g}" for figure in figures if abs(figure) > 1000}


async def _go_wrong(rig: Rig, session: Session, account: str) -> None:
    """Mistakes of callers and of IBKR, each with something secret in it."""
    api = f"{rig.running.guard_url}/v1/api"
    # The gateway answers nothing at all where IBKR breaks a connection.
    own = {"Authorization": f"Bearer {rig.running.guard_token}", "ib-deadline-ms": "2000"}
    wrong = "wrong-token-of-a-caller"
    session.tokens.add(wrong)
    refusal = {"status": 500, "body": {"error": f"nothing about {account}"}}
    async with httpx.AsyncClient(timeout=30) as caller:
        await caller.get(f"{api}/portfolio/{account}/ledger", headers={"Authorization": f"Bearer {wrong}"})
        await caller.post(f"{api}/iserver/account/{account}/orders", headers=own, json={"acctId": account})
        await caller.get(f"{api}/portfolio/{account}/nothing?token={wrong}", headers=own)
        await caller.get(f"{rig.running.login_url}/sso/Login", headers={"Cookie": f"XYZAB={wrong}"})
        await caller.post(rig.running.mcp_url, headers={"Authorization": f"Bearer {wrong}"}, json={})
        for path, kind, how in (
            ("meta", "answer", refusal),
            ("allocation", "wrong_json", {}),
            ("summary", "reset", {}),
        ):
            with rig.broker.fault(kind, path=f"/v1/api/portfolio/{account}/{path}", **how):
                answer = await caller.get(f"{api}/portfolio/{account}/{path}", headers=own)
            assert answer.status_code >= 500
    await rig.call("get_account_positions", account="U9999999")


async def _all_that_is_written(rig: Rig) -> dict[str, str]:
    pages = {
        "status": f"{rig.running.control_url}/status",
        "keepalive metrics": f"{rig.running.control_url}/metrics",
        "mcp metrics": rig.running.mcp_url.removesuffix("/mcp") + "/metrics",
        "login status": f"{rig.running.login_url}/login-status",
        "landing page": rig.running.login_url,
    }
    async with httpx.AsyncClient() as reader:
        written = {name: (await reader.get(url)).raise_for_status().text for name, url in pages.items()}
    return written | rig.logs()
