"""That the owner signed in, in this browser: a signed cookie, which outlives a restart and counts in every replica."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from ib_mcp.oauth.store import Store

SIGNED_IN_S = 12 * 3600


class OwnerSession:
    """``origin``: of this server for everybody. ``way``: by what the owner signs in; another one ends the sessions."""

    def __init__(self, origin: str, store: Store, way: str) -> None:
        self._host = origin.partition("://")[2]
        self._is_https = origin.startswith("https:")
        self._store = store
        self._way = way

    def cookie(self, request: Request, name: str) -> str:
        # Through a port-forward the pages are at http://localhost.
        is_secure = self._is_https and request.headers.get("host") == self._host
        return f"__Host-{name}" if is_secure else name

    def keep(self, request: Request, response: Response, name: str, value: str, for_s: int) -> None:
        """Have the browser keep ``value``; lax, since it comes back here from agents and providers."""
        name = self.cookie(request, name)
        secure = name.startswith("__Host-")
        response.set_cookie(name, value, max_age=for_s, path="/", secure=secure, httponly=True, samesite="lax")

    async def begin(self, request: Request, response: Response) -> None:
        since = str(int(self._store.now()))
        self.keep(request, response, "ib-owner", f"{since}.{await self._proof('session', since)}", SIGNED_IN_S)

    def end(self, request: Request, response: Response) -> None:
        response.delete_cookie(self.cookie(request, "ib-owner"), path="/")

    async def is_signed_in(self, request: Request, within_s: float = SIGNED_IN_S) -> bool:
        """Whether the owner did, in this browser, ``within_s`` before now."""
        since, _, proof = request.cookies.get(self.cookie(request, "ib-owner"), "").partition(".")
        is_ours = hmac.compare_digest(proof.encode(), (await self._proof("session", since)).encode())
        return is_ours and since.isdecimal() and 0 <= self._store.now() - int(since) < within_s

    async def form_proof(self, request: Request) -> str:
        """What only a page knows that was shown in this session."""
        return await self._proof("form", request.cookies.get(self.cookie(request, "ib-owner"), ""))

    async def _proof(self, kind: str, text: str) -> str:
        key = hmac.digest(await self._store.key(), self._way.encode(), "sha256")
        return hmac.new(key, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()
