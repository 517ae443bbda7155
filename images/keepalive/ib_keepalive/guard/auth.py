"""Who may call: the token in constant time, and no web pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from ibkr.errors import OperationForbidden, TokenRequired


class Token:
    """The one token of the data port; only its digest is kept."""

    def __init__(self, token: str) -> None:
        self._digest = _digest(token.encode())

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """TokenRequired unless the Authorization header carries the token.

        ``Bearer TOKEN``, or ``Basic`` with the token as password, for clients that can only be given a URL.
        """
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        kind = scheme.lower()
        given = value.strip() if kind == b"bearer" else _password(value) if kind == b"basic" else b""
        if not hmac.compare_digest(_digest(given), self._digest):
            raise TokenRequired("The token is wrong." if given else "A token is required.")


def refuse_browsers(headers: Mapping[bytes, bytes]) -> None:
    """OperationForbidden for a request made by a web page; only browsers send these two headers."""
    if b"origin" in headers or b"sec-fetch-site" in headers:
        raise OperationForbidden(
            "This port does not answer web pages.", action="Call it from a program, not a browser."
        )


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def _password(value: bytes) -> bytes:
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
