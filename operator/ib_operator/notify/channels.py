"""Sending a notification: signed JSON to a webhook, a message to ntfy, or anything the Apprise library speaks.

A channel's folder is a mounted Secret with the files ``url`` and, where wanted, ``signing-key`` (webhook) and
``token`` (ntfy). It is read for each notification, so that a changed Secret needs no restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from ib_operator.background import TryLater
from ib_operator.decision.policy import Channel

_TIMEOUT_S = 10.0
_NO_URL = "the key url of its Secret is no http or https URL"
_TOKEN = re.compile(r"[!-~]+")
# What ntfy's short form of actions takes without quoting.
_PAGE = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&()*+=%\[\]-]+")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


_SAID = {
    "needed": "needs you",
    "reminder": "still needs you",
    "recovered": "is signed in again",
    "approval": "has an order for you",
}
# Of ntfy: what the phone shows beside the title.
_TAGS = {"recovered": "white_check_mark", "approval": "ballot_box_with_check"}


class Misconfigured(Exception):
    """The channel can never work as it is; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Notification:
    """``kind``: needed, reminder, recovered or approval. ``login`` is what to do to sign in, ``approval`` where orders
    are approved, ``deadline`` and ``at`` RFC 3339.

    It holds nothing about the account.
    """

    kind: str
    namespace: str
    name: str
    phase: str
    reason: str
    message: str
    login: str | None
    deadline: str | None
    at: str
    approval: str | None = None

    @property
    def title(self) -> str:
        return f"ib-mcp: {self.namespace}/{self.name} {_SAID[self.kind]}"


async def send(
    client: httpx.AsyncClient, folder: Path, channel: Channel, notification: Notification, wall: float
) -> None:
    """Deliver once. TryLater when it may work later, Misconfigured when it never will."""
    url = _read(folder, channel, "url")
    if url is None:
        raise Misconfigured(
            f"the Secret {channel.secret} with the key url is not mounted: list it in operator.channelSecrets"
        )
    match channel.kind:
        case "webhook":
            await _post(client, url, *_signed(notification, _read(folder, channel, "signing-key"), wall))
        case "ntfy":
            headers = {
                "Title": notification.title,
                "Priority": "default" if notification.kind == "recovered" else "high",
                "Tags": _TAGS.get(notification.kind, "key"),
                **_buttons(notification.approval),
            }
            if token := _read(folder, channel, "token"):
                if not _TOKEN.fullmatch(token):
                    raise Misconfigured("the key token of its Secret has letters that no header can carry")
                headers["Authorization"] = f"Bearer {token}"
            await _post(client, url, notification.message.encode(), headers)
        case "apprise":
            await _apprise(url, notification)


def _buttons(page: str | None) -> dict[str, str]:
    """Both open the page, which alone takes a decision; none where there is no address."""
    if page is None or not _PAGE.fullmatch(page):
        return {}
    return {"Click": page, "Actions": f"view, Approve, {page}; view, Refuse, {page}"}


def signature(key: str, body: bytes, wall: float) -> str:
    """``t=EPOCH,v1=HEX``: HMAC-SHA256 over ``EPOCH.body``, so that a receiver can refuse what is forged or old."""
    at = str(int(wall))
    digest = hmac.new(key.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _signed(notification: Notification, key: str | None, wall: float) -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"schema": 1, **asdict(notification)}).encode()
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["ib-mcp-signature"] = signature(key, body, wall)
    return body, headers


async def _post(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> None:
    address = _address(url)
    # The library that sends takes a name and a password from the header only.
    auth = httpx.BasicAuth(address.username, address.password) if address.userinfo else None
    request = client.build_request("POST", address.copy_with(userinfo=b""), content=body, headers=headers)
    status = 0
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            # What it answers beside its status is of no use, however long it is.
            response = await client.send(request, stream=True, auth=auth)
            status = response.status_code
            await response.aclose()
    except httpx.UnsupportedProtocol:
        raise Misconfigured(_NO_URL) from None
    # The text of these errors may hold the URL, which is a secret with many services.
    except (TimeoutError, httpx.TransportError) as error:
        if not status:
            raise TryLater(f"no answer ({type(error).__name__})") from None
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise TryLater(f"answered {status}")
    raise Misconfigured(f"answered {status}: check url and keys of its Secret")


def _address(url: str) -> httpx.URL:
    """``url``, if a request can be sent there."""
    try:
        address = httpx.URL(url)
        # The library that sends encodes host names by an older rule than httpx, which checks them.
        is_sent = address.scheme in ("http", "https") and address.host != "" and address.host.encode("idna") != b""
    except (httpx.InvalidURL, UnicodeError):
        is_sent = False
    if not is_sent:
        raise Misconfigured(_NO_URL)
    return address


async def _apprise(url: str, notification: Notification) -> None:
    # Loaded late: it takes more memory than the rest of the operator.
    try:
        import apprise
    except ImportError:
        raise Misconfigured("the library apprise is not installed in this image") from None
    target = apprise.Apprise()
    if not target.add(url):
        raise Misconfigured("the key url of its Secret is no Apprise URL")
    if not await target.async_notify(body=notification.message, title=notification.title):
        raise TryLater("Apprise could not deliver it")


def _read(folder: Path, channel: Channel, key: str) -> str | None:
    if not _NAME.fullmatch(channel.secret) or ".." in channel.secret:
        return None
    try:
        return (folder / channel.secret / key).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
