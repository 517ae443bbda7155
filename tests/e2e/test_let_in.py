"""An agent that comes by OAuth through the TLS front, and its grant over the end of the server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from e2e.conftest import Install, Node
from e2e.front import HOST, certificate, serving
from e2e.kube import Release, ready, until, volume
from support.answers import body_of
from support.oauth import PASSPHRASE, Person

ORIGIN = f"https://{HOST}"
VOLUME = "e2e-grants"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("front"))


@pytest.fixture(scope="module")
def grants(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[str]:
    with volume(VOLUME, tmp_path_factory.mktemp("grants"), "64Mi"):
        yield VOLUME


@pytest.fixture(scope="module")
def release(install: Install, trusted: Path, grants: str) -> Iterator[Release]:
    def secrets(release: Release) -> None:
        folder = trusted.parent
        release.kubectl("create", "secret", "tls", "front", f"--cert={folder}/tls.crt", f"--key={folder}/tls.key")
        release.kubectl("create", "secret", "generic", "owner", f"--from-literal=passphrase={PASSPHRASE}")

    options = (
        "--set=simulator.enabled=true",
        f"--set=mcp.ingress.enabled=true,mcp.ingress.host={HOST},mcp.ingress.tls.secretName=front",
        f"--set=mcp.publicUrl={ORIGIN},mcp.oauth.enabled=true,mcp.oauth.existingSecret=owner",
        f"--set=mcp.oauth.storage.className={grants}",
    )
    with install("letin", *options, before=secrets) as made, serving(made.namespace, f"{made.prefix}-mcp"):
        yield made


async def _state(person: Person) -> str:
    async with person.web(ORIGIN) as web, Client(streamable_http_client(f"{ORIGIN}/mcp", http_client=web)) as client:
        return str(body_of(await client.call_tool("get_session_status", {}))["state"])


async def test_an_agent_that_was_let_in_is_not_asked_again_after_the_server_was_killed(
    release: Release, trusted: Path, node: Node
) -> None:
    verify = ssl.create_default_context(cafile=str(trusted))
    person = Person(verify)
    assert await _state(person) == "login_required"
    (container,) = release.pods("mcp")[0]["status"]["containerStatuses"]
    node.kill(container["containerID"].partition("://")[2])

    def is_back() -> bool:
        (pod,) = release.pods("mcp")
        return bool(pod["status"]["containerStatuses"][0]["restartCount"]) and ready(pod)

    until("the server is back", is_back)
    assert await _state(person) == "login_required"
    killed = release.pods("mcp")[0]["metadata"]["uid"]
    release.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=mcp", "--grace-period=0", "--force")
    until(
        "another pod", lambda: [pod for pod in release.pods("mcp") if ready(pod) and pod["metadata"]["uid"] != killed]
    )

    async def answers() -> bool:
        async with httpx.AsyncClient(verify=verify) as web:
            return (await web.get(f"{ORIGIN}/.well-known/oauth-protected-resource/mcp")).status_code == 200

    # A pod is ready a moment before its Service leads to it.
    for _ in range(50):
        if await answers():
            break
    assert await _state(person) == "login_required"
    assert person.asked == 1
    assert person.tokens is not None
    assert person.info is not None
    form = {"grant_type": "refresh_token", "refresh_token": person.tokens.refresh_token or ""}
    async with httpx.AsyncClient(verify=verify) as web:
        renewed = await web.post(f"{ORIGIN}/token", data=form | {"client_id": person.info.client_id})
    assert renewed.status_code == 200, renewed.text


def test_the_owner_lists_the_grant_in_the_pod_and_ends_it(release: Release) -> None:
    def grants(*words: str) -> str:
        return release.kubectl(
            "exec", f"deploy/{release.prefix}-mcp", "--", "python3", "-m", "ib_mcp", "grants", *words
        )

    assert "tests-1" in grants("list")
    grants("revoke", "tests-1")
    assert "tests-1" not in grants("list")
