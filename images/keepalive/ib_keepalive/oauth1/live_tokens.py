"""The live session token: asked for when first needed, renewed before it ends, never more often than IBKR bears.

The clock is corrected by IBKR's own where the two are apart, since a timestamp that is off is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx
import structlog

from ib_keepalive.oauth1 import signing
from ib_keepalive.oauth1.credentials import Credentials
from ib_keepalive.oauth1.signing import LiveToken, WrongAnswer
from ib_service import strict_json
from ib_service.http.client import read_body
from ib_service.http.reading import NotUnpacked, TooLarge
from ib_service.logs import redact_text
from ibkr.oauth1 import TOKEN_PATH

log = structlog.get_logger("ib_keepalive.oauth1")

RENEW_BEFORE_S = 600.0
# After a refusal, and after a token that IBKR did not take for long.
PAUSE_S = 60.0
_ANSWERS_WITHIN_S = 20.0
_LARGEST_ANSWER = 64 * 1024
_SKEW_S = 5.0
_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """IBKR gave no token: its answer, which is that to every request in its place. ``reason`` is for people."""

    status: int
    media: str
    content: bytes
    reason: str


_NONE_YET = Refusal(401, "application/json", b'{"error":"unauthorized"}', "IBKR no longer takes the live session token")


class LiveTokens:
    """``renewed`` is called with each new token: to IBKR it is another sign-in. ``url`` is IBKR's, without a path.

    ``aclose`` ends what is under way.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        credentials: Credentials,
        url: str,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.credentials = credentials
        self.renewed: Callable[[], None] = lambda: None
        self._transport = transport
        self._url = f"{url.rstrip('/')}/v1/api{TOKEN_PATH}"
        self._wall = wall
        self._clock = asyncio.get_running_loop().time
        self._ahead_s = 0.0
        self._corrected = False
        self._token: LiveToken | None = None
        self._given_at = self._not_before = self._clock() - PAUSE_S
        self._refusal: Refusal | None = None
        self._is_out_of_reach = False
        self._exchange: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str | None:
        """Why IBKR gives no token, for people; None while it does."""
        return None if self._refusal is None else self._refusal.reason

    def now(self) -> float:
        """IBKR's clock, epoch seconds."""
        return self._wall() + self._ahead_s

    async def current(self) -> LiveToken | Refusal:
        """A token that holds, or why there is none. ConnectError when IBKR cannot be asked: nothing was sent then."""
        token = self._token if self._token is not None and self.now() < self._token.expires_at else None
        is_due = token is None or self.now() >= token.expires_at - RENEW_BEFORE_S
        if is_due and not self._is_pausing() and (self._exchange is None or self._exchange.done()):
            # A caller that gives up must not end what all others wait for.
            self._exchange = asyncio.create_task(self._renew(), name="live session token")
        if token is not None:
            return token
        if self._exchange is not None:
            await asyncio.shield(self._exchange)
        if self._token is None and self._is_out_of_reach:
            raise httpx.ConnectError("IBKR did not answer the request for a live session token")
        return self._token or self._refusal or _NONE_YET

    def doubt(self, token: LiveToken) -> bool:
        """IBKR refused ``token``; whether another one may be asked for at once."""
        if self._token is token:
            self._token = None
            self._not_before = max(self._not_before, self._given_at + PAUSE_S)
        return not self._is_pausing()

    async def aclose(self) -> None:
        if self._exchange is not None:
            self._exchange.cancel()
            await asyncio.gather(self._exchange, return_exceptions=True)

    def _is_pausing(self) -> bool:
        return self._clock() < self._not_before

    async def _renew(self) -> None:
        try:
            answer = await self._ask()
            if isinstance(answer, Refusal) and self._corrected:
                answer = await self._ask()
        except httpx.TransportError as error:
            self._is_out_of_reach, self._not_before = True, self._clock() + _RETRY_S
            log.warning("IBKR did not answer the request for a live session token", problem=type(error).__name__)
            return
        self._is_out_of_reach = False
        if isinstance(answer, Refusal):
            self._refusal, self._not_before = answer, self._clock() + PAUSE_S
            log.warning("IBKR gives no live session token", status=answer.status, reason=answer.reason)
            return
        self._token, self._refusal, self._given_at = answer, None, self._clock()
        log.info("IBKR gave a live session token", lasts_s=round(answer.expires_at - self.now()))
        self.renewed()

    async def _ask(self) -> LiveToken | Refusal:
        self._corrected = False
        asked = signing.sign_token_request(self.credentials, self._url, int(self.now()))
        headers = {"User-Agent": "ib-mcp", "Accept": "*/*", "Authorization": asked.authorization}
        request = httpx.Request("POST", self._url, headers=headers, content=b"")
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                response = await self._transport.handle_async_request(request)
                try:
                    content = await read_body(response, _LARGEST_ANSWER, packed=True)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx.ReadTimeout("no answer to the request for a live session token", request=request) from None
        except (TooLarge, NotUnpacked):
            content = b""
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        self._correct_clock(response.headers.get("date"))
        if response.status_code != 200:
            media = response.headers.get("content-type", "")
            reason = f"IBKR refuses the OAuth keys ({response.status_code}{_reason(content)})"
            return Refusal(response.status_code, media, content, reason)
        try:
            return signing.read_token(self.credentials, asked, strict_json.load_cleaned(content))
        except WrongAnswer as error:
            return Refusal(401, "application/json", b'{"error":"unauthorized"}', str(error))
        except ValueError:
            return Refusal(
                502, "application/json", b'{"error":"no token"}', "IBKR's answer to the token request is no JSON"
            )

    def _correct_clock(self, date: str | None) -> None:
        try:
            ahead_s = parsedate_to_datetime(date).timestamp() - self.now() if date else 0.0
        except ValueError:
            return
        if abs(ahead_s) > _SKEW_S:
            self._ahead_s += ahead_s
            self._corrected = True
            log.warning("this machine's clock differs from IBKR's", seconds=round(self._ahead_s))


def _reason(content: bytes) -> str:
    try:
        body = strict_json.load_cleaned(content)
    except ValueError:
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    return f", {redact_text(' '.join(error.split()))[:120]}" if isinstance(error, str) and error else ""
