"""The signatures of one consumer: RSA for the token request, HMAC with the live session token for everything else."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import Any

from ib_keepalive.oauth1.credentials import Credentials
from ibkr import oauth1
from ibkr.dh_parameters import GENERATOR

_RANDOM_BITS = 256


class WrongAnswer(ValueError):
    """IBKR's answer to the token request cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, repr=False)
class LiveToken:
    """``expires_at``: IBKR's clock, epoch seconds."""

    key: bytes
    expires_at: float


@dataclass(frozen=True, slots=True, repr=False)
class TokenRequest:
    """``authorization`` is the header of one request for a token; ``exponent`` stays here."""

    authorization: str
    exponent: int


def _parameters(credentials: Credentials, method: str, timestamp: int) -> dict[str, str]:
    return {
        "oauth_consumer_key": credentials.consumer_key,
        "oauth_nonce": secrets.token_hex(16),
        "oauth_signature_method": method,
        "oauth_timestamp": str(timestamp),
        "oauth_token": credentials.access_token,
    }


def sign_token_request(credentials: Credentials, url: str, timestamp: int) -> TokenRequest:
    """Begin the exchange: our half of Diffie-Hellman, signed by the signature key."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    exponent = secrets.randbits(_RANDOM_BITS) | 1 << (_RANDOM_BITS - 1)
    parameters = _parameters(credentials, oauth1.RSA_SHA256, timestamp)
    parameters["diffie_hellman_challenge"] = f"{pow(GENERATOR, exponent, credentials.prime):x}"
    text = credentials.secret.hex() + oauth1.base_string("POST", url, parameters)
    signature = credentials.signature_key.sign(text.encode(), PKCS1v15(), SHA256())
    parameters["oauth_signature"] = base64.b64encode(signature).decode()
    return TokenRequest(oauth1.authorization(credentials.realm, parameters), exponent)


def read_token(credentials: Credentials, request: TokenRequest, answer: Any) -> LiveToken:
    """End the exchange; WrongAnswer unless IBKR proves that it has the same token."""
    if not isinstance(answer, dict):
        raise WrongAnswer("IBKR's answer to the token request is no JSON object")
    # Documents call the response a challenge too.
    theirs = answer.get("diffie_hellman_response") or answer.get("diffie_hellman_challenge")
    expires = answer.get("live_session_token_expiration")
    if not isinstance(expires, int) or expires <= 0:
        raise WrongAnswer("IBKR's answer to the token request does not say when the token ends")
    try:
        number = int(str(theirs), 16)
    except ValueError:
        raise WrongAnswer("IBKR's answer to the token request lacks its half of Diffie-Hellman") from None
    if not 1 < number < credentials.prime - 1:
        raise WrongAnswer("IBKR's half of Diffie-Hellman is out of range")
    shared = pow(number, request.exponent, credentials.prime)
    key = oauth1.live_session_token(shared, credentials.secret)
    proof = str(answer.get("live_session_token_signature")).lower()
    if not secrets.compare_digest(proof.encode(), oauth1.token_proof(key, credentials.consumer_key).encode()):
        raise WrongAnswer(
            "IBKR has another token than we have: access_token_secret, private_encryption.pem or dhparam.pem is not "
            "what the portal has for this consumer key"
        )
    return LiveToken(key, expires / 1000)


def sign_request(credentials: Credentials, token: LiveToken, method: str, url: str, timestamp: int) -> str:
    """The Authorization header of one request; IBKR takes the URL without its query."""
    parameters = _parameters(credentials, oauth1.HMAC_SHA256, timestamp)
    text = oauth1.base_string(method, url.partition("?")[0], parameters)
    parameters["oauth_signature"] = oauth1.hmac_sha256(token.key, text)
    return oauth1.authorization(credentials.realm, parameters)
