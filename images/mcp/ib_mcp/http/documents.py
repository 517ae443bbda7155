"""JSON of others, such as the keys of an identity provider."""

from __future__ import annotations

from typing import Any

import aiohttp

from ib_service import strict_json
from ib_service.http.reading import read_whole

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_LARGEST = 512 * 1024


async def fetch_json(url: str) -> Any:
    """What is at ``url``; redirects are not followed. An exception when it does not come."""
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"{url} answers {response.status}")
        return strict_json.load_cleaned(await read_whole(response.content.iter_any(), _LARGEST))
