"""`ib-mcp doctor` names the first broken link, against a simulator that breaks one after the other."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from starlette.responses import PlainTextResponse

from ib_simulator.app import Simulator
from ib_simulator.control.actions import arguments_of
from support import cli, stack
from support.serve import serve

LINKS = [
    "name resolution",
    "TLS connection",
    "gateway",
    "sign-in",
    "brokerage session",
    "accounts",
    "market data",
    "pacing",
]
# What makes the simulator refuse, by the link that is then the first broken one.
BROKEN: list[tuple[str, str, dict[str, Any], str]] = [
    ("sign-in", "sign-out", {}, "Sign in"),
    ("sign-in", "maintenance", {"on": True}, ""),
    ("sign-in", "fault", {"kind": "html", "endpoint": "get_auth_status"}, ""),
    ("brokerage session", "drop-brokerage", {}, "not open"),
    ("brokerage session", "compete", {"on": True}, "another session"),
    (
        "market data",
        "fault",
        {"kind": "answer", "endpoint": "get_price_snapshot", "status": 200, "body": [{"conid": 265598, "6509": "N"}]},
        "subscription",
    ),
    ("market data", "fault", {"kind": "answer", "endpoint": "get_price_snapshot", "status": 500}, "500"),
    (
        "accounts",
        "fault",
        {"kind": "answer", "endpoint": "list_portfolio_accounts", "status": 200, "body": []},
        "another user",
    ),
    ("pacing", "fault", {"kind": "answer", "endpoint": "list_brokerage_accounts", "status": 429}, "429"),
]


@pytest.fixture
def tls() -> ssl.SSLContext:
    """A server's side with a certificate that no system trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def doctor(folder: Path, url: str) -> dict[str, Any]:
    """The report on the gateway at ``url``."""
    done = await asyncio.to_thread(cli.run, folder, "doctor", "--json", "--gateway", url)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    assert [link["link"] for link in report["links"]] == LINKS
    # People see the same on standard error.
    assert all(link["link"] in done.stderr and link["fix"] in done.stderr for link in report["links"])
    return report


def said(report: dict[str, Any]) -> str:
    """Detail and fix of the broken link; everything before it must hold, nothing after it be checked."""
    index = [link["link"] for link in report["links"]].index(report["broken"])
    broken = report["links"][index]
    unsure = "not checked" if report["broken"] == "pacing" else "ok"
    assert {link["result"] for link in report["links"][:index]} <= {"ok", unsure}
    assert broken["result"] == "failed"
    assert broken["fix"]
    assert all(link["result"] == "not checked" for link in report["links"][index + 1 :])
    return f"{broken['detail']} {broken['fix']}"


async def test_every_link_holds_with_a_gateway_that_is_signed_in(tmp_path: Path) -> None:
    async with serve(Simulator(signed_in="paper").app) as url:
        report = await doctor(tmp_path, url)
    assert report["ok"], report
    assert report["broken"] is None
    assert {link["result"] for link in report["links"]} == {"ok"}
    # A price and its timing, without IBKR's letters.
    assert re.fullmatch(r"AAPL [0-9.]+, (live|frozen)", report["links"][LINKS.index("market data")]["detail"])


@pytest.mark.parametrize(("link", "action", "arguments", "words"), BROKEN, ids=lambda value: str(value)[:24])
async def test_what_is_broken_is_found(
    tmp_path: Path, link: str, action: str, arguments: dict[str, Any], words: str
) -> None:
    simulator = Simulator(signed_in="paper")
    simulator.perform(action, arguments_of(action, arguments))
    async with serve(simulator.app) as url:
        report = await doctor(tmp_path, url)
    assert report["broken"] == link
    assert words in said(report)


async def test_a_name_that_does_not_exist_and_a_port_where_nobody_listens_are_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    unknown, refused = await asyncio.gather(
        doctor(tmp_path, "https://gateway.invalid:5000"), doctor(tmp_path, f"https://127.0.0.1:{port}")
    )
    assert unknown["broken"] == "name resolution"
    assert "gateway.invalid" in said(unknown)
    assert refused["broken"] == "TLS connection"
    assert f"nothing listens on 127.0.0.1:{port}" in said(refused)


async def test_http_and_https_mixed_up_are_told_apart(tmp_path: Path, tls: ssl.SSLContext) -> None:
    async with serve(Simulator(signed_in="paper").app) as plain, serve(Simulator().app, tls=tls) as secured:
        too_much, too_little = await asyncio.gather(
            doctor(tmp_path, plain.replace("http:", "https:")), doctor(tmp_path, secured.replace("https:", "http:"))
        )
    assert too_much["broken"] == "TLS connection"
    assert "http://" in said(too_much)
    assert too_little["broken"] == "gateway"
    assert "https://" in said(too_little)


async def test_a_self_signed_certificate_on_loopback_is_no_fault(tmp_path: Path, tls: ssl.SSLContext) -> None:
    async with serve(Simulator(signed_in="paper").app, tls=tls) as url:
        report = await doctor(tmp_path, url)
    assert report["ok"], report
    assert "not verified" in report["links"][LINKS.index("TLS connection")]["detail"]


async def test_what_accepts_and_never_answers_is_given_up_after_some_seconds(tmp_path: Path) -> None:
    behind = Simulator(signed_in="paper")
    behind.perform("fault", arguments_of("fault", {"kind": "hang", "endpoint": "get_auth_status"}))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        async with serve(behind.app) as url:
            handshake, answer, ibkr = await asyncio.gather(
                doctor(tmp_path, f"https://{address}"), doctor(tmp_path, f"http://{address}"), doctor(tmp_path, url)
            )
    assert handshake["broken"] == "TLS connection"
    assert "does not answer" in said(handshake)
    assert answer["broken"] == "gateway"
    assert "does not answer" in said(answer)
    assert ibkr["broken"] == "sign-in"
    assert "no answer from IBKR" in said(ibkr)


async def test_a_gateway_that_admits_other_addresses_only_is_found(tmp_path: Path) -> None:
    # What IBKR's program answers to an address that ips.allow does not name.
    async with serve(PlainTextResponse("Access Denied", status_code=404)) as url:
        report = await doctor(tmp_path, url)
    assert report["broken"] == "gateway"
    assert "ips.allow" in said(report)


def test_with_up_running_every_part_of_it_is_checked(tmp_path: Path) -> None:
    with stack.up(tmp_path):
        done = cli.run(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert [link["link"] for link in json.loads(done.stdout)["links"]] == ["MCP server", "keepalive", *LINKS]


def test_without_anything_to_check_it_says_what_to_start(tmp_path: Path) -> None:
    done = cli.run(tmp_path, "doctor")
    assert done.returncode == 1
    assert "ib-mcp up" in done.stdout
    assert "--gateway" in done.stdout


def test_a_guard_that_is_not_there_is_the_broken_link(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    done = cli.run(tmp_path, "doctor", IB_MCP_GUARD_URL=url, IB_MCP_GUARD_TOKEN="x")
    assert done.returncode == 1
    assert "nothing listens" in done.stdout
    assert "Start the keepalive" in done.stdout


def test_a_guard_without_its_token_is_a_missing_setting(tmp_path: Path) -> None:
    done = cli.run(tmp_path, "doctor", IB_MCP_GUARD_URL="http://127.0.0.1:1")
    assert done.returncode == 2
    assert "IB_MCP_GUARD_TOKEN: is missing" in done.stderr


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    done = cli.run(tmp_path, "doctor", "--gateway", "localhost:5000")
    assert done.returncode == 2
    assert "https://localhost:5000" in done.stderr
