"""JSON of others, such as the keys of an identity provider."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus

import aiohttp

from ib_service import strict_json
from ib_service.http.reading import TooLarge, read_whole

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_LARGEST = 512 * 1024


class NotTold(Exception):
    """What was asked for did not come."""


async def fetch_json(url: str, token: str | None = None) -> Any:
    """What is at ``url`` for the bearer of ``token``; redirects are not followed. NotTold when it does not come."""
    return await _ask("GET", url, headers={"Authorization": f"Bearer {token}"} if token else {})


async def post_form(url: str, form: dict[str, str], secret: tuple[str, str] | None = None) -> Any:
    """What ``url`` answers to ``form`` of the client with this id and secret. NotTold when it refuses."""
    headers = {"Accept": "application/json"}
    if secret is not None:
        # As RFC 6749 has it, each part is encoded as in a form first.
        shown = base64.b64encode(":".join(map(quote_plus, secret)).encode()).decode()
        headers["Authorization"] = f"Basic {shown}"
    return await _ask("POST", url, data=form, headers=headers)


async def _ask(method: str, url: str, **given: Any) -> Any:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
            session.request(method, url, allow_redirects=False, **given) as response,
        ):
            if response.status != 200:
                raise NotTold(f"{url} answers {response.status}")
            return strict_json.load_cleaned(await read_whole(response.content.iter_any(), _LARGEST))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TooLarge) as error:
        raise NotTold(f"{url} does not answer as it should") from error
