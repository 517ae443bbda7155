"""Every mode and limit of the owner's policy refuses, whichever way an order comes, and says why; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx
import pytest

from ib_keepalive.trading.policy import Limits
from support.agent import GUARD_TOKEN, Agent, agent
from support.guard import error_of
from support.refusals import REFUSED, Refused
from support.serve import serve

SignedIn = Literal["paper", "live"]
ACCOUNTS: dict[SignedIn, str] = {"paper": "DU7420001", "live": "U7420002"}
_BEARER = {"Authorization": f"Bearer {GUARD_TOKEN}"}


class Way(Protocol):
    """Tries to place the order of a case; what was said."""

    async def __call__(self, case: Refused, account: str) -> str: ...


class ByTool:
    def __init__(self, a: Agent) -> None:
        self._a = a

    async def __call__(self, case: Refused, account: str) -> str:
        answer = await self._a.call("preview_order", **case.arguments, account=account)
        assert answer.is_error or answer.body["ticket"] is None, answer.text
        return answer.text


class ByCallEndpoint:
    def __init__(self, a: Agent) -> None:
        self._a = a

    async def __call__(self, case: Refused, account: str) -> str:
        given = {"accountId": account, "orders": case.orders}
        error = (await self._a.call("call_endpoint", endpoint="place_orders", parameters=given)).error
        assert error["code"] == "operation_forbidden"
        return str(error["message"])


class ByRawRequest:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, case: Refused, account: str) -> str:
        path = f"/v1/api/iserver/account/{account}/orders"
        response = await self._client.post(path, json={"orders": case.orders}, headers=_BEARER)
        assert response.status_code == 403
        return str(error_of(response)["message"])


class ByIbind:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def __call__(self, case: Refused, account: str) -> str:
        from ibind.support.errors import ExternalBrokerError

        with pytest.raises(ExternalBrokerError) as raised:
            await asyncio.to_thread(self._client.place_order, case.orders, {}, account)
        assert raised.value.status_code == 403
        return str(raised.value)


@asynccontextmanager
async def by_tool(a: Agent) -> AsyncIterator[Way]:
    yield ByTool(a)


@asynccontextmanager
async def by_call_endpoint(a: Agent) -> AsyncIterator[Way]:
    yield ByCallEndpoint(a)


@asynccontextmanager
async def by_raw_request(a: Agent) -> AsyncIterator[Way]:
    transport = httpx.ASGITransport(a.keepalive.data)
    async with httpx.AsyncClient(base_url="http://guard.test", transport=transport, timeout=None) as client:
        yield ByRawRequest(client)


@asynccontextmanager
async def by_ibind(a: Agent) -> AsyncIterator[Way]:
    from ibind import IbkrClient

    async with serve(a.keepalive.data) as url:
        address = httpx.URL(url).copy_with(username="anybody", password=GUARD_TOKEN, path="/v1/api/")
        client = IbkrClient(url=str(address), timeout=60, auto_register_shutdown=False)
        try:
            yield ByIbind(client)
        finally:
            client.close()


async def refuse_all(signed_in: SignedIn, way: Any, folder: Path) -> None:
    """Try every case; what went wrong, by its name."""
    wrong: dict[str, str] = {}
    async with agent(signed_in, trading=folder) as a, way(a) as place:
        for name, case in REFUSED.items():
            if case.signed_in == signed_in:
                case.prepare(folder)
                said = await place(case, ACCOUNTS[signed_in])
                missing = [words for words in case.said if words not in said]
                if missing:
                    wrong[name] = f"{missing} not in {said}"
        sent = [request.endpoint for request in a.simulator.requests if request.endpoint == "place_orders"]
    assert wrong == {}
    assert sent == []


def test_every_limit_has_its_refusal() -> None:
    policies = "\n".join(case.policy for case in REFUSED.values())
    assert [name for name in Limits.model_fields if f"{name} = " not in policies] == []


@pytest.mark.looptime
@pytest.mark.parametrize("signed_in", ["paper", "live"])
@pytest.mark.parametrize("way", [by_tool, by_call_endpoint, by_raw_request])
async def test_every_mode_and_limit_refuses(signed_in: SignedIn, way: Any, tmp_path: Path) -> None:
    await refuse_all(signed_in, way, tmp_path)


@pytest.mark.parametrize("signed_in", ["paper", "live"])
async def test_every_mode_and_limit_refuses_a_public_client(
    signed_in: SignedIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBIND_LOG_TO_FILE", "false")
    await refuse_all(signed_in, by_ibind, tmp_path)
