"""The simulated IBKR's OAuth 1.0a, asked by ibind's client, which is in use with IBKR."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ib_simulator.app import Simulator
from support.oauth1 import Owner, private_pem, public_pem, register, rsa_key
from support.serve import InProcess, serve


def _config(url: str, owner: Owner, **more: Any) -> Any:
    from ibind.oauth.oauth1a import OAuth1aConfig

    given = {
        "oauth_rest_url": f"{url}/v1/api/",
        "live_session_token_endpoint": "oauth/live_session_token",
        "access_token": owner.access_token,
        "access_token_secret": owner.encrypted_secret,
        "consumer_key": owner.consumer_key,
        "dh_prime": f"{owner.prime:x}",
        "encryption_key": private_pem(owner.encryption_key),
        "signature_key": private_pem(owner.signature_key),
        "dh_generator": "2",
        "realm": "limited_poa",
        "init_oauth": True,
        "init_brokerage_session": True,
        "maintain_oauth": False,
        "shutdown_oauth": False,
    }
    return OAuth1aConfig(**(given | more))


@pytest.fixture(autouse=True)
def no_log_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBIND_LOG_TO_FILE", "false")


@asynccontextmanager
async def at_ibkr(**more: Any) -> AsyncIterator[tuple[Simulator, Owner, str]]:
    simulator = Simulator(role="backend", limits=False)
    owner = register(simulator, **more)
    async with serve(simulator.app) as url:
        yield simulator, owner, url


async def _open(url: str, owner: Owner, **more: Any) -> Any:
    from ibind import IbkrClient

    config = _config(url, owner, **more)
    return await asyncio.to_thread(
        lambda: IbkrClient(use_oauth=True, oauth_config=config, timeout=30, auto_register_shutdown=False)
    )


async def _said(client: Any, name: str, *arguments: Any) -> Any:
    return (await asyncio.to_thread(getattr(client, name), *arguments)).data


async def test_ibinds_client_signs_in_opens_the_session_and_reads() -> None:
    async with at_ibkr() as (simulator, owner, url):
        simulator.session.timing.establish = 0
        client = await _open(url, owner)
        try:
            ticked = await _said(client, "tickle")
            assert ticked["iserver"]["authStatus"]["authenticated"] is True
            assert "ssoExpires" not in ticked
            [account] = [row["accountId"] for row in await _said(client, "portfolio_accounts")]
            assert await _said(client, "positions", account)
            assert await _said(client, "search_contract_by_symbol", "AAPL")
        finally:
            await asyncio.to_thread(client.close)
        assert simulator.session.user is not None
        assert simulator.session.user.key == "paper"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"consumer_key": "OTHERSKEY"}, "invalid consumer"),
        ({"access_token": "0" * 20}, "invalid access token"),
        ({"signature_key": "other"}, "invalid signature"),
        ({"access_token_secret": "other"}, "invalid signature"),
        ({"realm": "test_realm"}, "invalid consumer"),
    ],
)
async def test_what_does_not_belong_to_the_consumer_is_refused(wrong: dict[str, str], said: str) -> None:
    async with at_ibkr() as (_, owner, url):
        if "signature_key" in wrong:
            wrong = {"signature_key": private_pem(rsa_key("stranger"))}
        if "access_token_secret" in wrong:
            wrong = {"access_token_secret": Owner(secret=b"another secret").encrypted_secret}
        with pytest.raises(Exception, match=said):
            await _open(url, owner, **wrong)


async def test_a_consumer_is_unknown_until_ibkrs_servers_have_it() -> None:
    async with at_ibkr(active_in_s=3600) as (simulator, owner, url):
        with pytest.raises(Exception, match="invalid consumer"):
            await _open(url, owner)
        simulator.clock.advance(3600)
        simulator.backend.signed.skew_s = 7200
        await asyncio.to_thread((await _open(url, owner)).close)


async def test_a_clock_that_is_off_by_a_minute_is_refused() -> None:
    async with at_ibkr() as (simulator, owner, url):
        simulator.clock.advance(60)
        with pytest.raises(Exception, match="invalid timestamp"):
            await _open(url, owner)


async def test_a_token_ends_and_a_new_one_is_a_sign_in_whose_session_is_to_be_opened() -> None:
    async with at_ibkr() as (simulator, owner, url):
        simulator.do("oauth1", life_s=1000, skew_s=1e9)
        client = await _open(url, owner)
        try:
            simulator.clock.advance(400)
            await _said(client, "tickle")
            simulator.clock.advance(400)
            await _said(client, "tickle")
            simulator.clock.advance(201)
            with pytest.raises(Exception, match="live session token"):
                await _said(client, "tickle")
            await asyncio.to_thread(client.generate_live_session_token)
            assert (await _said(client, "authentication_status"))["authenticated"] is False
        finally:
            await asyncio.to_thread(client.close)


async def test_a_request_is_taken_once_and_only_as_it_was_signed() -> None:
    from ibind.oauth.oauth1a import generate_oauth_headers

    async with at_ibkr() as (_, owner, url), httpx.AsyncClient() as anybody:
        client = await _open(url, owner)
        target, token = f"{url}/v1/api/portfolio/accounts", client.live_session_token
        try:
            for asked, signed, statuses in (
                (target, target, [200, 401]),
                (f"{url}/v1/api/iserver/accounts", target, [401]),
                (f"{target}?a=1", target, [200]),
                (f"{target}?a=1", f"{target}?a=1", [200]),
                (f"{target}?a=1", f"{target}?a=2", [401]),
            ):
                headers = generate_oauth_headers(client.oauth_config, "GET", signed, live_session_token=token)
                answers = [await anybody.get(asked, headers=headers) for _ in statuses]
                assert [answer.status_code for answer in answers] == statuses, (asked, signed)
            assert (await anybody.get(target)).status_code == 401
        finally:
            await asyncio.to_thread(client.close)


async def test_the_portal_takes_keys_over_the_control_api_and_says_what_it_does_not_take() -> None:
    simulator, owner = Simulator(role="backend"), Owner()
    given = {
        "consumer_key": owner.consumer_key,
        "signature_key": public_pem(owner.signature_key),
        "encryption_key": public_pem(owner.encryption_key),
        "dh_parameters": owner.dh_parameters,
    }
    async with httpx.AsyncClient(transport=InProcess(simulator.control), base_url="http://control/control") as control:
        taken = await control.post("/oauth1/consumers", json=given)
        assert set(taken.json()) == {"access_token", "access_token_secret"}
        for change, words in (
            ({"consumer_key": "x"}, "nine letters"),
            ({"signature_key": owner.dh_parameters}, "public key"),
            ({"dh_parameters": "x"}, "DH parameters"),
            ({"what": 1}, "what"),
        ):
            refused = await control.post("/oauth1/consumers", json=given | change)
            assert refused.status_code == 400
            assert words in refused.json()["error"]
