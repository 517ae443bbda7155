"""OAuth 1.0a as IBKR does it: what is signed, how a live session token comes about, and the header that carries it.

RSA is left to the parts: everything here needs the standard library only. A parameter's value is written into the
text to be signed as it is, and only the whole list is percent-encoded, where RFC 5849 encodes twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

RSA_SHA256 = "RSA-SHA256"
HMAC_SHA256 = "HMAC-SHA256"
TOKEN_PATH = "/oauth/live_session_token"
_PAIR = re.compile(r'\s*([A-Za-z_]+)="([^"]*)"\s*(?:,|$)')


def base_string(method: str, url: str, parameters: Mapping[str, str]) -> str:
    """The text that is signed; ``url`` without query, ``parameters`` without signature and realm."""
    pairs = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    return f"{method}&{quote(url, safe='')}&{quote(pairs, safe='')}"


def authorization(realm: str, parameters: Mapping[str, str]) -> str:
    """The Authorization header; a signature among ``parameters`` is plain base64."""
    pairs = (f'{name}="{quote(value, safe="")}"' for name, value in sorted(parameters.items()))
    return ", ".join((f'OAuth realm="{realm}"', *pairs))


def parse_authorization(header: str) -> dict[str, str] | None:
    """What the header holds, ``realm`` among it; None when it is no OAuth header or a parameter comes twice."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth":
        return None
    parameters: dict[str, str] = {}
    at = 0
    while at < len(rest):
        pair = _PAIR.match(rest, at)
        if pair is None or pair[1] in parameters:
            return None
        parameters[pair[1]], at = unquote(pair[2]), pair.end()
    return parameters


def hmac_sha256(token: bytes, text: str) -> str:
    """The signature of every request but that for the token, in base64."""
    return base64.b64encode(hmac.digest(token, text.encode(), hashlib.sha256)).decode()


def live_session_token(shared: int, secret: bytes) -> bytes:
    """The token from Diffie-Hellman's ``shared`` number and the access token's decrypted ``secret``."""
    # As Java writes a positive number: a zero byte before a first bit that is set.
    key = shared.to_bytes(shared.bit_length() // 8 + 1, "big")
    return hmac.digest(key, secret, hashlib.sha1)


def token_proof(token: bytes, consumer_key: str) -> str:
    """By which both sides see that they have the same token: IBKR's ``live_session_token_signature``."""
    return hmac.digest(token, consumer_key.encode(), hashlib.sha1).hex()
