"""Passing sign-in requests on to the gateway, and its answers back, with nothing that could plant a session."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ib_keepalive.login.paths import SIGN_IN_ENDS, is_sign_in_path
from ib_service.http.caller_gone import CallerGone, unless_gone
from ibkr.errors import InvalidRequest, UpstreamTimeout, UpstreamUnreachable

_LARGEST_REQUEST = 256 * 1024
_LARGEST_ANSWER = 32 * 1024 * 1024
_LARGEST_END_PAGE = 64 * 1024
_PATIENCE_S = 30.0
# The gateway runs five requests at once; one is left for the keeper.
_AT_ONCE = 4
_SUCCESS = b"Client login succeeds"
# Those of the gateway's cookies that say whose session it is.
_SESSION_COOKIES = ("XYZAB", "XYZAB_AM.LOGIN", "USERID")

# The gateway sends all but Cookie and Host on to IBKR, and takes a session from a Cookie.
_DROPPED = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host",
        "keep-alive", "origin", "proxy-authorization", "proxy-connection", "referer", "te", "trailer",
        "transfer-encoding", "upgrade", "via", "x-real-ip",
    }
)  # fmt: skip
_PASSED_BACK = frozenset(
    {
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "etag",
        "expires", "last-modified", "pragma", "vary",
    }
)  # fmt: skip
_BROKER_HOSTS = (".ibkr.com", ".interactivebrokers.com", ".interactivebrokers.ch", ".interactivebrokers.co.uk")


class Forwarder:
    """``origin`` is what the gateway's CORS rule admits.

    ``signed_in`` is called when IBKR says the login succeeded, ``another_session`` when it hands out other cookies.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        origin: str,
        *,
        signed_in: Callable[[], None],
        another_session: Callable[[], None],
    ) -> None:
        self._client = client
        self._origin = origin
        self._signed_in = signed_in
        self._another_session = another_session
        self._cookies: dict[str, str] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def forward(self, request: Request) -> Response:
        """The gateway's answer. InvalidRequest, UpstreamUnreachable or UpstreamTimeout when there is none.

        CallerGone when the browser left: what it asked for takes no slot any longer.
        """
        content = await _read_body(request)
        return await unless_gone(request.receive, self._forward(request, content))

    async def _forward(self, request: Request, content: bytes) -> Response:
        query = request.scope.get("query_string", b"")
        target = request.scope["raw_path"] + (b"?" + query if query else b"")
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await stack.enter_async_context(self._slots)
                    upstream = self._client.build_request(
                        request.method,
                        target.decode("latin-1"),
                        headers=self._headers(request),
                        content=content if request.method == "POST" else None,
                    )
                    response = await self._client.send(upstream, stream=True)
                    stack.push_async_callback(response.aclose)
                    if not 200 <= response.status_code < 600:
                        raise UpstreamUnreachable(f"The gateway answered with HTTP {response.status_code}.")
                    self._note_cookies(response)
                    if request.scope["path"].startswith(SIGN_IN_ENDS):
                        return await self._end(response)
            except httpx.InvalidURL as error:
                raise InvalidRequest("The address is not valid.") from error
            except httpx.ConnectError as error:
                raise UpstreamUnreachable("The gateway does not accept connections.") from error
            except (TimeoutError, httpx.TimeoutException) as error:
                raise UpstreamTimeout(f"The gateway did not answer within {_PATIENCE_S:g} seconds.") from error
            except (httpx.HTTPError, OSError) as error:
                raise UpstreamUnreachable("The gateway closed the connection before it answered.") from error
            return _Relay(response, self._answer_headers(response), stack.pop_all())

    def _note_cookies(self, response: httpx.Response) -> None:
        """The gateway is another user's as soon as IBKR's answer carries another session."""
        given = {}
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].strip().partition("=")
            if name in _SESSION_COOKIES and value:
                given[name] = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
        if any(self._cookies.get(name) != digest for name, digest in given.items()):
            self._cookies |= given
            self._another_session()

    async def _end(self, response: httpx.Response) -> Response:
        content = b""
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > _LARGEST_END_PAGE:
                raise UpstreamUnreachable("The gateway's last page is larger than expected.")
        if response.status_code == 200 and _SUCCESS in content:
            # Not a proof of login: the page only sends the browser back to where the true state is shown.
            self._signed_in()
            return RedirectResponse("/?signed-in", 303)
        return Response(content, response.status_code, headers=self._answer_headers(response))

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in _DROPPED and not name.startswith(("x-forwarded-", "sec-fetch-", "cf-")) and value.isascii()
        }
        # Compressed bodies could not be searched for the success text.
        headers["accept-encoding"] = "identity"
        if "origin" in request.headers:
            headers["origin"] = self._origin
        if "referer" in request.headers:
            path = urlsplit(request.headers["referer"]).path
            headers["referer"] = self._origin + (path if is_sign_in_path(path.encode()) else "/")
        return headers

    def _answer_headers(self, response: httpx.Response) -> dict[str, str]:
        headers = {name: value for name, value in response.headers.items() if name in _PASSED_BACK}
        if "location" in response.headers:
            headers["location"] = self._local(response.headers["location"])
        # The gateway holds the session's cookies; in the browser they would be sent to every port of this machine.
        return {**headers, "x-frame-options": "SAMEORIGIN", "x-content-type-options": "nosniff"}

    def _local(self, location: str) -> str:
        """``location`` on this port where it names the gateway or IBKR and a sign-in path."""
        parts = urlsplit(location)
        host = parts.hostname or ""
        ours = f"{parts.scheme}://{parts.netloc}" in (self._origin, str(self._client.base_url).rstrip("/"))
        if not (ours or host.endswith(_BROKER_HOSTS)) or not is_sign_in_path(parts.path.encode()):
            return location
        return parts._replace(scheme="", netloc="").geturl()


class _Relay(StreamingResponse):
    """Streams an answer and gives back what it held, however the sending ends."""

    def __init__(self, response: httpx.Response, headers: dict[str, str], resources: AsyncExitStack) -> None:
        super().__init__(_chunks(response), response.status_code, headers=headers)
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            await super().__call__(scope, receive, send)


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    # An error here breaks the browser's connection, which is how it learns that the answer is not complete.
    total = 0
    chunks = aiter(response.aiter_raw())
    while True:
        async with asyncio.timeout(_PATIENCE_S):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        total += len(chunk)
        if total > _LARGEST_ANSWER:
            raise UpstreamUnreachable("The gateway's answer is larger than a sign-in page can be.")
        yield chunk


async def _read_body(request: Request) -> bytes:
    content = b""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for chunk in request.stream():
                content += chunk
                if len(content) > _LARGEST_REQUEST:
                    raise InvalidRequest("The request is larger than a sign-in form can be.", status=413)
    except TimeoutError as error:
        raise InvalidRequest("The request did not arrive in time.", status=408) from error
    except ClientDisconnect:
        raise CallerGone from None
    return content
