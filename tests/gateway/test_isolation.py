"""Who can reach the real gateway's port: callers on its own loopback address, and web pages not even there."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

from gateway.program import Gateway, listens
from gateway.rig import Rig


def _other_addresses() -> list[str]:
    """IPv4 addresses of this machine other than 127.0.0.1."""
    interfaces = psutil.net_if_addrs().values()
    found = (entry.address for entries in interfaces for entry in entries if entry.family == socket.AF_INET)
    return ["127.0.0.2", *(address for address in found if address != "127.0.0.1")]


@pytest.mark.parametrize("address", _other_addresses())
def test_the_port_is_closed_on_every_other_address(rig: Rig, address: str) -> None:
    assert listens(rig.gateway.port)
    assert not listens(rig.gateway.port, address)


@pytest.mark.parametrize("address", _other_addresses())
async def test_a_websocket_from_elsewhere_finds_no_port(rig: Rig, address: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect(f"ws://{address}:{rig.gateway.port}/v1/api/ws", open_timeout=5)


def test_where_java_uses_ipv6_the_port_is_that_of_the_ipv4_loopback_all_the_same(rig: Rig, tmp_path: Path) -> None:
    """As gateway.ipv6 of the chart tells it: its list of admitted addresses knows no IPv6 one."""
    options = ("-Djava.net.preferIPv4Stack=false", "-Djava.net.preferIPv6Addresses=system")
    gateway = Gateway(tmp_path, rig.gateway.backend_port, rig.gateway.authority, java_options=options)
    gateway.start()
    try:
        assert httpx.get(f"{gateway.url}/v1/am/alive").status_code == 200
        assert not [address for address in (*_other_addresses(), "::1") if listens(gateway.port, address)]
    finally:
        gateway.kill()


def test_a_caller_with_another_source_address_is_denied(rig: Rig) -> None:
    def ask(source: str) -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as caller:
            return caller.get(f"{rig.gateway.url}/v1/am/alive")

    assert ask("127.0.0.1").status_code == 200
    denied = ask("127.0.0.2")
    assert (denied.status_code, denied.text) == (404, "Access Denied")


def test_a_web_page_from_elsewhere_is_denied(rig: Rig) -> None:
    def ask(origin: str) -> int:
        return httpx.get(f"{rig.gateway.url}/v1/am/alive", headers={"Origin": origin}).status_code

    assert ask(rig.gateway.url) == 200
    assert ask("https://example.com") == 403
    assert ask("null") == 403
    assert ask(f"{rig.gateway.url}.example.com") == 403
