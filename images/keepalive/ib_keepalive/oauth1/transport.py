"""The way to api.ibkr.com: every request is signed, and answered by IBKR's refusal where there is no token."""

from __future__ import annotations

import httpx

from ib_keepalive.oauth1 import signing
from ib_keepalive.oauth1.live_tokens import LiveTokens, Refusal
from ib_keepalive.oauth1.signing import LiveToken

# A refusal of these speaks of the session and of nothing else, and asking them twice does no harm.
_ABOUT_THE_SESSION = ("/v1/api/tickle", "/v1/api/iserver/auth/status")


class SignedTransport(httpx.AsyncBaseTransport):
    """``inner`` carries the requests; ``authorization`` is for those that go by it without httpx."""

    def __init__(self, inner: httpx.AsyncBaseTransport, tokens: LiveTokens) -> None:
        self.inner, self.tokens = inner, tokens

    async def authorization(self, method: str, url: str) -> str | Refusal:
        """The header for one request. ConnectError when IBKR cannot be asked for a token."""
        token = await self.tokens.current()
        return token if isinstance(token, Refusal) else self._sign(token, method, url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        token = await self.tokens.current()
        if isinstance(token, Refusal):
            return _refused(token)
        response = await self._send(request, token)
        if response.status_code == 401 and request.url.path in _ABOUT_THE_SESSION and self.tokens.doubt(token):
            await response.aclose()
            token = await self.tokens.current()
            return _refused(token) if isinstance(token, Refusal) else await self._send(request, token)
        return response

    async def aclose(self) -> None:
        await self.tokens.aclose()
        await self.inner.aclose()

    async def _send(self, request: httpx.Request, token: LiveToken) -> httpx.Response:
        request.headers["Authorization"] = self._sign(token, request.method, str(request.url))
        return await self.inner.handle_async_request(request)

    def _sign(self, token: LiveToken, method: str, url: str) -> str:
        return signing.sign_request(self.tokens.credentials, token, method, url, int(self.tokens.now()))


def _refused(refusal: Refusal) -> httpx.Response:
    return httpx.Response(refusal.status, headers={"content-type": refusal.media}, content=refusal.content)
