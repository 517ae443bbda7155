"""The certified oidc-provider of npm, as the owner's identity provider."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import httpx

from support import programs

PACKAGE = "oidc-provider@9.13.3"
_PATIENCE_S = 60
_SCRIPT = """
import { Provider } from 'oidc-provider';
const [port, resource, clients] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: JSON.parse(clients),
  scopes: ['openid', 'profile', 'email', 'ibkr:read', 'ibkr:write'],
  claims: { profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id,
    email: `${id}@example.net`, email_verified: true, groups: [`friends-of-${id}`] }) }),
  pkce: { required: () => true },
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: true },
    resourceIndicators: { enabled: true, defaultResource: () => resource, useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'ibkr:read ibkr:write', audience: resource,
        accessTokenFormat: 'jwt' }) } },
  extraTokenClaims: () => ({ preferred_username: 'robin' }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
"""


@asynccontextmanager
async def serving(port: int, resource: str, *clients: dict[str, Any]) -> AsyncIterator[str]:
    """The issuer, at this port of loopback. programs.Unavailable where it cannot be had."""
    script = programs.npm_package(PACKAGE) / "run.mjs"
    script.write_text(_SCRIPT)
    process = await asyncio.create_subprocess_exec(
        *(str(programs.node()), str(script), str(port), resource, json.dumps(clients)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            assert process.stdout
            while b"listening" not in (line := await process.stdout.readline()):
                assert line, "it ended"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def sign_in(web: httpx.AsyncClient, url: str, user: str, back: str) -> httpx.Response:
    """Go to ``url`` as a browser, sign in as ``user`` and agree, until the provider sends it to ``back``."""
    response = await web.get(url)
    for _ in range(20):
        location = response.headers.get("location")
        if location is None:
            action = re.search(r'<form[^>]* action="([^"]+)"', response.text)
            assert action, response.text
            prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
            assert prompt, response.text
            form = {"prompt": prompt[1], "login": user, "password": "any"}
            response = await web.post(urljoin(str(response.url), action[1]), data=form)
        elif (target := urljoin(str(response.url), location)).startswith(back):
            return response
        else:
            response = await web.get(target)
    raise AssertionError("the provider sends the browser about")
