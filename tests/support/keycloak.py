"""Keycloak as the owner's identity provider, with one realm of people."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from support import programs

_PATIENCE_S = 600
_PASSWORD = "of the admin"
REALM = "home"


@asynccontextmanager
async def serving(folder: Path, port: int, *clients: dict[str, Any]) -> AsyncIterator[str]:
    """The issuer: robin and eve have accounts there, with their name as password. programs.Unavailable."""
    shutil.copytree(programs.keycloak(), folder / "keycloak", symlinks=True)
    process = await asyncio.create_subprocess_exec(
        *(str(folder / "keycloak/bin/kc.sh"), "start-dev", "--http-host=127.0.0.1", f"--http-port={port}"),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
            "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": _PASSWORD,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as web:
            async with asyncio.timeout(_PATIENCE_S):
                await _until_it_answers(web)
                await _make_realm(web, clients)
        yield f"http://127.0.0.1:{port}/realms/{REALM}"
    finally:
        os.killpg(process.pid, 9)
        await process.wait()


async def _until_it_answers(web: httpx.AsyncClient) -> None:
    while True:
        try:
            if (await web.get("/realms/master/.well-known/openid-configuration")).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(1)


async def _make_realm(web: httpx.AsyncClient, clients: tuple[dict[str, Any], ...]) -> None:
    form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": _PASSWORD}
    told = await web.post("/realms/master/protocol/openid-connect/token", data=form)
    bearer = {"authorization": f"Bearer {told.json()['access_token']}"}
    people = [
        {
            "username": name,
            "enabled": True,
            "email": f"{name}@example.net",
            "emailVerified": True,
            "firstName": name,
            "lastName": name,
            "credentials": [{"type": "password", "value": name, "temporary": False}],
        }
        for name in ("robin", "eve")
    ]
    realm = {"realm": REALM, "enabled": True, "sslRequired": "none", "users": people, "clients": list(clients)}
    made = await web.post("/admin/realms", json=realm, headers=bearer)
    assert made.status_code == 201, made.text


def for_audience(audience: str) -> list[dict[str, Any]]:
    """The mapper that a client needs, so that its tokens name this audience."""
    config = {"included.custom.audience": audience, "access.token.claim": "true", "id.token.claim": "false"}
    return [
        {
            "name": "audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": config,
        }
    ]


async def sign_in(url: str, user: str, back: str) -> str:
    """Go to ``url`` as a browser and sign in as ``user``; where it is sent then, which begins with ``back``."""
    async with httpx.AsyncClient(timeout=60) as web:
        page = await web.get(url, follow_redirects=True)
        _, _, rest = page.text.partition('id="kc-form-login"')
        action = unescape(rest.partition('action="')[2].partition('"')[0])
        assert action, page.text
        # Its cookies are for TLS, and browsers take loopback for as good; httpx does not.
        kept = {cookie.name: cookie.value for each in (*page.history, page) for cookie in each.cookies.jar}
        shown = {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
        form = {"username": user, "password": user}
        response = await web.post(urljoin(str(page.url), action), data=form, headers=shown)
        location: str = response.headers.get("location", "")
        assert location.startswith(back), (location, response.text)
        return location
